"""Many videos in flight on one worker: memory, broker, start, stop, and how late polls are.

    python -m benchmarks in_flight [--quick] [--videos N] [--polled N] [--brokers redis,...]

First N videos wait with a long countdown: what a waiting video costs in the worker and in the
broker, how long the worker takes to load them all, and to stop. Then so many as are given with
`--polled` are polled with the default countdown of 10 to 20 s: how late each poll is, by the
database's clock, and the CPU. One worker, prefork, two processes.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from tests.harness.processes import ROOT
from tests.harness.site import Site
from tests.harness.waiting import wait_until

from . import api as apis
from .workers import Measured, Setup, environment, site_for, worker_on

BROKERS = ("redis", "rabbitmq", "rabbitmq-quorum")
LONG = 3000
"""Seconds: none of those that wait comes due while they are measured."""
LOADING = 60.0
"""Seconds that a worker gets to take what waits."""
HARDLY_ANY = 100
"""Messages held; with so few, memory tells nothing of each."""
LOOK = 4.0
"""Seconds between two looks at all rows: less than the shortest countdown, so none is missed."""


def insert(site: Site, ids: list[str], wait: tuple[float, float]) -> None:
    """Insert videos that are under way, and send a message for each."""
    command = [sys.executable, "-m", "benchmarks.insert", *map(str, wait)]
    subprocess.run(command, input="\n".join(ids), env=site.env, cwd=ROOT, text=True, check=True)


def broker_bytes(site: Site) -> int | None:
    """Return the bytes that the broker holds for this site; None where it does not tell."""
    if site.broker.kind == "redis":
        with redis.Redis.from_url(site.broker.url) as client:
            keys = client.scan_iter(match=f"{site.broker.name}:*", count=1000)
            return sum(int(client.memory_usage(key, samples=0) or 0) for key in keys)
    if shutil.which("rabbitmqctl") is None:
        return None
    command = ["rabbitmqctl", "-q", "list_queues", "name", "message_bytes"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    names = (site.broker.name, "celery_delayed_")
    sizes = [int(size) for name, size in lines if name.startswith(names) and size.isdecimal()]
    return sum(sizes) or None


def waiting(site: Site, setup: Setup, count: int) -> dict[str, Any]:
    """Measure videos that wait."""
    with worker_on(site, setup) as idle:
        wait_until(idle.stats, 60, "the worker is up")
        empty = idle.memory()
    before = broker_bytes(site) or 0
    insert(site, [f"task_{number:032}" for number in range(count)], (LONG, LONG))
    held = broker_bytes(site)
    begun = time.perf_counter()
    with worker_on(site, setup) as worker:
        wait_until(worker.stats, 60, "the worker is up")
        held_now = load(site, worker)
        took = time.perf_counter() - begun
        memory = worker.memory()
        stopped = time.perf_counter()
        worker.process.signal(15)
        worker.process.wait(120)
        stop = time.perf_counter() - stopped
    kib = round((memory - empty) / 1024 / max(1, min(held_now, count)), 1)
    return {
        "broker, bytes a video": "?" if held is None else round((held - before) / count),
        "held by the worker": min(held_now, count),
        "worker, KiB a held video": kib if held_now > HARDLY_ANY else "-",
        "start, s": round(took, 1),
        "stop, s": round(stop, 1),
    }


def load(site: Site, worker: Measured) -> int:
    """Wait until the worker has taken all, or a minute; return how many messages it holds.

    On classic queues RabbitMQ hands them out slowly; on quorum queues they wait in the broker.
    """
    ends_at = time.perf_counter() + LOADING
    while time.perf_counter() < ends_at and site.broker.depth():
        time.sleep(0.5)
    return int(worker.stats().get("prefetch_count", 0))


def look(site: Site) -> dict[Any, tuple[float, float]]:
    """Return for each video when its next poll is due, and when its last was answered."""
    statement = (
        "SELECT id, extract(epoch FROM next_poll_at), extract(epoch FROM asked_at)"
        " FROM seedance_celery_video"
    )
    with psycopg.connect(site.database.url, autocommit=True) as connection:
        rows = connection.execute(statement).fetchall()
    return {pk: (float(due), float(asked or 0)) for pk, due, asked in rows}


def polled(site: Site, setup: Setup, ids: list[str], seconds: float) -> dict[str, Any]:
    """Measure videos that are polled with the default countdown."""
    insert(site, ids, (10, 20))
    late: list[float] = []
    with worker_on(site, setup) as worker:
        wait_until(worker.stats, 60, "the worker is up")
        time.sleep(25)  # every video has been asked for once
        seen, cpu, begun = look(site), worker.cpu(), time.perf_counter()
        while time.perf_counter() - begun < seconds:
            time.sleep(LOOK)
            now = look(site)
            late += [
                asked - seen[pk][0]
                for pk, (_, asked) in now.items()
                if pk in seen and asked > seen[pk][1]
            ]
            seen = now
        wall = time.perf_counter() - begun
        cpu = worker.cpu() - cpu
    if not late:
        raise RuntimeError(f"no poll in {wall:.0f} s")
    late.sort()
    return {
        "polled": len(ids),
        "polls a second": round(len(late) / wall, 1),
        "late, median s": round(statistics.median(late), 2),
        "late, 95 % s": round(late[int(len(late) * 0.95)], 2),
        "CPU": f"{cpu / wall:.0%}",
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table in Markdown, a line for each broker."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="few videos, Redis only")
    parser.add_argument("--videos", type=int, default=10_000, help="that wait")
    parser.add_argument("--polled", type=int, default=1_500, help="that are polled")
    parser.add_argument("--seconds", type=float, default=40.0, help="of polling")
    parser.add_argument("--brokers", default=",".join(BROKERS))
    options = parser.parse_args(arguments)
    if options.quick:
        options.videos, options.polled, options.seconds = 500, 150, 12.0
        options.brokers = "redis"
    heads: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        apis.running(Path(folder), environment(), options.polled) as api,
    ):
        for broker in options.brokers.split(","):
            setup = Setup(broker=broker)
            defaults = {"POLL_COUNTDOWN": [10, 20], "SWEEP_INTERVAL": 0}
            try:
                with site_for(setup, api, **defaults) as site:
                    row = waiting(site, setup, options.videos)
                with site_for(setup, api, **defaults) as site:
                    row |= polled(site, setup, api.ids, options.seconds)
            except pytest.skip.Exception as error:
                print(f"{broker}: skipped, {error}")
                continue
            if not heads:
                heads = ["broker", *row]
                print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
            print(f"| {broker} | {' | '.join(map(str, row.values()))} |", flush=True)
