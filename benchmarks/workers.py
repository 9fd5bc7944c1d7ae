"""Real workers on a site of their own, and what one costs."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import psutil
from celery import Celery

from tests.harness.delayed import DelayedQueues
from tests.harness.processes import ROOT, Process
from tests.harness.site import Site
from tests.harness.waiting import wait_until
from tests.harness.worker import QUICK

from .api import KEY, Api


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a worker runs on."""

    scheme: str = "http"
    broker: str = "redis"
    database: str = "postgres"
    pool: str = "prefork"
    concurrency: int = 2
    countdown: float = 1.0
    """Seconds between two polls of a video, for every way."""

    def __str__(self) -> str:
        load = ", saturated" if self.countdown < 1 else ""
        return f"{self.scheme.upper()}, {self.broker}, {self.database}, {self.pool}{load}"


class Measured:
    """A worker that runs, on a site of its own."""

    def __init__(
        self,
        site: Site,
        setup: Setup,
        options: tuple[str, ...] = (),
        command: tuple[str, ...] = (sys.executable, "-m", "celery"),
    ) -> None:
        self.site = site
        command = (*command, "-A", "benchmarks", "worker", *QUICK)
        command += ("--pool", setup.pool, "--concurrency", str(setup.concurrency))
        command += ("--loglevel", "INFO", "--hostname", "bench@site", *options)
        self.process = Process(command, site.env, site.folder / "worker.log")
        self._app = Celery(broker=site.broker.url, set_as_current=False)
        self._app.conf.update(site.broker.celery)

    def stats(self) -> dict[str, Any]:
        """Return what the worker tells of itself; nothing where it does not answer."""
        found = self._app.control.inspect(timeout=5, limit=1).stats() or {}
        return next(iter(found.values()), {})

    def runs(self, task: str) -> int:
        """Return how often it has run a task."""
        return int(self.stats().get("total", {}).get(task, 0))

    def wait_for(self, task: str, runs: int, timeout: float = 60) -> None:
        """Wait until it has run a task so often."""
        wait_until(
            lambda: self.runs(task) >= runs,
            timeout,
            f"{runs} runs of {task}",
            every=0.5,
            context=lambda: self.process.log(20),
        )

    def cpu(self) -> float:
        """Return the CPU seconds, user and system, of it and its children so far."""
        times = []
        for pid in self.process.pids():
            with contextlib.suppress(psutil.NoSuchProcess):
                times.append(psutil.Process(pid).cpu_times())
        return sum(t.user + t.system for t in times)

    @staticmethod
    def clock() -> float:
        """Return the time, in seconds."""
        return time.perf_counter()

    def memory(self) -> int:
        """Return the resident bytes of the main process, which holds what waits."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextlib.contextmanager
def site_for(
    setup: Setup, api: Api, env: Mapping[str, str] | None = None, **seedance: Any
) -> Iterator[Site]:
    """Make a site whose settings are the defaults but for the countdown."""
    countdown = [setup.countdown, setup.countdown]
    defaults = {"REQUEST_TIMEOUT": [5, 30], "RESEND_AFTER": 60, "SWEEP_INTERVAL": 30}
    site = Site(
        broker=setup.broker,
        database=setup.database,
        results_in="none",
        simulator=False,
        seedance={
            **defaults,
            "API_KEY": KEY,
            "BASE_URL": api.urls[setup.scheme],
            "POLL_COUNTDOWN": countdown,
            **seedance,
        },
        env={
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "BENCH_ROOTS": str(api.roots),
            "REQUESTS_CA_BUNDLE": str(api.roots),
            "SSL_CERT_FILE": str(api.roots),
            **(env or {}),
        },
    )
    with site:
        if setup.broker == "rabbitmq-quorum":
            _hold_delayed_queues()
        yield site


@functools.cache
def _hold_delayed_queues() -> None:
    # What is left in them in the end has no queue to go to, and would hold up all that comes after.
    atexit.register(DelayedQueues().release)


def begin(site: Site, task: str, ids: list[str]) -> None:
    """Start to follow videos."""
    command = [sys.executable, "-m", "benchmarks.begin", task]
    subprocess.run(command, input="\n".join(ids), env=site.env, cwd=ROOT, text=True, check=True)


@contextlib.contextmanager
def worker_on(site: Site, setup: Setup, *options: str) -> Iterator[Measured]:
    """Run a worker until the block ends."""
    worker = Measured(site, setup, options)
    try:
        yield worker
    finally:
        worker.process.kill()


def rest(seconds: float) -> None:
    """Let what is measured run."""
    time.sleep(seconds)


def environment() -> dict[str, str]:
    """Return the environment of processes that have no site."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
