"""A process that dies at a chosen moment: at any statement, any publish, any signal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from celery.signals import after_task_publish, before_task_publish
from django.db import connection

from seedance_celery import signals
from seedance_celery.testing import Seedance


class Killed(BaseException):
    """The process is gone: nothing after this moment happens."""


class Tripwire:
    """Counts the moments at which a worker can die, and lets it die at one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.events: list[str] = []
        self.armed = False

    def pass_by(self, event: str) -> None:
        """Note a moment; die there if it is the chosen one."""
        if not self.armed:
            return
        self.events.append(event)
        if self.at is not None and len(self.events) == self.at + 1:
            self.armed = False
            raise Killed(event)

    def _execute(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        name = " ".join(sql.split()[:3]).replace('"', "")
        if not name.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            return execute(sql, *rest)
        self.pass_by(f"before {name}")
        result = execute(sql, *rest)
        self.pass_by(f"after {name}")
        return result

    @contextlib.contextmanager
    def strung(self) -> Iterator[Tripwire]:
        """Watch this process until the block ends."""

        def before(sender: str = "", **kwargs: Any) -> None:
            self.pass_by(f"before publish {sender.rpartition('.')[2]}")

        def after(sender: str = "", **kwargs: Any) -> None:
            self.pass_by(f"after publish {sender.rpartition('.')[2]}")

        def fired(signal: Any = None, **kwargs: Any) -> None:
            name = next(k for k, v in vars(signals).items() if v is signal)
            self.pass_by(f"signal {name}")

        watched = (signals.video_completed, signals.video_failed, signals.video_finished)
        before_task_publish.connect(before, weak=False)
        after_task_publish.connect(after, weak=False)
        for signal in watched:
            signal.connect(fired, weak=False)
        try:
            with connection.execute_wrapper(self._execute):
                yield self
        finally:
            before_task_publish.disconnect(before)
            after_task_publish.disconnect(after)
            for signal in watched:
                signal.disconnect(fired)


class MortalKit(Seedance):
    """A kit whose worker dies where the tripwire says, and is replaced by another."""

    def __init__(self, tripwire: Tripwire, **settings: Any) -> None:
        super().__init__(**settings)
        self.tripwire = tripwire

    def __enter__(self) -> MortalKit:
        super().__enter__()
        self._stack.enter_context(self.tripwire.strung())
        return self

    def run(self, message: Any) -> Any:
        task = self.app.tasks[message.task]
        self.tripwire.armed = self.tripwire.at is None or len(self.tripwire.events) <= (
            self.tripwire.at
        )
        try:
            return super().run(message)
        except Killed:
            # What is acknowledged late goes back to the queue; the rest is gone.
            if task.acks_late and task.reject_on_worker_lost:
                message.due = self.clock.time
                self.broker.messages.append(message)
            return None
        finally:
            self.tripwire.armed = False
