"""A few threads that ask, for one who hands out work and takes answers.

Threads, or greenlets where gevent has patched them. They do nothing but ask: no rows, no signals.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import Generic, TypeVar

from django.db import connections

__all__ = ["Askers"]

Q = TypeVar("Q")
A = TypeVar("A")


class Askers(Generic[Q, A]):
    """Up to `most` threads that call `ask` for what is put, until the block ends.

    What `ask` raises is an answer, too. One thread owns this: only `ask` runs in the others.
    """

    def __init__(self, ask: Callable[[Q], A], most: int) -> None:
        self._ask = ask
        self._most = most
        self._work: SimpleQueue[Q | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Q, A | Exception]] = SimpleQueue()
        self._threads = 0
        self.pending = 0
        """How many were put and are not collected."""

    def __enter__(self) -> Askers[Q, A]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        # Not joined: one that still waits for the API ends by itself, and nobody reads its answer.
        for _ in range(self._threads):
            self._work.put(None)

    @property
    def free(self) -> int:
        """How many more could be asked for at once, at this moment."""
        return max(0, self._most - self.pending)

    def put(self, question: Q) -> None:
        """Have something asked, as soon as a thread is free."""
        self.pending += 1
        self._work.put(question)
        if self._threads < min(self._most, self.pending):
            self._threads += 1
            threading.Thread(target=self._run, name="seedance-ask", daemon=True).start()

    def take_back(self) -> list[Q]:
        """Return what no thread has begun to ask."""
        found: list[Q] = []
        while True:
            try:
                question = self._work.get_nowait()
            except Empty:
                self.pending -= len(found)
                return found
            assert question is not None  # noqa: S101  (that comes at the end only)
            found.append(question)

    def collect(self, wait: float, linger: float) -> list[tuple[Q, A | Exception]]:
        """Return what has been answered, within `wait` seconds for the first.

        Others are waited for `linger` seconds more, while any are pending.
        """
        found: list[tuple[Q, A | Exception]] = []
        ends_at = monotonic() + wait
        while self.pending > len(found):
            try:
                found.append(self._answers.get(timeout=max(0.0, ends_at - monotonic())))
            except Empty:
                break
            if len(found) == 1:
                ends_at = min(ends_at, monotonic() + linger)
        self.pending -= len(found)
        return found

    def _run(self) -> None:
        while (question := self._work.get()) is not None:
            answer: A | Exception
            try:
                answer = self._ask(question)
            except Exception as error:  # noqa: BLE001  (whoever collects decides)
                answer = error
            finally:
                # A key may be a callable that reads a database.
                connections.close_all()
            self._answers.put((question, answer))
