"""What past videos say about when to ask: pure functions of how long they took.

A plan spends the requests that evenly drawn countdowns would make where they find most: few while
hardly any video ends, many while they do. `docs/cadence.md` explains it with a picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, sqrt

__all__ = ["BIN", "ENOUGH", "Life", "Plan", "make_plan"]

BIN = 5.0
"""Seconds of age that share a countdown."""
AHEAD = 4
"""Bins that are looked at together: what may end until the next poll."""
OLDEST = 2400.0
"""Seconds after which the life of a video is looked at no further."""
ENOUGH = 20
"""How many videos must have ended before there is a plan."""
FEW = 3.0
"""Videos of an age below which history tells nothing about it."""
DOUBT = 5.0
"""Videos that end at an even rate are added to the history, so that chance makes no pattern."""
BUDGET = 0.99
"""The requests that a plan may make, as a share of those of evenly drawn countdowns."""
STEPS = 12
"""How often the price of a request is halved towards the budget."""


@dataclass(frozen=True)
class Life:
    """How long a past video was queued, then in progress (None: never seen so), in seconds.

    `is_ended` is false for one that is still in work: it counts by what it has taken so far.
    """

    queued: float
    rendering: float | None
    is_ended: bool

    @property
    def total(self) -> float:
        """All of it, in seconds."""
        return self.queued + (self.rendering or 0.0)


@dataclass(frozen=True)
class Plan:
    """The best countdown of videos of a kind, in seconds, for each `BIN` seconds of an age.

    `queued` goes by the seconds since the create, `rendering` by those since the video was first
    seen in progress. `first` and `last` tell between which of the latter an end is believed.
    """

    queued: tuple[float, ...]
    rendering: tuple[float, ...]
    first: float = 0.0
    last: float = inf

    def countdown(self, age: float, rendering: float | None) -> float | None:
        """Return the countdown at an age; None where hardly any video was as old."""
        table = self.queued if rendering is None else self.rendering
        index = int((age if rendering is None else rendering) / BIN)
        return table[index] if index < len(table) else None


def make_plan(lives: Iterable[Life], shortest: float, longest: float) -> Plan | None:
    """Return the plan for countdowns from `shortest` to `longest`; None for too short a history.

    There is none for countdowns under a second, either: those are a simulator's.

    For videos that end at the rate h, and a request that is worth as much as p seconds of delay,
    x = sqrt(2 p / h) is the interval that costs least. The price p is the lowest at which the
    plan, tried on the same videos, makes no more requests than evenly drawn countdowns.
    """
    known = [life for life in lives if _is_sound(life)]
    ended = sum(life.is_ended for life in known)
    if ended < ENOUGH or shortest < 1:
        return None
    rates = _rates(known)
    budget = BUDGET * sum(_even_requests(life.total, shortest, longest) for life in known)
    low, high = 0.0, longest**2 / 2
    for _ in range(STEPS):
        price = (low + high) / 2
        plan = _priced(rates, price, shortest, longest)
        if _requests(plan, known, shortest, longest) > budget:
            low = price
        else:
            high = price
    return _priced(rates, high, shortest, longest, *_believable(known, rates[1]))


def _is_sound(life: Life) -> bool:
    # False for NaN, too.
    return 0 <= life.queued < inf and (life.rendering is None or 0 <= life.rendering < inf)


def _rates(lives: Sequence[Life]) -> tuple[list[float], list[float]]:
    """Return how many end per second and video, by age: among the queued, and the rendering."""
    queued = [(life.queued, life.is_ended and life.rendering is None) for life in lives]
    rendering = [(life.rendering, life.is_ended) for life in lives if life.rendering is not None]
    seconds = sum(min(life.total, OLDEST) for life in lives)
    mean = sum(life.is_ended for life in lives) / max(seconds, 1.0)
    return _hazards(queued, mean), _hazards(rendering, mean)


def _hazards(spells: Sequence[tuple[float, bool]], mean: float) -> list[float]:
    count = int(min(max((spell for spell, _ in spells), default=0.0), OLDEST) / BIN) + 1
    ends, seconds = [0] * count, [0.0] * count
    for spell, is_end in spells:
        last = min(int(spell / BIN), count - 1)
        ends[last] += is_end
        seconds[last] += min(spell - last * BIN, BIN)
        for index in range(last):
            seconds[index] += BIN
    told = next((i for i, spent in enumerate(seconds) if spent < FEW * BIN), count)
    return [
        (sum(ends[i : i + AHEAD]) + DOUBT) / (sum(seconds[i : i + AHEAD]) + DOUBT / mean)
        for i in range(told)
    ]


def _priced(
    rates: tuple[list[float], list[float]],
    price: float,
    shortest: float,
    longest: float,
    *believable: float,
) -> Plan:
    tables = [
        tuple(min(max(sqrt(2 * price / rate), shortest), longest) for rate in table)
        for table in rates
    ]
    return Plan(tables[0], tables[1], *believable)


def _even_requests(total: float, shortest: float, longest: float) -> float:
    """Return how many requests evenly drawn countdowns make until a video is seen to have ended."""
    mean = (shortest + longest) / 2
    return min(total, OLDEST) / mean + 0.5 + (longest - shortest) ** 2 / (24 * mean**2)


def _requests(plan: Plan, lives: Sequence[Life], shortest: float, longest: float) -> int:
    """Return how many requests a plan would have made for past videos."""
    mean, requests = (shortest + longest) / 2, 0
    for number, life in enumerate(lives):
        # The first countdown is drawn evenly: this walks through its range instead.
        age = shortest + (longest - shortest) * (number * 0.618 % 1)
        requests += 1
        end = min(life.total, OLDEST)
        while age < end:
            is_queued = life.rendering is None or age < life.queued
            age += plan.countdown(age, None if is_queued else age - life.queued) or mean
            requests += 1
    return requests


def _believable(lives: Sequence[Life], rates: Sequence[float]) -> tuple[float, float]:
    """Return between which ages in progress an end is believed: a fifth beyond what was seen."""
    ended = sorted(life.rendering for life in lives if life.is_ended and life.rendering is not None)
    if len(ended) < ENOUGH:
        return 0.0, inf
    return 0.8 * ended[len(ended) // 20], 1.2 * BIN * len(rates)
