"""The kit: a simulated API, a broker in memory and a clock, for one test."""

from __future__ import annotations

import contextlib
import dataclasses
from datetime import timedelta
from types import TracebackType
from typing import Any, cast

from celery import Celery, current_app
from django.conf import settings as django_settings
from django.db import connections, router
from django.db.models import Q
from django.dispatch import Signal
from django.test import override_settings

from .. import accounts, clock, dispatch, signals
from ..conf import get_settings
from ..models import KeptTask, Video
from ..simulator import SimulatorApp
from ..simulator.server import SimulatorServer
from .broker import Broker, Message
from .fake_clock import FakeClock

__all__ = ["Fired", "Seedance"]

Status = Video.Status

KEY = "sk-simulator"
SIGNALS = {name: value for name, value in vars(signals).items() if isinstance(value, Signal)}


@dataclasses.dataclass(frozen=True)
class Fired:
    """A signal that was fired: its name, its video (None for an account's) and the rest."""

    name: str
    video: Video | None
    details: dict[str, Any]


class Seedance:
    """Runs a project's own tasks against a simulated API, with time that passes at once.

    `simulator` is the API (its `next()`, `fault()`, `charges` and `requests`), `clock` the time,
    `broker` the messages, `fired` the signals so far.
    """

    def __init__(self, app: Celery | None = None, **settings: Any) -> None:
        self.clock = FakeClock()
        self.simulator = SimulatorApp(clock=self.clock.unix)
        self.app: Any = app or cast("Any", current_app)._get_current_object()
        self.broker = Broker(self.app, self.clock)
        self.fired: list[Fired] = []
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self._swept_at = self.clock.time

    # Starting and stopping.

    def __enter__(self) -> Seedance:
        enter = self._stack.enter_context
        try:
            self.server = enter(SimulatorServer(self.simulator))
            enter(override_settings(SEEDANCE=self._seedance(self.server.url)))
            enter(clock.installed(self.clock))
            enter(self.broker.installed())
            self._stack.callback(accounts.forget_clients)
            for name, signal in SIGNALS.items():
                self._listen(name, signal)
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

    def _seedance(self, url: str) -> dict[str, Any]:
        own = dict(getattr(django_settings, "SEEDANCE", {}))
        for name in ("ACCOUNTS", "API_KEY", "BASE_URL"):
            own.pop(name, None)
        return {**own, "API_KEY": KEY, "BASE_URL": url, **self._settings}

    def _listen(self, name: str, signal: Signal) -> None:
        def receiver(sender: Any, video: Video | None = None, **details: Any) -> None:
            details.pop("signal", None)
            self.fired.append(Fired(name, video, details))

        signal.connect(receiver, weak=False)
        self._stack.callback(signal.disconnect, receiver)

    # What the API does.

    def next_video(self, *scenarios: str) -> None:
        """Play scenarios for the next video that is bought, such as `"failed"`."""
        self.simulator.next(*scenarios)

    @property
    def charges(self) -> int:
        """How many videos were bought."""
        return self.simulator.charges

    def signals(self, name: str = "") -> list[str]:
        """Return the names of the signals fired so far, or those of one name."""
        return [fired.name for fired in self.fired if name in ("", fired.name)]

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
        while (message := self.broker.take()) is not None:
            self.run(message)

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
            dispatch.send(dispatch.SWEEP, ())
            self.run_due()
        due = [message.due for message in self.broker.fetch()]
        self.clock.time = min([*due, self._swept_at + interval, ends_at])

    def _is_done(self) -> bool:
        self.run_due()
        return not self.broker.fetch() and not self._open().exists() and not self._tasks().exists()

    def _open(self) -> Any:
        settled = Q(
            status__in=(Status.CREATE_UNKNOWN, Status.TIMED_OUT), announced_at__isnull=False
        )
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
        connection = connections[router.db_for_write(Video)]
        while connection.in_atomic_block and connection.run_on_commit:
            entry: Any = connection.run_on_commit.pop(0)
            _, function, robust = entry
            with contextlib.suppress(Exception) if robust else contextlib.nullcontext():
                function()
