"""Many videos under random faults: what is reached, what comes twice, what is lost."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable

import django
import redis

from tests.harness.driver import CallFailed
from tests.harness.processes import is_alive
from tests.harness.site import Site

WORKERS = 2
SPEED = 0.3
"""Renders take about twenty seconds."""
SEEDANCE = {
    "POLL_COUNTDOWN": [1.0, 2.0],
    "RESEND_AFTER": 5.0,
    "SWEEP_INTERVAL": 2.0,
    "CREATE_TIMEOUT": 10.0,
}
API_FAULTS = ("http_503", "reset", "hang", "html", "truncated", "rate_limited_retry_after=2")
CREATE_FAULTS = ("create_429", "http_503")
PAUSE = (2.0, 6.0)
"""Seconds between two faults, at least and at most."""


class Soak:
    """One run: a site, and everything that goes wrong in it."""

    def __init__(self, videos: int, minutes: float, seed: int) -> None:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")
        django.setup()
        from benchmarks import _soak_site  # its models need the settings

        self.web = _soak_site
        self.tags = [f"soak-{number}" for number in range(videos)]
        self.minutes = minutes
        self.random = random.Random(seed)
        self.caused: Counter[str] = Counter()
        self.refused = 0
        self.site = Site(
            speed=SPEED,
            results_in="none",
            proxied=["broker", "database"],
            seedance=SEEDANCE,
            env={"TEST_INSTALLED_APPS": '["benchmarks._soak_app.SoakConfig"]'},
        )

    def run(self) -> None:
        """Buy the videos in the first two thirds of the time, and cause faults throughout."""
        for _ in range(WORKERS):
            self.site.worker()
        started = time.monotonic()
        ends = started + 60 * self.minutes
        waiting = list(self.tags)
        next_fault = started
        while time.monotonic() < ends or waiting:
            share = (time.monotonic() - started) / (ends - started) * 1.5
            due = len(waiting) - round(len(self.tags) * max(0.0, 1 - share))
            if due > 0:
                waiting = self._buy(waiting, min(due, 20))
            if time.monotonic() >= next_fault and time.monotonic() < ends:
                self._cause()
                next_fault = time.monotonic() + self.random.uniform(*PAUSE)
            self._replace_ended()
            time.sleep(0.1)
        self._recover()

    def _replace_ended(self) -> None:
        # kombu at times raises while it reconnects to Redis, and the worker ends by itself.
        while len(self.site.workers) < WORKERS:
            self.caused["(a worker ended by itself)"] += 1
            self.site.start_worker()

    def _buy(self, waiting: list[str], count: int) -> list[str]:
        # One call a video: a view that met a dead database has failed, and its user tries again.
        for number, tag in enumerate(waiting[:count]):
            try:
                self.site.call(self.web.buy, [tag])
            except CallFailed:
                self.refused += 1
                return [*waiting[number:]]
        return waiting[count:]

    def _cause(self) -> None:
        fault: Callable[[], None] = self.random.choice(
            [
                self.kill_a_child,
                self.kill_a_worker,
                self.stop_a_worker,
                self.cut_the_broker,
                self.wipe_the_broker,
                self.cut_the_database,
                self.let_the_api_be_unwell,
                self.deliver_twice,
            ]
        )
        self.caused[fault.__name__.replace("_", " ")] += 1
        fault()

    def kill_a_child(self) -> None:
        """SIGKILL one process of a pool."""
        worker = self.random.choice(self.site.workers)
        children = [pid for pid in worker.children() if is_alive(pid)]
        if children:
            worker.kill_child(self.random.choice(children))

    def kill_a_worker(self) -> None:
        """SIGKILL a worker with its children, and start another."""
        self.random.choice(self.site.workers).kill()
        self.site.start_worker()

    def stop_a_worker(self) -> None:
        """SIGTERM a worker, as a deploy does, and start another."""
        worker = self.random.choice(self.site.workers)
        self.site.start_worker()
        try:
            worker.term(timeout=20)
        except subprocess.TimeoutExpired:
            # It hangs on a broker that is away; a service manager does this then.
            worker.kill()

    def cut_the_broker(self) -> None:
        """Let nobody reach the broker for a while."""
        self._cut("broker")

    def cut_the_database(self) -> None:
        """Let nobody reach the database for a while."""
        self._cut("database")

    def _cut(self, place: str) -> None:
        self.site.proxies[place].cut()
        time.sleep(self.random.uniform(1, 5))
        self.site.proxies[place].restore()

    def wipe_the_broker(self) -> None:
        """Lose every message."""
        self.site.broker.wipe()

    def let_the_api_be_unwell(self) -> None:
        """Let the API answer with something else for a while."""
        routes, faults = self.random.choice(
            [(["retrieve"], API_FAULTS), (["create"], CREATE_FAULTS[:1])]
        )
        fault = self.random.choice(faults)
        seconds = self.random.uniform(2, 8)
        self.site.simulator.app.fault(fault, seconds=seconds, routes=routes)

    def deliver_twice(self) -> None:
        """Put a copy of every message of ours that waits into the queue."""
        key = f"{self.site.broker.name}:{self.site.broker.queue}"
        with redis.Redis.from_url(self.site.broker.url) as client:
            ours = [m for m in client.lrange(key, 0, -1) if b"seedance_celery.tasks" in m]
            if ours:
                client.rpush(key, *ours)

    def _recover(self) -> None:
        """End all faults; wait until nothing is left to do."""
        self.site.simulator.app.clear()
        while len(self.site.workers) < WORKERS:
            self.site.worker()
        self.recovering = time.monotonic()
        self.site.wait_until(lambda: self.site.call(self.web.left) == 0, 300, "all is settled")
        self.recovering = time.monotonic() - self.recovering

    def report(self) -> bool:
        """Print the figures; return whether nothing was lost or bought twice."""
        statuses = self.site.call(self.web.statuses)
        completed = self.site.call(self.web.tags, "completed")
        announced = self.site.events.counts("video", event="signal", name="video_completed")
        continued = self.site.events.counts("tag", event="published")
        lost = [pk for pk, tag in completed.items() if not announced[pk] or not continued[tag]]
        charges = self.site.simulator.app.charges
        unknown = statuses.get("create_unknown", 0)
        bought_twice = max(0, charges - sum(statuses.values()))
        gaps = [video.shortest_gap for video in self.site.simulator.app.videos.values()]
        lines = {
            "videos": sum(statuses.values()),
            "bought": charges,
            "completed": len(completed),
            "left to a person (killed in the POST)": unknown,
            "announced twice": sum(announced[pk] > 1 for pk in completed),
            "continued twice": sum(continued[tag] > 1 for tag in completed.values()),
            "lost": len(lost) + len(self.tags) - sum(statuses.values()),
            "bought twice": bought_twice,
            "seconds until all was settled": round(self.recovering, 1),
            "polls": self.site.simulator.app.counts["retrieve"],
            "shortest time between two polls of a video": round(min(gaps), 2),
            "views that met a dead database": self.refused,
            "faults": sum(self.caused.values()),
            **{f"  {name}": count for name, count in sorted(self.caused.items())},
        }
        width = max(map(len, lines))
        for name, value in lines.items():
            print(f"{name.ljust(width)}  {value}")
        ended = len(completed) + unknown + statuses.get("rejected", 0)
        return not lost and not bought_twice and ended == len(self.tags)


def main(arguments: list[str] | None = None) -> None:
    """Let videos live among random faults, and print what became of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__)
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="repeat a choice of faults")
    parser.add_argument("--quick", action="store_true", help="50 videos in a minute")
    options = parser.parse_args(arguments)
    videos, minutes = (50, 1.0) if options.quick else (options.videos, options.minutes)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"{videos} videos, {minutes:g} minutes, seed {seed}")
    soak = Soak(videos, minutes, seed)
    with soak.site:
        soak.run()
        if not soak.report():
            raise SystemExit("Something was lost, or bought twice.")


if __name__ == "__main__":
    main()
