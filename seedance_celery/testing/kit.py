"""The kit: a simulated API, a broker in memory and a clock, for one test."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from types import TracebackType
from typing import Any, cast

from celery import Celery, current_app
from django.db import connections
from django.db.models import Q

from .. import sending
from ..accounts import health
from ..client import Client
from ..conf import get_settings
from ..db import clock, pool
from ..models import KeptTask, Video
from ..net.connection import Limits, standing_in
from ..polling import timings
from ..simulator import Seen, SimulatorApp, SimulatorServer
from ..simulator.in_process import InProcessSocket
from .assertions import Assertions
from .broker import Broker, Message, Raised
from .fake_clock import FakeClock
from .listener import Fired, Listener
from .redirection import KEY, Redirection

__all__ = ["Seedance"]

Status = Video.Status

IN_PROCESS = ("127.0.0.1", 1)
"""Where the simulator is without a port. Nothing listens there, should anything else try."""

MOST_AT_ONCE = 10_000
"""How many messages may run while no time passes, before a test is ended."""


class Seedance(Assertions):
    """Runs a project's own tasks against a simulated API, with time that passes at once.

    `simulator` is the API (its `next()`, `fault()` and `videos`), `clock` the time, `broker` the
    messages. The package's client reaches the API without a port, at an address that leads
    nowhere for others; with `http=True` it is served at `url`, for code with a client of its own.
    Other options are settings (`TIMEOUT=60`), on top of the project's `SEEDANCE`, whose keys,
    addresses and `POLL_COUNTDOWN` are replaced. What a test makes of `SEEDANCE` meanwhile
    (`override_settings`) leads to the simulator as well.
    """

    def __init__(self, app: Celery | None = None, *, http: bool = False, **settings: Any) -> None:
        self.clock = FakeClock()
        self.simulator = SimulatorApp(clock=self.clock.unix)
        self.app: Any = app or cast("Any", current_app)._get_current_object()
        self.broker = Broker(self.app, self.clock)
        self.listener = Listener()
        self.server = SimulatorServer(self.simulator) if http else None
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self._swept_at = self.clock.time

    # Starting and stopping.

    def __enter__(self) -> Seedance:
        enter = self._stack.enter_context
        try:
            enter(self.server or standing_in(IN_PROCESS, self._connect))
            enter(Redirection(self.url).installed(self._settings))
            enter(clock.installed(self.clock))
            enter(self.broker.installed())
            enter(self.listener.listening())
            health.forget_clients()
            self._stack.callback(health.forget_clients)
            timings.forget()
            self._stack.callback(timings.forget)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """The API's address, such as `http://127.0.0.1:8765`."""
        return self.server.url if self.server else "http://{}:{}".format(*IN_PROCESS)

    def _connect(self, limits: Limits) -> InProcessSocket:
        total = limits.left(float("inf"))
        return InProcessSocket(self.simulator, patience=limits.read, total=total)

    # What the API does, and what happened.

    def next_video(self, *scenarios: str, n: int = 1) -> None:
        """Play scenarios for each of the next `n` videos that are bought, such as `"failed"`."""
        self.simulator.next(*scenarios, n=n)

    def buy(
        self, *scenarios: str, prompt: str = "Bought elsewhere", account: str | None = None
    ) -> str:
        """Buy a video as something else would, without a row, and return its id.

        For `track_video` and `poll_video`. It belongs to the key of `account`, the default one
        if none is named, and counts in `charges` and for `next_video`.
        """
        key = get_settings().account(account).key() or KEY
        with Client(key, self.url) as client:
            api_id = client.create(prompt).id
        if scenarios:
            self.simulator.play(api_id, *scenarios)
        return api_id

    @property
    def charges(self) -> int:
        """How many videos were bought."""
        return self.simulator.charges

    @property
    def requests(self) -> list[Seen]:
        """What the API was asked, oldest first: each has `route`, `status`, `api_id`, `at`."""
        return self.simulator.requests

    @property
    def fired(self) -> list[Fired]:
        """The signals so far, oldest first: each has `name`, `video` and `details`."""
        return self.listener.fired

    def signals(self, name: str = "") -> list[str]:
        """Return the names of the signals fired so far, or those of one name."""
        return [fired.name for fired in (self.listener.of(name) if name else self.fired)]

    @property
    def raised(self) -> list[Raised]:
        """What tasks raised so far: yours, and `poll_video` for an end that is not `completed`."""
        return self.broker.raised

    # Time.

    def run_until_done(self, within: float = 14400) -> None:
        """Let workers run until nothing is left to do, or only a person can go on.

        Raises `AssertionError` where it takes more than `within` simulated seconds.
        """
        ends_at = self.clock.time + timedelta(seconds=within)
        while not self._is_done():
            if self.clock.time > ends_at:
                raise AssertionError(f"After {within:g} simulated seconds: {self._left()}")
            self._pass(ends_at + timedelta(days=1))

    def advance(self, seconds: float) -> None:
        """Let workers run for so many simulated seconds."""
        ends_at = self.clock.time + timedelta(seconds=seconds)
        while self.clock.time < ends_at:
            self._pass(ends_at)
        self.run_due()

    def run_due(self) -> None:
        """Let workers run what is due now; no time passes."""
        self._commit()
        for _ in range(MOST_AT_ONCE):
            message = self.broker.take()
            if message is None:
                return
            self.run(message)
        self.broker.fetch()
        raise AssertionError(f"{MOST_AT_ONCE} tasks ran and no time passed: {self._left()}")

    def run(self, message: Message) -> Any:
        """Let a worker run one message; return Celery's trace info, or None on success."""
        info = self.broker.run(message)
        self._commit()
        return info

    def _pass(self, ends_at: Any) -> None:
        self.run_due()
        interval = timedelta(seconds=get_settings().sweep_interval or 1e9)
        if self.clock.time - self._swept_at >= interval:
            self._swept_at = self.clock.time
            sending.send(sending.SWEEP, ())
            self.run_due()
        due = [message.due for message in self.broker.fetch()]
        self.clock.time = min([*due, self._swept_at + interval, ends_at])

    def _is_done(self) -> bool:
        self.run_due()
        return not self.broker.fetch() and not self._open().exists() and not self._tasks().exists()

    def _open(self) -> Any:
        settled = Q(status=Status.CREATE_UNKNOWN, announced_at__isnull=False)
        # What is asked for late only because the schedule says so goes on for a day.
        late = Video.objects.ended_by_us().filter(next_poll_at__isnull=True)
        settled |= Q(pk__in=late.values("pk"), announced_at__isnull=False)
        settled |= Q(finished_at__isnull=False, announced_at__isnull=False, overdue_at__isnull=True)
        return Video.objects.primary().exclude(settled)

    def _tasks(self) -> Any:
        return KeptTask.objects.primary().unfinished().filter(due_at__isnull=False)

    def _left(self) -> str:
        videos = ", ".join(f"{v} {v.status}" for v in self._open()[:5])
        tasks = ", ".join(map(str, self._tasks()[:5]))
        messages = ", ".join(sorted({message.task for message in self.broker.messages}))
        return f"videos [{videos}], tasks [{tasks}], messages [{messages}]"

    def _commit(self) -> None:
        """Run what waits for a commit that a `TestCase` never makes."""
        for connection in connections.all(initialized_only=True):
            if pool.is_in_transaction(connection):
                raise AssertionError(
                    "The kit was called inside transaction.atomic(): nothing that waits for the "
                    "commit has been sent. Call it after the block."
                )
            while connection.in_atomic_block and connection.run_on_commit:
                entry: Any = connection.run_on_commit.pop(0)
                _, function, robust = entry
                with contextlib.suppress(Exception) if robust else contextlib.nullcontext():
                    function()
