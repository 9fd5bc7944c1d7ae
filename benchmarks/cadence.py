"""How soon the end of a video is noticed and how often it is asked for: 100,000 simulated videos.

`python -m benchmarks cadence [--videos N] [--quick] [--seed N]`. Needs nothing. Prints tables in
Markdown: lag is the seconds between the end of a video and the poll that sees it. What is asked is
the package's own `next_countdown()`, with plans of the package's own, made anew from what was seen
of earlier videos as often and as late as a worker does; nothing is known at the start.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from random import Random

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")
django.setup()

from seedance_celery.polling import plans  # noqa: E402
from seedance_celery.polling.cadence import Facts, next_countdown  # noqa: E402
from seedance_celery.polling.timings import LIVES, PERIOD, SETTLED  # noqa: E402

from .cadence_set import COLD, NAMED, Case, Life  # noqa: E402

SHORTEST, LONGEST = 10.0, 20.0
PER_MINUTE = 20
"""Videos that are created in a minute, at random moments."""
BURST = 1000


@dataclass(frozen=True)
class Watched:
    """When a video was asked for, and when it was seen in progress; seconds from its create."""

    polls: list[float]
    seen: float | None


@dataclass(frozen=True)
class Figures:
    """Lag in seconds, mean and 95th percentile, and polls per video."""

    lag: float
    p95: float
    polls: float


def watch(
    queue: float,
    render: float,
    shown: Callable[[float], int],
    plan: plans.Plan | None,
    chance: Random,
) -> Watched:
    """Ask for one video by the package's rule until it has ended."""
    end, polls, seen, progress = queue + render, [0.0], None, 0
    polls.append(next_countdown(Facts(), plan, SHORTEST, LONGEST, chance.random))
    while polls[-1] < end:
        now, before = polls[-1], progress
        if now >= queue:
            seen = (now + polls[-2]) / 2 if seen is None else seen
            progress = max(before, min(99, shown((now - queue) / render)))
        rendering = None if seen is None else now - seen
        facts = Facts(now, rendering, len(polls) - 1, progress, progress - before, now - polls[-2])
        polls.append(now + next_countdown(facts, plan, SHORTEST, LONGEST, chance.random))
    return Watched(polls[1:], seen)


def watch_all(case: Case, videos: int, seed: int, plan: plans.Plan | None = None) -> Figures:
    """Follow videos one after the other, with the history that a worker would have.

    Where a plan is given, it stays.
    """
    learns = case.learns and plan is None
    lives, chance, moments = Random(seed), Random(seed + 1), Random(seed + 2)
    past: deque[tuple[float, float | None, float]] = deque(maxlen=4 * LIVES)
    now, read_at = 0.0, -math.inf
    lags, polls = [], 0
    for number in range(videos):
        now += moments.expovariate(PER_MINUTE / 60) if case.burst is None else case.burst(number)
        if learns and now - read_at >= PERIOD:
            read_at, plan = now, plan_from(past, now)
        queue, render = case.life(lives, number / videos)
        watched = watch(queue, render, partial(case.shown, chance), plan, chance)
        lags.append(watched.polls[-1] - queue - render)
        polls += len(watched.polls)
        past.append((now, watched.seen, watched.polls[-1]))
    return figures(lags, polls)


def plan_from(past: Sequence[tuple[float, float | None, float]], now: float) -> plans.Plan | None:
    """Return the plan that the sweep would make at a time, of what polls had seen by then."""
    settled = (video for video in reversed(past) if video[0] < now - SETTLED)
    known = []
    for created, seen, end in islice(settled, LIVES):
        is_ended = created + end <= now
        age = end - SHORTEST / 2 if is_ended else now - created
        if seen is None or created + seen > now:
            known.append(plans.Life(age, None, is_ended))
        else:
            known.append(plans.Life(seen, max(0.0, age - seen), is_ended))
    return plans.make_plan(known, SHORTEST, LONGEST)


def watch_evenly(case: Case, videos: int, seed: int, low: float, high: float) -> Figures:
    """Ask for the same videos at intervals drawn evenly; always the same where low is high."""
    lives, chance = Random(seed), Random(seed + 1)
    lags, polls = [], 0
    for number in range(videos):
        end, now = sum(case.life(lives, number / videos)), 0.0
        while now < end:
            now += low + (high - low) * chance.random()
            polls += 1
        lags.append(now - end)
    return figures(lags, polls)


