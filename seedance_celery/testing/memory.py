"""Lets a Celery app send to a broker in this process's memory, and keep its results there."""

from __future__ import annotations

import contextlib
import os
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

# Celery looks at these before its configuration.
ENVIRONMENT = (
    *("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"),
    "CELERY_RESULT_BACKEND",
)


@contextlib.contextmanager
def in_memory(app: Celery, now: Callable[[], datetime]) -> Iterator[None]:
    """Send in memory, by the clock `now`, until the block ends."""
    now_before = vars(app).get("now")
    _import_tasks(app)
    _forget_connections(app)
    with _without_environment(), _configured(app):
        app.now = now  # type: ignore[method-assign]
        _listen_for_control(app)
        try:
            yield
        finally:
            _forget_connections(app)
            _give_back(app, now_before)


@contextlib.contextmanager
def _without_environment() -> Iterator[None]:
    before = {name: os.environ.pop(name) for name in ENVIRONMENT if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


@contextlib.contextmanager
def _configured(app: Any) -> Iterator[None]:
    app.conf.get("broker_url")  # what config_from_object() was given is read now
    changes = app.conf.changes
    names = {*CONFIGURATION, *(_with_prefix(app, name) for name in CONFIGURATION)}
    before = {name: changes[name] for name in names if name in changes}
    try:
        for name, value in CONFIGURATION.items():
            app.conf[name] = value
            if app.conf.get(name) != value:
                # Before Celery 5.7 a name with the namespace is found first, wherever it stands.
                app.conf[_with_prefix(app, name)] = value
        yield
    finally:
        for name in names:
            changes.pop(name, None)
        changes.update(before)


def _with_prefix(app: Any, name: str) -> str:
    prefix = app.conf.prefix or ""
    return f"{prefix}{name.upper() if prefix.isupper() else name}"


def _give_back(app: Celery, now_before: Any) -> None:
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
