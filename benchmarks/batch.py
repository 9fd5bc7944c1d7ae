"""Both ways to poll at 100 to 100,000 videos in flight, and 100,000 rows in PostgreSQL.

    python -m benchmarks batch [--quick] [--sizes 100 1000] [--seconds N] [--parts cpu sizes ...]

* cpu: the CPU of one poll, beside (a), the hand-written `requests.get` and `self.retry`; all ways
  in turns, over HTTP and HTTPS
* sizes: a worker with two processes at the default cadence: is it on time, and what does it take?
* slow: the same with the last size and a cadence fifteen times as long, in batches
* rows: what 100,000 rows in flight make of tables, indexes and statements

Prints Markdown. PostgreSQL, Redis, prefork; the API is the simulator, in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import redis
import requests

from tests.harness.processes import ROOT
from tests.harness.site import Site

from . import api as apis
from ._rows import measure_rows
from ._table import line, table
from .begin import OURS
from .workers import Measured, Setup, begin, environment, rest, site_for, worker_on

HAND = "benchmarks.tasks.requests_get"
SAMPLE = 1000
"""Videos whose next poll is timed."""
CADENCE = (10.0, 20.0)
SLOW = (150.0, 300.0)


@dataclass(frozen=True)
class Way:
    """One way to poll: its label, the setting of the package or the task that is called."""

    label: str
    poller: str = ""

    def settings(self) -> dict[str, str]:
        return {"POLLER": self.poller} if self.poller else {}


LOOP, BATCH, BY_HAND = Way("loop", "loop"), Way("batch", "batch"), Way("(a) by hand")


def start(site: Site, ids: list[str]) -> None:
    """Put videos in flight."""
    command = [sys.executable, "-m", "benchmarks._flight"]
    subprocess.run(command, input="\n".join(ids), env=site.env, cwd=ROOT, text=True, check=True)


# The CPU of one poll.


def cpu_of(way: Way, scheme: str, seconds: float, api: apis.Api) -> float:
    """Return the seconds of CPU for one poll: of the worker and its children."""
    # By hand the cost does not depend on the number: fewer are enough, and all are on time.
    count = len(api.ids) if way is BATCH else 60
    setup = Setup(scheme, countdown=2.0)
    with site_for(setup, api, **way.settings()) as site:
        begin(site, OURS if way.poller else HAND, api.ids[:count])
        with worker_on(site, setup) as worker:
            first = api.polls()
            site.wait_until(lambda: api.polls() >= first + 2 * count, 120, f"{way.label} polls")
            polls, cpu = api.polls(), worker.cpu()
            rest(seconds)
            cpu, polls = worker.cpu() - cpu, api.polls() - polls
    return cpu / polls


def measure_cpu(rounds: int, seconds: float, count: int) -> None:
    """Measure each way in turns and print them beside (a)."""
    print(
        f"\n### CPU per poll ({count} videos in batches, 60 otherwise; median of {rounds} rounds)"
    )
    rows = []
    with api_with(count) as api:
        for scheme in ("http", "https"):
            found = [{w: cpu_of(w, scheme, seconds, api) for w in WAYS} for _ in range(rounds)]
            for way in WAYS:
                ms = [1000 * round_[way] for round_ in found]
                of_hand = [round_[way] / round_[BY_HAND] for round_ in found]
                rows.append([scheme.upper(), way.label, spread(ms), spread(of_hand, 3)])
    table(["", "way", "ms of CPU per poll", "of (a)"], rows)


WAYS = (BY_HAND, LOOP, BATCH)


def spread(values: list[float], digits: int = 2) -> str:
    """Return a median, with the lowest and the highest."""
    middle, low, high = statistics.median(values), min(values), max(values)
    if len(values) == 1:
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


@contextmanager
def api_with(count: int) -> Iterator[apis.Api]:
    """Run the API with so many videos."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with apis.running(folder, environment(), count) as api:
            yield api


# Both ways at a size.


def measure_sizes(
    sizes: list[int], seconds: float, cadence: tuple[float, float], ways: tuple[Way, ...]
) -> None:
    """Measure ways at each size and print what they take."""
    low, high = cadence
    print(f"\n### One worker, two processes, countdown of {low:.0f} to {high:.0f} s,", end=" ")
    print(f"{seconds:.0f} s measured")
    head = ["in flight", "way", "polls/s", "wanted", "late: median, s", "95 %, s", "CPU, cores"]
    head += ["worker, MiB", "broker, MiB", "messages/s", "transactions/poll"]
    table(head, [])
    for size in sizes:
        with api_with(size) as api:
            for way in ways:
                line([f"{size:,}", way.label, *measure_size(way, api, seconds, cadence)])