def foresee(case: Case, videos: int, seed: int) -> Figures:
    """Ask for the same videos as one who knows their ends: the limit of what can be done."""
    lives = Random(seed)
    ends = [sum(case.life(lives, number / videos)) for number in range(videos)]
    return figures(
        [max(0.0, SHORTEST - end) for end in ends], sum(-int(-e // LONGEST) for e in ends)
    )


def figures(lags: list[float], polls: int) -> Figures:
    """Return the figures of some videos."""
    lags.sort()
    return Figures(sum(lags) / len(lags), lags[int(len(lags) * 0.95)], polls / len(lags))


def measure(name: str, videos: int, seed: int) -> tuple[str, list[Figures]]:
    """Return the figures of one distribution: ours, uniform, fixed 10, fixed 20, the limit."""
    case = {**NAMED, **COLD}[name]
    evenly = [(SHORTEST, LONGEST), (SHORTEST, SHORTEST), (LONGEST, LONGEST)]
    found = [watch_all(case, videos, seed)]
    found += [watch_evenly(case, videos, seed, low, high) for low, high in evenly]
    return name, [*found, foresee(case, videos, seed)]


def worst_seconds(case: Case, seed: int, plan: plans.Plan | None) -> tuple[int, int]:
    """Return the polls in the fullest second after a burst: ours, and evenly drawn ones."""
    lives, chance = Random(seed), Random(seed + 1)
    ours: Counter[int] = Counter()
    even: Counter[int] = Counter()
    for _ in range(BURST):
        queue, render = case.life(lives, 0.0)
        shown = partial(case.shown, chance)
        ours.update(int(at) for at in watch(queue, render, shown, plan, chance).polls)
        at = 0.0
        while at < queue + render:
            at += SHORTEST + (LONGEST - SHORTEST) * chance.random()
            even[int(at)] += 1
    return max(ours.values()), max(even.values())


def learned(case: Case, seed: int) -> plans.Plan | None:
    """Return the plan from 300 videos that ended long ago."""
    lives, chance = Random(seed + 3), Random(seed + 4)
    past = []
    for number in range(LIVES):
        queue, render = case.life(lives, 0.0)
        watched = watch(queue, render, partial(case.shown, chance), None, chance)
        past.append((float(number), watched.seen, watched.polls[-1]))
    return plan_from(past, 1e6)


HEAD = (
    "| videos | lag | p95 | polls | lag ratio | polls ratio | fixed 10 | fixed 20 | limit |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def row(name: str, ours: Figures, even: Figures, *others: Figures) -> str:
    """Return a line of the table; ratios are to uniform(10, 20)."""
    cells = [
        f"{ours.lag:.2f} ({even.lag:.2f})",
        f"{ours.p95:.1f} ({even.p95:.1f})",
        f"{ours.polls:.2f} ({even.polls:.2f})",
        f"**{ours.lag / even.lag:.2f}**",
        f"{ours.polls / even.polls:.2f}",
    ]
    cells += [f"{o.lag / even.lag:.2f}, {o.polls / even.polls:.2f}" for o in others]
    return f"| {name} | {' | '.join(cells)} |"


def compare(names: Sequence[str], videos: int, seed: int) -> None:
    """Measure some distributions and print a table."""
    print(f"\n{HEAD}")
    lags, polls = [], []
    with ProcessPoolExecutor() as pool:
        for name, found in pool.map(partial(measure, videos=videos, seed=seed), names):
            print(row(name, *found), flush=True)
            lags.append(found[0].lag / found[1].lag)
            polls.append(found[0].polls / found[1].polls)
    print(f"\nMean of the ratios: lag {mean(lags):.3f}, polls {mean(polls):.3f}.", end=" ")
    print(f"Worst: lag {max(lags):.3f}, polls {max(polls):.3f}.")


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def show_bursts(seed: int) -> None:
    """Print the fullest second after 1,000 videos were created in one."""
    print(f"\n| {BURST:,} created in one second | polls in the fullest second | uniform(10, 20) |")
    print("|---|--:|--:|")
    for name in NAMED:
        case = NAMED[name]
        if case.in_bursts:
            ours, even = worst_seconds(case, seed, learned(case, seed))
            print(f"| {name} | {ours} | {even} |")


def show_stale(videos: int, seed: int) -> None:
    """Print what a history costs that is wrong and stays so."""
    print(
        "\n| the history says 1 to 3 minutes, and stays | lag ratio | polls ratio |\n|---|--:|--:|"
    )
    case = NAMED["1 to 3 minutes, stands still"]
    plan = learned(case, seed)
    for factor in (0.6, 0.8, 1.25, 1.6, 3.0):
        stretched = replace(case, life=partial(stretch, case.life, factor))
        ours = watch_all(stretched, videos, seed, plan)
        even = watch_evenly(stretched, videos, seed, SHORTEST, LONGEST)
        print(f"| takes {factor:g} times as long | {ours.lag / even.lag:.2f}", end="")
        print(f" | {ours.polls / even.polls:.2f} |")


def stretch(life: Life, factor: float, chance: Random, run: float) -> tuple[float, float]:
    """Return the life of a video that takes longer by a factor."""
    queue, render = life(chance, run)
    return factor * queue, factor * render


def main(arguments: list[str] | None = None) -> None:
    """Simulate and print the tables."""
    parser = argparse.ArgumentParser(
        prog="benchmarks cadence", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--videos", type=int, default=100_000, help="of each distribution")
    parser.add_argument("--quick", action="store_true", help="2,000 of each")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    videos = 2000 if options.quick else options.videos
    print(f"{videos} videos of each; in brackets uniform(10, 20). Lag in seconds.")
    compare(list(NAMED), videos, options.seed)
    print("\nBefore any video has ended, without any history:")
    compare(list(COLD), videos, options.seed)
    show_bursts(options.seed)
    show_stale(max(videos // 5, 1000), options.seed)


if __name__ == "__main__":
    main()
