"""The videos of the benchmark `cadence`: how long they take, and what progress they show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

Life = Callable[[Random, float], tuple[float, float]]
"""Seconds queued and seconds in progress, by chance and the share of the run that is over."""
Shown = Callable[[Random, float], int]
"""Progress in percent, by chance and the share of the rendering that is over."""


def lognormal(chance: Random, median: float, sigma: float) -> float:
    return median * math.exp(chance.gauss(0.0, sigma))


def published(chance: Random, run: float) -> tuple[float, float]:
    # "Most jobs finish within 1 to 3 minutes."
    return chance.uniform(2, 8), min(max(lognormal(chance, 105, 0.28), 50), 175)


def even(chance: Random, run: float) -> tuple[float, float]:
    return 5.0, chance.uniform(55, 175)


def tailed(chance: Random, run: float) -> tuple[float, float]:
    # One in ten takes more than ten minutes, some of them hours.
    queue, render = published(chance, run)
    is_long = chance.random() < 0.1
    return queue, 600 * (1 - chance.random()) ** -0.4 if is_long else render


def waiting(chance: Random, run: float) -> tuple[float, float]:
    return chance.expovariate(1 / 120), lognormal(chance, 100, 0.25)


def two_kinds(chance: Random, run: float) -> tuple[float, float]:
    return 5.0, lognormal(chance, 45 if chance.random() < 0.5 else 300, 0.15)


def memoryless(chance: Random, run: float) -> tuple[float, float]:
    return 0.0, 15 + chance.expovariate(1 / 120)


def quick(chance: Random, run: float) -> tuple[float, float]:
    return 2.0, chance.uniform(20, 40)


def failing(chance: Random, run: float) -> tuple[float, float]:
    return (2.0, chance.uniform(5, 30)) if chance.random() < 0.1 else published(chance, run)


def drifting(factor: float) -> Life:
    def life(chance: Random, run: float) -> tuple[float, float]:
        # Ten times in a run the provider changes, and changes back.
        queue, render = published(chance, run)
        return queue, render * (factor if int(run * 20) % 2 else 1.0)

    return life


def crowded(chance: Random, run: float) -> tuple[float, float]:
    # Of a thousand that come together, each waits for its turn.
    return chance.uniform(0, 300), lognormal(chance, 100, 0.25)


def same(chance: Random, run: float) -> tuple[float, float]:
    return 5.0, 115.0


def still(chance: Random, share: float) -> int:
    return 50


def exact(chance: Random, share: float) -> int:
    return int(100 * share)


def noisy(chance: Random, share: float) -> int:
    return max(0, int(100 * share + chance.gauss(0.0, 5.0)))


def in_tens(chance: Random, share: float) -> int:
    return 10 * int(10 * share)


def in_steps(chance: Random, share: float) -> int:
    return (0, 10, 30, 50)[int(4 * share)]


def hasty(chance: Random, share: float) -> int:
    return min(90, int(300 * share))


def shy(chance: Random, share: float) -> int:
    return int(30 * share)


def every_hour(number: int) -> float:
    """Return the seconds between a video's create and the one before: a thousand, then none."""
    return 0.001 if number % 1000 else 3600.0


@dataclass(frozen=True)
class Case:
    """Videos of one kind, and whether what they took is learned from."""

    life: Life
    shown: Shown
    learns: bool = True
    burst: Callable[[int], float] | None = None
    in_bursts: bool = False
    """Whether the fullest second of a burst is measured, too."""


NAMED = {
    "1 to 3 minutes, stands still": Case(published, still, in_bursts=True),
    "1 to 3 minutes, exact progress": Case(published, exact, in_bursts=True),
    "1 to 3 minutes, noisy progress": Case(published, noisy),
    "1 to 3 minutes, progress in tens": Case(published, in_tens, in_bursts=True),
    "1 to 3 minutes, progress 0, 10, 30, 50": Case(published, in_steps),
    "evenly 1 to 3 minutes, stands still": Case(even, still),
    "tail beyond 10 minutes, stands still": Case(tailed, still),
    "tail beyond 10 minutes, exact progress": Case(tailed, exact),
    "tail beyond 10 minutes, progress in tens": Case(tailed, in_tens),
    "long queue, stands still": Case(waiting, still),
    "long queue, exact progress": Case(waiting, exact),
    "45 s or 5 minutes, stands still": Case(two_kinds, still, in_bursts=True),
    "memoryless, stands still": Case(memoryless, still),
    "20 to 40 s, stands still": Case(quick, still),
    "progress three times too fast, then 90": Case(published, hasty),
    "progress that ends at 30": Case(published, shy),
    "one in ten fails at once": Case(failing, still),
    "1.6 times slower now and then": Case(drifting(1.6), still),
    "0.6 times as long now and then": Case(drifting(0.6), still),
    "1,000 an hour, in one second": Case(crowded, still, burst=every_hour, in_bursts=True),
    "1,000 an hour, all of 2 minutes, exact progress": Case(
        same, exact, burst=every_hour, in_bursts=True
    ),
}
_WITHOUT = (
    "1 to 3 minutes, stands still",
    "1 to 3 minutes, exact progress",
    "1 to 3 minutes, noisy progress",
    "1 to 3 minutes, progress in tens",
    "1 to 3 minutes, progress 0, 10, 30, 50",
    "memoryless, stands still",
    "progress three times too fast, then 90",
    "progress that ends at 30",
)
COLD = {f"{name} (no history)": replace(NAMED[name], learns=False) for name in _WITHOUT}
