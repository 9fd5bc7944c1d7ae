"""The countdown of a poll: bounds for any input, spread, history, progress, the budget."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedance_celery.polling.cadence import Facts, next_countdown
from seedance_celery.polling.plans import BIN, ENOUGH, Life, Plan, make_plan
from seedance_celery.waits import countdown

SHORTEST, LONGEST = 10.0, 20.0
MEAN = 15.0


def lives(*seconds: float, queued: float = 5.0, count: int = 200, is_ended: bool = True) -> Any:
    """Return past videos that were in progress for so long, in turn."""
    return [Life(queued, seconds[n % len(seconds)], is_ended) for n in range(count)]


# From 80 to 160 s, most about 120.
USUAL = lives(*(120 + 40 * math.sin(n) ** 3 for n in range(200)))
PLAN = make_plan(USUAL, SHORTEST, LONGEST)
assert PLAN is not None


def mean_countdown(facts: Facts, plan: Plan | None, draws: int = 400) -> float:
    chance = Random(1)
    return (
        sum(next_countdown(facts, plan, SHORTEST, LONGEST, chance.random) for _ in range(draws))
        / draws
    )


def follow(end: float, plan: Plan | None, chance: Random, shown: Any = None) -> list[float]:
    """Ask for a video until it ends; return when."""
    polls = [0.0, next_countdown(Facts(), plan, SHORTEST, LONGEST, chance.random)]
    progress = 0
    while polls[-1] < end:
        age, before = polls[-1], progress
        progress = max(before, shown(age / end)) if shown else 0
        since = polls[-1] - polls[-2]
        facts = Facts(age, age, len(polls) - 1, progress, progress - before, since)
        polls.append(age + next_countdown(facts, plan, SHORTEST, LONGEST, chance.random))
    return polls[1:]


def ask_evenly(end: float, chance: Random) -> list[float]:
    """Ask at intervals drawn evenly until a video ends; return when."""
    polls = [countdown(SHORTEST, LONGEST, chance.random)]
    while polls[-1] < end:
        polls.append(polls[-1] + countdown(SHORTEST, LONGEST, chance.random))
    return polls


# Whatever it is told, the countdown is in the interval.

ANY = st.one_of(st.none(), st.floats(), st.integers(-(10**12), 10**12))
LIVES = st.lists(
    st.builds(Life, st.floats(), st.one_of(st.none(), st.floats()), st.booleans()), max_size=60
)
PLANS = st.sampled_from([None, PLAN, Plan((), ()), Plan((20.0,), (10.0,))])


@given(
    age=ANY,
    rendering=ANY,
    polls=st.integers(-5, 10**6),
    progress=st.one_of(st.none(), st.integers(-200, 400)),
    gained=st.one_of(st.none(), st.integers(-200, 400)),
    since=ANY,
    plan=PLANS,
    interval=st.tuples(st.floats(0, 100), st.floats(0, 100)),
    seed=st.integers(0, 100),
)
def test_any_input_gives_a_countdown_in_the_interval(
    plan: Plan | None, interval: tuple[float, float], seed: int, **facts: Any
) -> None:
    shortest, longest = sorted(interval)
    drawn = next_countdown(Facts(**facts), plan, shortest, longest, Random(seed).random)
    assert shortest <= drawn <= longest


@given(known=LIVES, factor=st.floats(1, 40))
def test_any_history_gives_a_plan_in_the_interval_or_none(known: list[Life], factor: float) -> None:
    plan = make_plan([*known, *lives(30 * factor, count=ENOUGH)], SHORTEST, LONGEST)
    assert plan is not None
    assert all(SHORTEST <= x <= LONGEST for x in (*plan.queued, *plan.rendering))


@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Facts(age=math.nan, polls=3),
        Facts(age=-50, rendering=-60, polls=3),
        Facts(age=math.inf, polls=3),
        Facts(age=60, rendering=50, polls=4, progress=0),
        Facts(age=60, rendering=50, polls=4, progress=100, gained=100, since=15),
        Facts(age=60, rendering=0, polls=4, progress=50, gained=10, since=0),
        Facts(age=None, rendering=None, polls=4, progress=None, gained=None),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("plan", [None, PLAN])
def test_odd_facts_give_a_countdown_in_the_interval(facts: Facts, plan: Plan | None) -> None:
    for seed in range(20):
        drawn = next_countdown(facts, plan, SHORTEST, LONGEST, Random(seed).random)
        assert SHORTEST <= drawn <= LONGEST


@pytest.mark.parametrize("known", [[], lives(100, count=ENOUGH - 1), lives(100, is_ended=False)])
def test_too_short_a_history_makes_no_plan(known: list[Life]) -> None:
    assert make_plan(known, SHORTEST, LONGEST) is None


def test_a_simulators_interval_makes_no_plan() -> None:
    assert make_plan(USUAL, 0.05, 0.2) is None


def test_broken_lives_are_left_out() -> None:
    broken = [Life(math.nan, 5, True), Life(5, math.inf, True), Life(-1, 5, True)] * 50
    assert make_plan([*USUAL, *broken], SHORTEST, LONGEST) == PLAN


# Spread.


def test_the_first_countdown_is_drawn_evenly() -> None:
    drawn = [
        next_countdown(Facts(), PLAN, SHORTEST, LONGEST, lambda x=n: x / 10) for n in range(10)
    ]
    assert drawn == [countdown(SHORTEST, LONGEST, lambda x=n: x / 10) for n in range(10)]
    assert drawn == pytest.approx([10.0 + n for n in range(10)])


@pytest.mark.parametrize("plan", [None, PLAN])
def test_a_thousand_created_together_do_not_poll_together(plan: Plan | None) -> None:
    chance, seconds = Random(3), Counter[int]()
    for _ in range(1000):
        seconds.update(int(at) for at in follow(chance.gauss(120, 20), plan, chance))
    # Drawn evenly, a hundred are asked for in each second from the tenth on.
    assert max(seconds.values()) < 170


def test_identical_videos_with_exact_progress_do_not_poll_together() -> None:
    chance, seconds = Random(3), Counter[int]()
    for _ in range(1000):
        seconds.update(int(at) for at in follow(120.5, PLAN, chance, lambda s: int(100 * s)))
    assert max(seconds.values()) < 500


# History.


def test_a_dull_stretch_is_asked_rarely_and_the_likely_end_often() -> None:
    dull = mean_countdown(Facts(age=35, rendering=30, polls=2), PLAN)
    hot = mean_countdown(Facts(age=125, rendering=120, polls=7), PLAN)
    assert dull > 19
    assert hot < 11


def test_the_nearer_the_end_the_sooner_the_next_poll() -> None:
    table = PLAN.rendering[: int(115 / BIN)]
    assert all(later <= sooner + 2 for sooner, later in pairwise(table))
    assert table[0] == LONGEST
    assert table[-1] == SHORTEST


def test_a_video_that_outlives_history_is_asked_evenly_again() -> None:
    assert PLAN.countdown(900, 890) is None
    facts = Facts(age=900, rendering=890, polls=60)
    assert 14 < mean_countdown(facts, PLAN) < 16.5


def test_videos_in_work_tell_that_it_takes_longer_now() -> None:
    # All that ended took 80 to 160 s. As many have been at it for 300 s.
    plan = make_plan([*USUAL, *lives(300, is_ended=False)], SHORTEST, LONGEST)
    assert plan is not None
    now, before = plan.countdown(205, 200), PLAN.countdown(205, 200)
    assert before is None
    assert now is not None


def test_a_memoryless_kind_is_asked_evenly() -> None:
    chance = Random(5)
    known = [Life(0.0, chance.expovariate(1 / 120), True) for _ in range(300)]
    plan = make_plan(known, SHORTEST, LONGEST)
    assert plan is not None
    assert all(abs(x - MEAN) < 3.5 for x in plan.rendering[:40])


def test_queued_videos_are_asked_rarely_where_none_ends_in_the_queue() -> None:
    plan = make_plan(lives(60, 80, 100, queued=200), SHORTEST, LONGEST)
    assert plan is not None
    assert min(plan.queued[: int(180 / BIN)]) > 17


def test_a_kind_that_ends_at_two_ages_is_asked_often_at_both() -> None:
    plan = make_plan(lives(40, 45, 50, 290, 300, 310), SHORTEST, LONGEST)
    assert plan is not None
    at = {age: plan.countdown(age + 5, age) for age in (40, 150, 295)}
    assert at[40] == at[295] == SHORTEST
    assert at[150] > 18


# The budget.

HISTORIES = {
    "none": None,
    "right": PLAN,
    "far too fast": make_plan(lives(30, 35, 40), SHORTEST, LONGEST),
    "far too slow": make_plan(lives(500, 600, 700), SHORTEST, LONGEST),
    "two ages": make_plan(lives(40, 45, 300, 310), SHORTEST, LONGEST),
}
PROGRESS = {
    "still": lambda share: 50,
    "exact": lambda share: int(100 * share),
    "hasty": lambda share: min(90, int(300 * share)),
    "shy": lambda share: int(30 * share),
    "tens": lambda share: 10 * int(10 * share),
}


@pytest.mark.parametrize("shown", PROGRESS.values(), ids=PROGRESS)
@pytest.mark.parametrize("plan", HISTORIES.values(), ids=HISTORIES)
def test_no_video_is_asked_much_more_often_than_evenly(plan: Plan | None, shown: Any) -> None:
    # Whatever history and progress pretend, and however long it takes.
    for seed, end in enumerate((20, 60, 120, 300, 900, 3600)):
        polls = follow(end, plan, Random(seed), shown)
        assert len(polls) <= end / MEAN + 3.5


def test_a_right_plan_asks_no_more_and_sees_the_end_sooner() -> None:
    chance = Random(11)
    ends = [120 + 40 * math.sin(n) ** 3 + 5 for n in range(2000)]
    planned = [follow(end, PLAN, chance) for end in ends]
    even = [ask_evenly(end, chance) for end in ends]
    lag = [
        sum(polls[-1] - end for polls, end in zip(way, ends, strict=True)) / len(ends)
        for way in (planned, even)
    ]
    assert lag[0] < 0.8 * lag[1]
    assert sum(map(len, planned)) < 1.02 * sum(map(len, even))


def test_what_a_long_hold_left_out_is_not_made_up_for() -> None:
    # Five minutes without a poll leave twenty requests in hand.
    assert mean_countdown(Facts(age=360, polls=4), None) > 14.5


# Progress.


def test_exact_progress_places_the_last_poll_just_after_the_end() -> None:
    lags = []
    for seed in range(400):
        end = 60 + seed / 4
        polls = follow(end, None, Random(seed), lambda share: int(100 * share))
        lags.append(polls[-1] - end)
    assert sum(lags) / len(lags) < 4


@pytest.mark.parametrize(
    ("facts", "low", "high"),
    [
        # One percent takes 1.2 s.
        (Facts(age=96, rendering=96, polls=6, progress=80, gained=16, since=19.2), 12.0, 20.0),
        (Facts(age=108, rendering=108, polls=7, progress=89, gained=10, since=12), 12.0, 17.0),
        (Facts(age=105, rendering=105, polls=7, progress=87, gained=12, since=15), 15.0, 19.0),
    ],
)
def test_progress_that_moves_with_time_foretells_the_end(
    facts: Facts, low: float, high: float
) -> None:
    for seed in range(20):
        assert low <= next_countdown(facts, None, SHORTEST, LONGEST, Random(seed).random) <= high


@pytest.mark.parametrize(
    "change",
    [
        {"gained": 0},  # stands still
        {"gained": 89},  # the first that is told
        {"gained": 78},  # leapt
        {"progress": 100},
        {"since": 300.0},  # the answer before is older than the rendering
    ],
)
def test_progress_that_cannot_tell_is_not_believed(change: dict[str, Any]) -> None:
    facts = Facts(age=108, rendering=108, polls=7, progress=89, gained=10, since=12)
    odd = replace(facts, **change)
    blank = replace(facts, progress=0, gained=0)
    for seed in range(20):
        drawn = [
            next_countdown(f, None, SHORTEST, LONGEST, Random(seed).random) for f in (odd, blank)
        ]
        assert drawn[0] == drawn[1]


def test_history_overrules_a_progress_that_foretells_the_impossible() -> None:
    # It would end at 24 s; none has ended before 80.
    facts = Facts(age=20, rendering=20, polls=1, progress=80, gained=20, since=5)
    assert mean_countdown(facts, PLAN) > 18
