"""How long to wait, as pure functions of a random number: countdown, backoff and jitter.

Times are in seconds. `polling.cadence` places the polls of a video; what else waits, waits by one
of these.
"""

from __future__ import annotations

import random as _random
from collections.abc import Callable

Random = Callable[[], float]
"""Returns a float from 0.0 up to 1.0."""


def countdown(shortest: float, longest: float, random: Random = _random.random) -> float:
    """Return seconds from `shortest` to `longest`, drawn evenly."""
    return shortest + (longest - shortest) * random()


def backoff(strikes: int, first: float, longest: float, random: Random = _random.random) -> float:
    """Return the seconds of the cool-down after so many refusals in a row (1 is the first).

    Doubles from `first` up to `longest`, and is shortened by up to a quarter so that keys that
    were refused together do not come back together.
    """
    doubled = first * 2.0 ** min(strikes - 1, 30)
    return min(doubled, longest) * (1 - random() / 4)


def jittered(wait: float, over: float, random: Random = _random.random) -> float:
    """Return `wait` seconds and up to `over` more, so that not all who waited return at once."""
    return wait + over * random()
