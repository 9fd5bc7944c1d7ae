"""Probes of Celery: a round trip through the broker, and workers that know the tasks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

from celery import current_app
from kombu import Connection, Producer, Queue
from kombu.exceptions import ChannelError

from ... import sending
from .findings import Found, bad, good, skipped, unsure

__all__ = ["look_at_broker", "look_at_workers"]

CONNECT = 5.0
ROUND_TRIP = 5.0
REPLIES = 2.0
"""Seconds in which workers answer."""
EXPIRES = 60
DEEP = 1000
"""Messages in a queue from which on polls come late."""
ALL = (
    sending.CREATE,
    sending.SUBMIT,
    sending.POLL,
    sending.STORE,
    sending.REFRESH,
    sending.SWEEP,
)


def look_at_broker() -> Iterator[Found]:
    """Send a message through a queue of its own and take it out; count those in ours."""
    app: Any = current_app
    with app.connection_for_write(connect_timeout=CONNECT) as connection:
        where = connection.as_uri()
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT)
            seconds = _round_trip(connection)
        except (*sending.BROKER_ERRORS, *connection.connection_errors) as error:
            hint = "Start the broker, or correct broker_url."
            yield bad(f"{where} cannot be used: {error}", hint)
            return
        if seconds is None:
            hint = "Look at the broker's own log and its disk."
            yield bad(f"{where} took a message and did not return it in {ROUND_TRIP:g} s", hint)
            return
        yield good(f"{where}: there and back in {1000 * seconds:.0f} ms")
        for queue in _queues(app):
            yield from _look_at_depth(connection, queue)


def _round_trip(connection: Connection) -> float | None:
    channel: Any = connection.channel()
    name = f"seedance_doctor.{uuid.uuid4().hex}"
    queue = Queue(
        name, channel=channel, durable=False, exclusive=True, auto_delete=True, expires=EXPIRES
    )
    queue.declare()
    started = time.monotonic()
    try:
        Producer(channel).publish({"doctor": name}, exchange="", routing_key=name)
        while time.monotonic() - started < ROUND_TRIP:
            message = queue.get(no_ack=True)
            if message is not None and message.payload == {"doctor": name}:
                return time.monotonic() - started
            time.sleep(0.02)
        return None
    finally:
        queue.delete()


def _queues(app: Any) -> list[str]:
    """Return the names of the queues that our tasks go to."""
    names = []
    for task in ALL:
        own = sending.queue_for(task)
        routed = app.amqp.router.route({"queue": own} if own else {}, task).get("queue")
        names.append(getattr(routed, "name", routed))
    return sorted({name for name in names if name})


def _look_at_depth(connection: Connection, queue: str) -> Iterator[Found]:
    if connection.transport.driver_type not in ("amqp", "redis"):
        return
    channel: Any = connection.channel()
    try:
        # Passive: it neither makes nor reads the queue.
        waiting = channel.queue_declare(queue, passive=True).message_count
    except ChannelError:
        return  # Empty and unknown look the same to some transports; a worker makes it.
    if waiting >= DEEP:
        hint = "Run more workers, or give this package a queue of its own: SEEDANCE['QUEUE']."
        yield unsure(f"queue {queue!r} holds {waiting} messages: polls come late", hint)


def look_at_workers() -> Iterator[Found]:
    """Ask the workers which tasks they know and which queues they read."""
    app: Any = current_app
    if app.conf.task_always_eager:
        yield skipped("task_always_eager is on: there are no workers")
        return
    with app.connection_for_write() as connection:
        if "fanout" not in connection.transport.implements.exchange_type:
            hint = "The line of the sweep tells whether one works."
            yield skipped("workers cannot be asked over this broker", hint)
            return
    inspect = app.control.inspect(timeout=REPLIES)
    known = inspect.registered() or {}
    if not known:
        # Celery makes up an app of the name "default" where the project has none.
        name = app.main if app.main not in (None, "default") else "myproject"
        yield bad("no worker answers", f"Start one: celery -A {name} worker")
        return
    yield from _look_at_tasks(known)
    yield from _look_at_readers(_queues(app), inspect.active_queues() or {})


def _look_at_tasks(known: dict[str, list[str]]) -> Iterator[Found]:
    # A task with a rate limit and the like is followed by them.
    names = {worker: {entry.split(" ")[0] for entry in tasks} for worker, tasks in known.items()}
    ignorant = sorted(worker for worker, tasks in names.items() if not tasks.issuperset(ALL))
    able = len(names) - len(ignorant)
    if able:
        yield good(f"{able} of {len(names)} workers know the tasks")
        return
    message = f"no worker knows the tasks: {', '.join(ignorant)}"
    yield bad(message, "Add 'seedance_celery' to INSTALLED_APPS of the workers, and restart them.")


def _look_at_readers(queues: list[str], active: dict[str, list[dict[str, Any]]]) -> Iterator[Found]:
    read = {queue["name"] for found in active.values() for queue in found}
    unread = [queue for queue in queues if queue not in read]
    if unread:
        hint = f"Start a worker with -Q {','.join(unread)}."
        yield bad(f"no worker reads the queue {', '.join(map(repr, unread))}", hint)
    else:
        yield good(f"the queue {', '.join(map(repr, queues))} is read")
