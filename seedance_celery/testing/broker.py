"""A broker in memory, whose messages a test hands out one by one."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from celery import Celery
from celery.app.trace import trace_task
from kombu.serialization import prepare_accept_content
from kombu.transport.memory import Channel

from .fake_clock import FakeClock

__all__ = ["Broker", "Message"]

URL = "memory://seedance-celery-testing"
BACKEND = "cache+memory://"
CONFIGURED = ("broker_url", "broker_read_url", "broker_write_url", "result_backend")


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


class Broker:
    """Takes what a Celery app sends, in memory, and runs it through Celery's own tracing.

    `messages` are those that no worker has taken yet: a test may drop, repeat and reorder them.
    """

    def __init__(self, app: Celery, clock: FakeClock) -> None:
        self.app = app
        self.clock = clock
        self.messages: list[Message] = []
        self.revoked: set[str] = set()

    @contextlib.contextmanager
    def installed(self) -> Iterator[Broker]:
        """Let the app send here, with results in memory, until the block ends."""
        app = self.app
        before = {name: app.conf.get(name) for name in CONFIGURED}
        self._reset()
        app.conf.update(broker_url=URL, result_backend=BACKEND)
        app.conf.update(broker_read_url=None, broker_write_url=None)
        app.now = self._now  # type: ignore[method-assign]
        try:
            yield self
        finally:
            self._reset()
            del app.now
            app.conf.update(before)

    def _now(self) -> datetime:
        return self.clock.time.astimezone(self.app.timezone)

    def _reset(self) -> None:
        app: Any = self.app
        app._pool = None
        app.amqp._producer_pool = None
        app._backend_cache = None
        app._local.__dict__.pop("backend", None)
        for name in list(Channel.queues):
            Channel.queues[name].queue.clear()

    def fetch(self) -> list[Message]:
        """Return what waits, with what was sent since the last time."""
        with self.app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            for queue in list(Channel.queues):
                while (message := channel.basic_get(queue, no_ack=True)) is not None:
                    self.messages.append(self._read(message))
        return self.messages

    def _read(self, message: Any) -> Message:
        headers = message.headers
        message.accept = prepare_accept_content(self.app.conf.accept_content)
        eta = headers.get("eta")
        return Message(
            due=datetime.fromisoformat(eta) if eta else self.clock.time,
            body=message.payload,
            headers=headers,
            properties=message.properties,
            delivery_info=message.delivery_info,
        )

    def take(self) -> Message | None:
        """Return the message whose time came first; None where none is due now."""
        due = [message for message in self.fetch() if message.due <= self.clock.time]
        if not due:
            return None
        first = min(due, key=lambda message: message.due)
        self.messages.remove(first)
        return first

    def run(self, message: Message) -> Any:
        """Run a message as a worker does; return Celery's trace info, or None on success."""
        if message.celery_id in self.revoked or self._is_expired(message):
            return None
        task = self.app.tasks[message.task]
        args, kwargs, embed = message.body
        request = {
            **message.headers,
            **(embed or {}),
            "delivery_info": message.delivery_info,
            "properties": message.properties,
            "reply_to": message.properties.get("reply_to"),
            "hostname": "seedance-celery-testing",
            "is_eager": False,
            "args": args,
            "kwargs": kwargs,
        }
        traced = trace_task(
            task, message.celery_id, args, kwargs, request, app=self.app, loader=self.app.loader
        )
        return traced[1]

    def _is_expired(self, message: Message) -> bool:
        expires = str(message.headers.get("expires") or "")
        return bool(expires) and datetime.fromisoformat(expires) <= self.clock.time
