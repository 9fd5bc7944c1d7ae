"""When to ask next: pure functions of what is known and of a random number.

`next_countdown()` places the polls of a video; `docs/cadence.md` explains it with a picture.
"""

from __future__ import annotations

import random as _random
from dataclasses import dataclass
from math import ceil, gcd

from ..waits import Random, countdown
from .plans import Plan

__all__ = ["Facts", "next_countdown"]

SHAKE = 0.2
"""By which share of the interval's width a planned countdown is moved at random, either way."""
LANDING = 0.1
"""How long after a foretold end to ask, as a share of that width: from once to three times it."""
RESERVE = 0.35
"""Requests that are kept in hand where nothing is known."""
FREE = 0.35
"""Requests by which a video may be off without being drawn back."""
KEPT = 3.0
"""Requests in hand above which they are forgotten: what a long hold left out is not made up for."""
SPARE = 0.5
"""Requests in hand from which on a plan is followed although progress says that there is time."""
DEBT = 1.5
"""Requests by which a plan may be ahead of evenly drawn countdowns."""
DEBT_UNPLANNED = 0.4
"""The same for progress alone: nothing has shown yet that it can be believed."""
DISCORD = 1.5
"""By how much two answers' forecasts may differ."""


@dataclass(frozen=True)
class Facts:
    """What is known of a video when its next countdown is chosen. Times are in seconds."""

    age: float = 0.0
    """Since the create."""
    rendering: float | None = None
    """Since it was first seen in progress; None while it is queued."""
    polls: int = 0
    """How often it has been asked for."""
    progress: int = 0
    """In percent, by the last answer."""
    gained: int = 0
    """How much of that is new in the last answer."""
    since: float = 0.0
    """Between the last answer and the one before."""


def next_countdown(
    facts: Facts,
    plan: Plan | None,
    shortest: float,
    longest: float,
    random: Random = _random.random,
) -> float:
    """Return the seconds until the next poll of a video, from `shortest` to `longest`.

    The first is drawn evenly, which keeps apart what was created together. Later ones follow the
    plan, which history made; without one they stay about the middle. Where progress foretells an
    end within reach, the poll is placed just after it. All of it is paid from one budget: the
    requests that evenly drawn countdowns would have made by now.
    """
    if facts.polls <= 0 or shortest <= 0:
        return countdown(shortest, longest, random)
    age = _seconds(facts.age)
    rendering = None if facts.rendering is None else _seconds(facts.rendering)
    in_hand = 2 * age / (shortest + longest) - facts.polls
    if in_hand > KEPT:
        in_hand = 0.0
    width = longest - shortest
    paced = _paced(in_hand - RESERVE, shortest, longest, random)
    planned = plan.countdown(age, rendering) if plan else None
    wanted = paced if planned is None else planned + width * SHAKE * (2 * random() - 1)
    left = _foretold(facts, age if rendering is None else rendering, plan, shortest)
    if left is not None:
        left += width * LANDING * (1 + 2 * random())
        wanted = _approached(left, wanted, plan, in_hand, shortest, longest)
    if in_hand < -(DEBT if plan else DEBT_UNPLANNED):
        wanted = max(wanted, paced)
    return min(max(wanted, shortest), longest)


def _paced(in_hand: float, shortest: float, longest: float, random: Random) -> float:
    """Return a countdown about the middle: a shorter one to spend requests, a longer to save."""
    quarter = (longest - shortest) / 4
    # Within a third of a request nothing is done: that would draw all videos to the same moments.
    beyond = in_hand - min(max(in_hand, -FREE), FREE)
    middle = (shortest + longest) / 2 - quarter * min(max(2 * beyond, -1.0), 1.0)
    return middle + quarter * (2 * random() - 1)


def _foretold(facts: Facts, now: float, plan: Plan | None, shortest: float) -> float | None:
    """Return in how many seconds to ask if progress goes on as it did; None if it cannot tell.

    Progress is believed while it moves in proportion to time, by two answers. Each of them bounds
    the end: 40 percent after 60 s, told in tens, mean an end between 120 and 150 s. Where the
    bounds are further apart than `shortest`, the first of several polls is meant.
    """
    progress, then = _percent(facts.progress), now - _seconds(facts.since)
    before = progress - _percent(facts.gained)
    if not 0 < before < progress < 100 or then <= 0:
        return None
    step = gcd(progress, before, 10)
    first = 100 * max(now / (progress + step), then / (before + step))
    last = 100 * min(now / progress, then / before)
    if first > last * DISCORD or (plan and not plan.first <= last <= plan.last):
        return None
    if first > last:
        first = last = 100 * now / progress
    return last - now - shortest * ((last - first) // shortest)


def _approached(
    left: float, wanted: float, plan: Plan | None, in_hand: float, shortest: float, longest: float
) -> float:
    """Return the countdown on the way to a poll that is best made in `left` seconds."""
    if left <= longest:
        return left
    if plan is None:
        # Nothing has shown yet that progress can be believed: only leave room for the last step.
        return min(wanted, left - shortest)
    even = left / ceil(left / longest)
    return min(even, wanted) if in_hand > SPARE else even


def _seconds(value: float | None) -> float:
    # 0 for NaN, too.
    return value if value is not None and 0 <= value < 1e9 else 0.0


def _percent(value: int | None) -> int:
    return value if value is not None and 0 <= value <= 100 else 0
