"""What a poll costs by how the worker keeps its connections to PostgreSQL.

    python -m benchmarks connections [--quick] [--rounds N] [--seconds N]

The same videos, over HTTP and Redis, on workers that differ in these settings alone; they take
turns. A figure is user and system time of the worker and its children for one poll, a ratio is
taken within each round, and sessions are those that the server has with the worker after it.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from . import api as apis
from .begin import OURS
from .poll import VIDEOS, Sample, measured
from .workers import Setup, begin, environment, site_for, worker_on

POOL = {"TEST_DATABASE_OPTIONS": '{"pool": true}'}
MAX_AGE = {"TEST_CONN_MAX_AGE": "60"}
NOT_KEPT = {"KEEP_CONNECTION": 0}

WORKERS = (
    Setup(pool="prefork", concurrency=2),
    Setup(pool="threads", concurrency=10),
    Setup(pool="gevent", concurrency=50),
)
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclasses.dataclass(frozen=True)
class Way:
    """Settings of one worker: those of `SEEDANCE`, and the environment of the project's."""

    label: str
    seedance: dict[str, Any]
    env: dict[str, str]


WAYS = (
    Way("kept (the default)", {}, {}),
    Way("kept, beside `CONN_MAX_AGE = 60`", {}, MAX_AGE),
    Way("kept, beside psycopg's pool", {}, POOL),
    Way("`KEEP_CONNECTION = 0`", NOT_KEPT, {}),
    Way("`KEEP_CONNECTION = 0`, `CONN_MAX_AGE = 60`", NOT_KEPT, MAX_AGE),
    Way("`KEEP_CONNECTION = 0`, psycopg's pool", NOT_KEPT, POOL),
)


def sample(way: Way, setup: Setup, api: apis.Api, seconds: float) -> tuple[Sample, int]:
    """Run one worker; return what a poll took, and how many sessions it has."""
    with site_for(setup, api, way.env, **way.seedance) as site:
        begin(site, OURS, api.ids)
        with worker_on(site, setup) as worker:
            worker.wait_for(OURS, 3 * len(api.ids))
            found = measured(worker, lambda: worker.runs(OURS), seconds)
            with psycopg.connect(site.database.url) as connection:
                (sessions,) = connection.execute(SESSIONS).fetchone() or (0,)
    return found, int(sessions)


def compare(setup: Setup, api: apis.Api, rounds: int, seconds: float) -> None:
    """Measure all ways in turns, and print a table in Markdown."""
    found: list[list[tuple[Sample, int]]] = [[] for _ in WAYS]
    for turn in range(rounds):
        for number in [*range(turn % len(WAYS), len(WAYS)), *range(turn % len(WAYS))]:
            found[number].append(sample(WAYS[number], setup, api, seconds))
    print(f"\n**{setup.pool}, {setup.concurrency} at once**\n")
    print("| | ms of CPU per poll | of the default | sessions |\n|---|---|---|---|")
    for way, samples in zip(WAYS, found, strict=True):
        cpu = [s.cpu * 1000 for s, _ in samples]
        ratios = [s.cpu / first.cpu for (s, _), (first, _) in zip(samples, found[0], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        most = max(sessions for _, sessions in samples)
        print(f"| {way.label} | {statistics.median(cpu):.1f} | {spread} | {most} |", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure each pool, and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one round, prefork alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    options = parser.parse_args(arguments)
    rounds, seconds = (1, 3.0) if options.quick else (options.rounds, options.seconds)
    with (
        tempfile.TemporaryDirectory() as folder,
        apis.running(Path(folder), environment(), VIDEOS) as api,
    ):
        for setup in WORKERS[:1] if options.quick else WORKERS:
            compare(setup, api, rounds, seconds)
