"""Lets a Celery app send to a broker in this process's memory, and keep its results there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from weakref import WeakSet

from celery import Celery
from kombu.transport.memory import Channel

__all__ = ["HOST", "in_memory"]

HOST = "seedance-celery-testing"

# What is set to reach a real broker or result backend, or to do without one.
CONFIGURATION: dict[str, Any] = {
    "broker_url": f"memory://{HOST}",
    "broker_read_url": None,
    "broker_write_url": None,
    "broker_transport": None,
    "broker_transport_options": {},
    "broker_use_ssl": False,
    "broker_login_method": None,
    "result_backend": "cache+memory://",
    "result_backend_transport_options": {},
    "cache_backend_options": {},
    "task_always_eager": False,
}


@contextlib.contextmanager
def in_memory(app: Celery, now: Callable[[], datetime]) -> Iterator[None]:
    """Send in memory, by the clock `now`, until the block ends."""
    before = {name: app.conf.get(name) for name in CONFIGURATION}
    now_before = vars(app).get("now")
    _import_tasks(app)
    _forget_connections(app)
    app.conf.update(CONFIGURATION)
    app.now = now  # type: ignore[method-assign]
    _listen_for_control(app)
    try:
        yield
    finally:
        _forget_connections(app)
        app.conf.update(before)
        if now_before is None:
            del app.now
        else:
            app.now = now_before  # type: ignore[method-assign]


_ready: WeakSet[Celery] = WeakSet()


def _import_tasks(app: Celery) -> None:
    # Once, as a worker does: Celery runs Django's checks with it.
    if app not in _ready:
        app.loader.import_default_modules()
        _ready.add(app)


def _forget_connections(app: Any) -> None:
    app._pool = None
    app.amqp._producer_pool = None
    app._backend_cache = None
    app._local.__dict__.pop("backend", None)
    app.__dict__.pop("control", None)
    for queue in Channel.queues.values():
        queue.queue.clear()


def _listen_for_control(app: Celery) -> None:
    """Have what is broadcast to workers, such as a revoke, delivered to a queue as well."""
    with app.connection_for_write() as connection:
        mailbox: Any = app.control.mailbox  # type: ignore[attr-defined]  # the stubs leave it out
        mailbox.get_queue(HOST)(connection.default_channel).declare()
