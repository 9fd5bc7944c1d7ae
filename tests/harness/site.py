"""One installation of the test project: simulator, database, broker, results, processes."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from . import brokers, databases, names, results
from .driver import Driver
from .events import Events
from .processes import Process
from .proxy import TcpProxy
from .waiting import wait_until
from .worker import Worker

T = TypeVar("T")

KEY = "sk-tests-only"
QUICK_SEEDANCE: dict[str, Any] = {
    "REQUEST_TIMEOUT": [1.0, 2.0],
    "RESEND_AFTER": 3.0,
    "SWEEP_INTERVAL": 1.0,
}
"""Seconds instead of minutes, which the package allows against a loopback address."""


class Site:
    """Everything one deployment has, under names that no other test uses.

    `broker`, `database` and `results` are kinds (`brokers.KINDS`, …). `seedance`, `celery` and
    `django` override settings. `proxied` puts a `TcpProxy` before the `"broker"` or the
    `"database"`: `site.proxies["broker"].cut()`.
    """

    def __init__(
        self,
        *,
        broker: str = "redis",
        database: str = "postgres",
        results_in: str = "redis",
        queues: tuple[str, ...] = (),
        seedance: Mapping[str, Any] | None = None,
        celery: Mapping[str, Any] | None = None,
        django: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        proxied: Sequence[str] = (),
        simulator: bool = True,
        speed: float = 1,
    ) -> None:
        self._closing = ExitStack()
        self._processes: list[Process] = []
        self._supervised: list[tuple[Worker, dict[str, Any]]] = []
        self._driver: Driver | None = None
        self.proxies: dict[str, TcpProxy] = {}
        try:
            self._make(broker, database, results_in, queues)
            self.simulator = self._simulator(speed) if simulator else None
            for place in proxied:
                self._put_proxy(place)
            self.env = self._environment(seedance or {}, celery or {}, django or {}, env or {})
        except BaseException:
            self._closing.close()
            raise

    def _make(self, broker: str, database: str, results_in: str, queues: tuple[str, ...]) -> None:
        folder = tempfile.TemporaryDirectory(prefix=names.PREFIX, ignore_cleanup_errors=True)
        self.folder = Path(self._closing.enter_context(folder))
        (self.folder / "traps").mkdir()
        (self.folder / "media").mkdir()
        self.events = Events(self.folder / "events.jsonl", self.logs)
        self.database = databases.create(database)
        self._closing.callback(self.database.drop)
        self.broker = brokers.create(broker, self.folder, queues)
        self._closing.callback(self.broker.close)
        self.results = results.create(results_in, self.folder)
        self._closing.callback(self.results.close)
        self._closing.callback(self._kill_all)

    def _simulator(self, speed: float) -> Any:
        from seedance_celery.simulator import SimulatorApp, SimulatorServer

        return self._closing.enter_context(SimulatorServer(SimulatorApp(speed=speed)))

    def _put_proxy(self, place: str) -> None:
        parts: dict[str, brokers.Broker | databases.Database]
        parts = {"broker": self.broker, "database": self.database}
        service = parts[place].service
        assert service is not None, f"there is no server to put a proxy before: {place}"
        self.proxies[place] = self._closing.enter_context(TcpProxy(service.address))

    def _environment(
        self,
        seedance: Mapping[str, Any],
        celery: Mapping[str, Any],
        django: Mapping[str, Any],
        env: Mapping[str, str],
    ) -> dict[str, str]:
        base_url = self.simulator.url if self.simulator else "http://127.0.0.1:9"
        shortest = self.broker.shortest_countdown
        quick = {**QUICK_SEEDANCE, "POLL_COUNTDOWN": [max(0.3, shortest), max(0.6, shortest)]}
        dicts = {
            "TEST_SEEDANCE": {"API_KEY": KEY, "BASE_URL": base_url, **quick, **seedance},
            "TEST_CELERY": {**self.broker.celery, **self.results.celery, **celery},
            "TEST_DJANGO": dict(django),
            "TEST_QUEUES": self.broker.queues,
        }
        found = {
            "DJANGO_SETTINGS_MODULE": "tests.project.settings",
            "PYTHONPATH": os.pathsep.join(filter(None, [".", os.environ.get("PYTHONPATH")])),
            "TEST_EVENTS": str(self.events.path),
            "TEST_TRAPS": str(self.folder / "traps"),
            "TEST_MEDIA_ROOT": str(self.folder / "media"),
            "TEST_DATABASE_URL": self._url("database", self.database),
            "TEST_BROKER_URL": self._url("broker", self.broker),
            **{name: json.dumps(value) for name, value in dicts.items()},
        }
        if self.results.url is not None:
            found["TEST_RESULT_BACKEND"] = self.results.url
        return {**os.environ, **found, **env}

    def _url(self, place: str, part: databases.Database | brokers.Broker) -> str:
        proxy = self.proxies.get(place)
        return part.through(proxy.address) if proxy else part.url

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill every process and remove everything the site has made."""
        self._closing.close()

    def start_worker(self, *, env: Mapping[str, str] | None = None, **options: Any) -> Worker:
        """Start a worker without waiting for it. `options` are `Worker`'s."""
        name = f"w{len(self._processes)}"
        log = self.folder / f"{name}.log"
        worker = Worker(name, {**self.env, **(env or {})}, log, self.events, **options)
        self._processes.append(worker)
        return worker

    def worker(self, **options: Any) -> Worker:
        """Start a worker and wait until it consumes."""
        worker = self.start_worker(**options)
        worker.wait_ready()
        return worker

    def supervised_worker(self, **options: Any) -> Worker:
        """Start a worker as `worker` does, and another whenever it has ended by itself.

        kombu's Redis transport at times raises while it reconnects, and its SQLAlchemy transport
        where a message is given back while another is fetched, and the worker ends: in production,
        too, something starts it again.
        """
        self._supervised.append((self.worker(**options), options))
        return self._supervised[-1][0]

    def _supervise(self) -> None:
        for number, (worker, options) in enumerate(self._supervised):
            if not worker.is_running:
                self._supervised[number] = (self.start_worker(**options), options)

    @property
    def workers(self) -> list[Worker]:
        """The workers that run."""
        return [p for p in self._processes if isinstance(p, Worker) and p.is_running]

    def stop_workers(self) -> None:
        """Kill every worker: what a test of a shared site leaves as it found it."""
        for worker in self.workers:
            worker.kill()

    def driver(self) -> Driver:
        """Start one more process for calls: two of them act at once."""
        log = self.folder / f"driver{len(self._processes)}.log"
        driver = Driver(self.env, log)
        self._processes.append(driver)
        return driver

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a module-level function in the site's web process; see `Driver.call`."""
        if self._driver is None or not self._driver.is_running:
            self._driver = self.driver()
        return self._driver.call(function, *args, **kwargs)

    def trap(self, point: str, action: str) -> None:
        """Lay a trap for the next process that comes to a point: `tests.project.traps`."""
        (self.folder / "traps" / f"{point}@{action}").touch()

    def wait_until(self, condition: Callable[[], T], timeout: float = 60.0, message: str = "") -> T:
        """Wait for a condition; a failure shows the ends of the logs."""

        def look() -> T:
            self._supervise()
            return condition()

        return wait_until(look, timeout, message, context=self.logs)

    def logs(self, last: int = 25) -> str:
        """Return the ends of the processes' logs."""
        parts = [f"--- {p.log_path.name}\n{p.log(last)}" for p in self._processes]
        return "\n".join(parts)

    def _kill_all(self) -> None:
        for process in self._processes:
            process.kill()
