"""The CPU of one poll, beside hand-written tasks and beside a task that does nothing.

    python -m benchmarks poll [--quick | --full] [--markdown] [--rounds N] [--seconds N]

Each way follows the same videos, which stay in progress, with the same countdown, in a real worker
of its own; the ways take turns, round after round. A figure is user and system time of the worker
and all its children, divided by the polls of that time. The API is another process.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import api as apis
from .begin import OURS
from .workers import Measured, Setup, begin, environment, rest, site_for, worker_on


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to follow a video: a task, and what to call it."""

    key: str
    label: str
    task: str
    concurrency: int = 2
    """A way that blocks needs a process for each video."""


WAYS = [
    Way("ours", "seedance_celery", OURS),
    Way("a", "(a) `requests.get`, `self.retry`", "benchmarks.tasks.requests_get"),
    Way("b", "(b) module-level `Session`, `self.retry`", "benchmarks.tasks.module_session"),
    Way("c", "(c) `openai` client, `self.retry`", "benchmarks.tasks.openai_retrieve"),
    Way("d", "(d) a loop that blocks", "benchmarks.tasks.blocking_loop", concurrency=10),
    Way("e", "(e) empty, raises `Retry`", "benchmarks.tasks.empty_raising"),
    Way("f", "(e) empty, `throw=False`", "benchmarks.tasks.empty_returning"),
]
MAIN = [way for way in WAYS if way.key in ("ours", "a", "b")]
VIDEOS = 60

# More than the worker can do: what is told then is its polls per second.
SATURATED = (Setup("https", countdown=0.1), MAIN)
DEFAULT = [(Setup("https"), WAYS), (Setup("http"), WAYS), SATURATED]
FULL = [
    *DEFAULT,
    (Setup("https", broker="rabbitmq"), MAIN),
    (Setup("https", database="sqlite"), MAIN),
    (Setup("https", pool="threads", concurrency=10), MAIN),
    (Setup("https", pool="gevent", concurrency=50), MAIN),
    (Setup("http", database="sqlite"), MAIN),
    (Setup("http", pool="threads", concurrency=10), MAIN),
    (Setup("http", pool="gevent", concurrency=50), MAIN),
]
QUICK = [(Setup("http"), MAIN)]


@dataclasses.dataclass(frozen=True)
class Sample:
    """One way, measured once: CPU seconds of a poll, and polls per second."""

    cpu: float
    rate: float


def sample(way: Way, setup: Setup, api: apis.Api, seconds: float) -> Sample:
    """Run one way in a worker of its own and measure it."""
    if way.concurrency > setup.concurrency:
        setup = dataclasses.replace(setup, concurrency=way.concurrency)
    is_blocking = way.key == "d"
    ids = api.ids[: way.concurrency] if is_blocking else api.ids
    with site_for(setup, api) as site:
        begin(site, way.task, ids)
        with worker_on(site, setup) as worker:
            # Everything is imported, connected and compiled once before the measuring starts.
            worker.wait_for(way.task, len(ids) if is_blocking else 3 * len(ids))
            polls = api.polls if is_blocking else lambda: worker.runs(way.task)
            return measured(worker, polls, seconds)


def measured(worker: Measured, polls: Callable[[], int], seconds: float) -> Sample:
    """Let a worker run for so many seconds; return what a poll took of them."""
    begun = polls(), worker.cpu(), worker.clock()
    rest(seconds)
    count, cpu, wall = polls() - begun[0], worker.cpu() - begun[1], worker.clock() - begun[2]
    if count <= 0 or not worker.process.is_running:
        raise RuntimeError(f"no poll in {seconds:g} s:\n{worker.process.log(20)}")
    return Sample(cpu / count, count / wall)


def compare(
    setup: Setup, ways: list[Way], api: apis.Api, rounds: int, seconds: float
) -> dict[str, list[Sample]]:
    """Measure ways in turns."""
    samples: dict[str, list[Sample]] = {way.key: [] for way in ways}
    for number in range(rounds):
        for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
            samples[way.key].append(sample(way, setup, api, seconds))
    return samples


def rows(ways: list[Way], samples: dict[str, list[Sample]]) -> Iterator[list[str]]:
    """Return a line for each way: its CPU, and its ratio to (a) and (b), round by round."""
    for way in ways:
        cpu = [s.cpu * 1000 for s in samples[way.key]]
        row = [way.label, f"{statistics.median(cpu):.1f} ({min(cpu):.1f} to {max(cpu):.1f})"]
        for other in ("a", "b"):
            if not samples.get(other):
                row.append("")
                continue
            pairs = zip(samples[way.key], samples[other], strict=True)
            ratios = [mine.cpu / theirs.cpu for mine, theirs in pairs]
            middle = statistics.median(ratios)
            row.append(f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        row.append(f"{statistics.median(s.rate for s in samples[way.key]):.0f}")
        yield row


HEAD = ["", "ms of CPU per poll", "of (a)", "of (b)", "polls a second"]


def show(setup: Setup, lines: list[list[str]], *, markdown: bool) -> None:
    """Print a table."""
    if markdown:
        print(f"\n**{setup}**\n\n| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
        for line in lines:
            print(f"| {' | '.join(line)} |")
        return
    print(f"\n{setup}")
    for line in [HEAD, *lines]:
        print(f"{line[0]:<42} {line[1]:<22} {line[2]:<20} {line[3]:<20} {line[4]}")


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the tables; medians, with the lowest and the highest round."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one round, HTTP only")
    parser.add_argument("--full", action="store_true", help="other brokers, databases and pools")
    parser.add_argument("--markdown", action="store_true", help="tables for the documentation")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--ways", default="", help="letters, such as ours,a,b")
    parser.add_argument("--only", default="", help="setups that contain this text")
    options = parser.parse_args(arguments)
    cells = QUICK if options.quick else FULL if options.full else DEFAULT
    rounds, seconds = (1, 4.0) if options.quick else (options.rounds, options.seconds)
    wanted = options.ways.split(",") if options.ways else []
    with (
        tempfile.TemporaryDirectory() as folder,
        apis.running(Path(folder), environment(), VIDEOS) as api,
    ):
        for setup, ways in cells:
            if options.only.lower() not in str(setup).lower():
                continue
            chosen = [way for way in ways if not wanted or way.key in wanted]
            try:
                samples = compare(setup, chosen, api, rounds, seconds)
            except pytest.skip.Exception as error:
                print(f"\n{setup}: skipped, {error}")
                continue
            show(setup, list(rows(chosen, samples)), markdown=options.markdown)
