"""When to ask next: pure functions of what is known and of a random number."""

from __future__ import annotations

import random as _random
from collections.abc import Callable

__all__ = ["backoff", "countdown", "spread"]

Random = Callable[[], float]
"""Returns a float from 0.0 up to 1.0."""


def countdown(shortest: float, longest: float, random: Random = _random.random) -> float:
    """Return the seconds until the next poll of a video, from `shortest` to `longest`.

    Drawn anew each time, so that videos created together soon stop polling together.
    """
    return shortest + (longest - shortest) * random()


def backoff(strikes: int, first: float, longest: float, random: Random = _random.random) -> float:
    """Return the seconds of the cool-down after so many refusals in a row (1 is the first).

    Doubles from `first` up to `longest`, and is shortened by up to a quarter so that keys that
    were refused together do not come back together.
    """
    doubled = first * 2.0 ** min(strikes - 1, 30)
    return min(doubled, longest) * (1 - random() / 4)


def spread(wait: float, over: float, random: Random = _random.random) -> float:
    """Return `wait` seconds and up to `over` more: not all that waited come back at once."""
    return wait + over * random()