def measure_size(
    way: Way, api: apis.Api, seconds: float, cadence: tuple[float, float]
) -> list[str]:
    """Return the cells of one way at one size."""
    setup = Setup("http")
    options = {**way.settings(), "POLL_COUNTDOWN": list(cadence)}
    with site_for(setup, api, **options) as site, worker_on(site, setup) as worker:
        worker.wait_for("seedance_celery.tasks.sweep_videos", 1)
        start(site, api.ids)
        rest(cadence[1])
        before = Figures.of(site, worker, api)
        next_polls = sample_of(site)
        rest(seconds)
        after = Figures.of(site, worker, api)
        late = lateness(api, next_polls, worker)
        memory, broker = memory_of(worker), broker_bytes(site)
    polls, wall = max(1, after.polls - before.polls), after.at - before.at
    return [
        f"{polls / wall:.0f}",
        f"{len(api.ids) / (sum(cadence) / 2):.0f}",
        f"{statistics.median(late):.1f}",
        f"{sorted(late)[int(len(late) * 0.95)]:.1f}",
        f"{(after.cpu - before.cpu) / wall:.2f}",
        f"{memory / 2**20:.0f}",
        f"{broker / 2**20:.2f}",
        f"{(after.runs - before.runs) / wall:.1f}",
        f"{(after.transactions - before.transactions) / polls:.2f}",
    ]


@dataclass(frozen=True)
class Figures:
    """What has been counted until one moment."""

    at: float
    polls: int
    cpu: float
    runs: int
    transactions: int

    @classmethod
    def of(cls, site: Site, worker: Measured, api: apis.Api) -> Figures:
        runs = sum(worker.stats().get("total", {}).values())
        name = urlsplit(site.database.url).path.strip("/")
        asked = "SELECT xact_commit FROM pg_stat_database WHERE datname = %s"
        commits = int(query(site, asked, name)[0][0])
        return cls(worker.clock(), api.polls(), worker.cpu(), runs, commits)


def query(site: Site, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement in a site's database."""
    with closing(psycopg.connect(site.database.url)) as connection:
        return connection.execute(sql, values).fetchall()  # type: ignore[arg-type]


def sample_of(site: Site) -> dict[str, float]:
    """Return when some videos are due, as Unix seconds by the API's id."""
    sql = (
        "SELECT api_id, extract(epoch FROM next_poll_at)::float FROM seedance_celery_video"
        " WHERE next_poll_at BETWEEN now() AND now() + interval '20 seconds'"
        " ORDER BY random() LIMIT %s"
    )
    return dict(query(site, sql, SAMPLE))


def lateness(api: apis.Api, due: dict[str, float], worker: Measured) -> list[float]:
    """Return by how many seconds each of these polls was late; at least, where none came yet."""
    now = requests.get(f"{api.urls['http']}/_simulator/", timeout=30).json()["now"]
    videos = requests.get(f"{api.urls['http']}/_simulator/videos", timeout=60).json()["videos"]
    late = []
    for video in videos:
        at = due.get(video["id"])
        if at is not None:
            asked = min((t for t in video["asked_at"] if t >= at - 1), default=now)
            late.append(max(0.0, asked - at))
    return late


def memory_of(worker: Measured) -> int:
    """Return the bytes that belong to the worker's processes alone."""
    pids = worker.process.pids()
    return sum(psutil.Process(pid).memory_full_info().uss for pid in pids if psutil.pid_exists(pid))


def broker_bytes(site: Site) -> int:
    """Return the bytes of the site's keys in Redis."""
    with redis.Redis.from_url(site.broker.url) as client:
        keys = list(client.scan_iter(match=f"*{site.broker.name}*", count=1000))
        return sum(client.memory_usage(key, samples=0) or 0 for key in keys)


def main(arguments: list[str] | None = None) -> None:
    """Run the parts and print their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one round, small sizes")
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--rows", type=int, default=100_000, help="rows in flight")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    options = parser.parse_args(arguments)
    if options.quick:
        options.sizes, options.rows, options.rounds, options.seconds = [100], 10_000, 1, 15.0
        options.parts = [part for part in options.parts if part != "slow"]
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    for part in options.parts:
        PARTS[part](options)


PARTS: dict[str, Callable[[Any], None]] = {
    "cpu": lambda o: measure_cpu(o.rounds, min(o.seconds, 10.0), 200 if o.quick else 1000),
    "sizes": lambda o: measure_sizes(o.sizes, o.seconds, CADENCE, (LOOP, BATCH)),
    "slow": lambda o: measure_sizes(o.sizes[-1:], o.seconds, SLOW, (BATCH,)),
    "rows": lambda o: measure_rows(o.rows),
}
