"""A broker in memory, whose messages a test hands out one by one."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Literal, cast

from celery import Celery
from celery.app.trace import TraceInfo, trace_task
from celery.exceptions import Ignore, NotRegistered, Reject
from celery.states import FAILURE
from celery.utils.time import maybe_iso8601, maybe_make_aware
from celery.worker import state
from celery.worker.control import Panel
from celery.worker.request import Request
from kombu.serialization import prepare_accept_content
from kombu.transport.memory import Channel

from ..canvas.keeping import STUCK_FOR
from .fake_clock import FakeClock
from .memory import HOST, in_memory

__all__ = ["Broker", "Message", "Raised"]

REDELIVERED_AFTER = timedelta(seconds=1)
"""How long a message takes that a task has rejected to have it again."""


@dataclasses.dataclass
class Message:
    """One message as a worker would get it; `due` is its ETA, or when it was sent."""

    due: datetime
    body: list[Any]
    headers: dict[str, Any]
    properties: dict[str, Any]
    delivery_info: dict[str, Any]

    @property
    def task(self) -> str:
        """The name of the task."""
        return str(self.headers["task"])

    @property
    def celery_id(self) -> str:
        """The task's id."""
        return str(self.headers["id"])

    @property
    def queue(self) -> str:
        """The routing key by which it was sent: a queue's name, in a plain project."""
        return str(self.delivery_info.get("routing_key") or "")


@dataclasses.dataclass(frozen=True)
class Raised:
    """A task that raised: its name, its Celery id and the exception."""

    task: str
    celery_id: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.task} raised {type(self.error).__name__}"


class Broker:
    """Takes what a Celery app sends, in memory, and runs it through Celery's own tracing.

    `messages` are those that no worker has taken yet: a test may drop, repeat and reorder them.
    `raised` is what tasks raised, other than `Retry`, `Ignore` and `Reject`.
    """

    def __init__(self, app: Celery, clock: FakeClock) -> None:
        self.app = app
        self.clock = clock
        self.messages: list[Message] = []
        self.raised: list[Raised] = []

    @contextlib.contextmanager
    def installed(self) -> Iterator[Broker]:
        """Let the app send here, with results in memory, until the block ends."""
        with in_memory(self.app, self._now), self.app.connection_for_read() as connection:
            self._channel: Any = connection.default_channel
            yield self

    def _now(self) -> datetime:
        return self.clock.time.astimezone(self.app.timezone)

    # Messages.

    def fetch(self) -> list[Message]:
        """Return what waits, with what was sent since the last time."""
        for queue in list(Channel.queues):
            while (message := self._channel.basic_get(queue, no_ack=True)) is not None:
                self._take_in(message)
        return self.messages

    def _take_in(self, message: Any) -> None:
        message.accept = prepare_accept_content(self.app.conf.accept_content)
        if "task" not in message.headers:
            self._obey(message.payload)
            return
        eta = message.headers.get("eta")
        read = Message(
            due=self._aware(eta) if eta else self.clock.time,
            body=message.payload,
            headers=message.headers,
            properties=message.properties,
            delivery_info=message.delivery_info,
        )
        self.messages.append(read)

    def _aware(self, eta: str) -> datetime:
        return maybe_make_aware(cast("datetime", maybe_iso8601(eta)), self.app.timezone)

    def _obey(self, command: Any) -> None:
        """Do what a worker does when tasks are revoked; other commands have nothing to act on."""
        method = command.get("method") if isinstance(command, dict) else None
        if method not in ("revoke", "revoke_by_stamped_headers"):
            return
        worker = SimpleNamespace(app=self.app, hostname=HOST, consumer=None)
        Panel.data[method](worker, **{**command["arguments"], "terminate": False})

    def take(self) -> Message | None:
        """Return the message whose time came first; None where none is due now."""
        due = [message for message in self.fetch() if message.due <= self.clock.time]
        if not due:
            return None
        first = min(due, key=lambda message: message.due)
        self.messages.remove(first)
        return first

    # Running.

    def run(self, message: Message) -> Any:
        """Run a message as a worker does; return Celery's trace info, or None on success."""
        request = self._request(message)
        if request.revoked():
            return None
        task = request.task
        args, kwargs, embed = message.body
        traced: Any = trace_task(
            task,
            request.id,
            args,
            kwargs,
            {**request.request_dict, **(embed or {}), "is_eager": False},
            app=self.app,
            loader=self.app.loader,
            hostname=HOST,
        )
        info = traced[1]
        if info is not None:
            self._note(message, info)
        return info

    def _request(self, message: Message) -> _Request:
        try:
            return _Request(self.clock, message, self.app)
        except NotRegistered:
            raise AssertionError(
                f"A message is for {message.task}, which {self.app!r} does not know: a worker "
                "would drop it. Is its module imported (autodiscover_tasks), and is this the app "
                "that has it? Seedance(app=…) takes another."
            ) from None

    def _note(self, message: Message, info: TraceInfo) -> None:
        error: Any = info.retval
        if isinstance(error, Reject) and error.requeue:  # type: ignore[attr-defined]
            later = self.clock.time + REDELIVERED_AFTER
            redelivered = {**message.delivery_info, "redelivered": True}
            again = dataclasses.replace(message, due=later, delivery_info=redelivered)
            self.messages.append(again)
        elif info.state == FAILURE and isinstance(error, BaseException):
            self.raised.append(Raised(message.task, message.celery_id, error))
        elif isinstance(error, Ignore) and isinstance(error.__cause__, TypeError):
            raise AssertionError(
                f"{message.task} ended well and cannot go on: {error.__cause__}. A worker tries "
                f"again every {STUCK_FOR / 60:.0f} minutes, until the next task is corrected."
            ) from error.__cause__


class _Request(Request):
    """A worker's request, whose `expires` is judged by the test's clock."""

    def __init__(self, clock: FakeClock, message: Message, app: Celery) -> None:
        self._clock = clock
        body = message.body
        super().__init__(
            message, app=app, hostname=HOST, headers=message.headers, body=body, decoded=True
        )

    def maybe_expire(self) -> Literal[True] | None:
        """Mark the task as revoked where its time has passed."""
        if self.expires >= self._clock.time:
            return None
        state.revoked.add(self.id)
        return True
