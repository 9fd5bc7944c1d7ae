"""Waiting for a condition, never for luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class WaitFailed(AssertionError):
    """A condition did not come true in time."""


def wait_until(
    condition: Callable[[], T],
    timeout: float = 60.0,
    message: str = "",
    *,
    every: float = 0.05,
    context: Callable[[], str] | None = None,
) -> T:
    """Ask `condition` until it answers something true, and return that.

    `context` is asked for more text, such as the ends of the workers' logs, when it fails.
    Raises `WaitFailed` after `timeout` seconds. The limit is for what never comes true, on a
    machine that has other things to do; it says nothing of how long the wait should be.
    """
    end = time.monotonic() + timeout
    while True:
        late = time.monotonic() >= end
        answer = condition()
        if answer:
            return answer
        if late:
            raise WaitFailed(_text(timeout, message, answer, context))
        time.sleep(every)


def _text(timeout: float, message: str, answer: object, context: Callable[[], str] | None) -> str:
    lines = [f"not within {timeout:g} s: {message or 'the condition'} (last answer: {answer!r})"]
    if context is not None:
        lines.append(context())
    return "\n".join(lines)
