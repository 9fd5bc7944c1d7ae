"""Where the CPU of one poll goes: Celery, HTTP, the database, the package itself.

    python -m benchmarks breakdown [--quick] [--seconds N]

A worker of one process (`--pool solo`) runs under the profiler; the time of each function goes to
the part of its file, that of built-in functions to their callers' parts. The profiler makes all of
it slower, small functions most, so the shares tell more than the milliseconds.
"""

from __future__ import annotations

import argparse
import pstats
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from . import api as apis
from .begin import OURS
from .workers import Measured, Setup, begin, environment, site_for

FLOOR = "benchmarks.tasks.empty_returning"
PARTS = {
    "HTTP": (
        "requests",
        "urllib3",
        "http/",
        "email/",
        "ssl.py",
        "seedance_celery/adapter",
        "seedance_celery/client",
        "seedance_celery/connection",
        "seedance_celery/transport",
    ),
    "database": (
        "django/db",
        "psycopg",
        "seedance_celery/dbpool",
        "seedance_celery/models/statements",
    ),
    "ours": ("seedance_celery",),
    "Celery": ("celery", "kombu", "redis", "vine", "billiard", "amqp"),
}
OTHER = "the rest"


def part_of(path: str) -> str:
    """Return the part that a file belongs to."""
    inner = path.rpartition("site-packages/")[2]
    for part, names in PARTS.items():
        if any(name in inner for name in names):
            return part
    return OTHER


def shares(stats: pstats.Stats) -> Counter[str]:
    """Return the seconds of each part."""
    seconds: Counter[str] = Counter()
    found: dict[Any, Any] = stats.stats  # type: ignore[attr-defined]
    for (path, _, _), (_, _, own, _, callers) in found.items():
        if path != "~":
            seconds[part_of(path)] += own
            continue
        for (caller, _, _), (_, _, spent, _) in callers.items():
            seconds[part_of(caller)] += spent
    return seconds


def profile(task: str, setup: Setup, api: apis.Api, seconds: float) -> Counter[str]:
    """Return the milliseconds that each part takes of one run of a task."""
    totals: list[Counter[str]] = []
    runs: list[int] = []
    # The difference of a long and a short run: what starting takes is in both.
    for length in (seconds / 4, seconds):
        with site_for(setup, api, SWEEP_INTERVAL=0) as site:
            begin(site, task, api.ids)
            out = site.folder / "profile"
            command = (sys.executable, "-m", "benchmarks.profiled", str(out))
            worker = Measured(site, setup, command=command)
            try:
                worker.wait_for(task, 3 * len(api.ids))
                time.sleep(length)
                runs.append(worker.runs(task))
                worker.process.signal(15)
                worker.process.wait(60)
            finally:
                worker.process.kill()
            totals.append(shares(pstats.Stats(str(out))))
    count = runs[1] - runs[0]
    return Counter({p: (totals[1][p] - totals[0][p]) / count * 1000 for p in totals[1]})


def main(arguments: list[str] | None = None) -> None:
    """Profile ours and the floor; print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=24.0)
    options = parser.parse_args(arguments)
    seconds = 8.0 if options.quick else options.seconds
    setup = Setup(scheme="https", pool="solo", concurrency=1)
    with (
        tempfile.TemporaryDirectory() as folder,
        apis.running(Path(folder), environment(), 40) as api,
    ):
        ours, floor = (profile(task, setup, api, seconds) for task in (OURS, FLOOR))
    print("| | seedance_celery, ms | (e) `throw=False`, ms | distance, ms |\n|---|---|---|---|")
    for part in ("Celery", "HTTP", "database", "ours", OTHER):
        distance = ours[part] - floor[part]
        print(f"| {part} | {ours[part]:.2f} | {floor[part]:.2f} | {distance:.2f} |")
    total = ours.total(), floor.total()
    print(f"| all | {total[0]:.2f} | {total[1]:.2f} | {total[0] - total[1]:.2f} |")
