"""Checks of the Celery app: broker, queues and messages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from celery import current_app
from celery.exceptions import ImproperlyConfigured as CeleryMisconfigured
from celery.loaders.default import Loader as DefaultLoader
from django.core import checks, mail
from django.core.exceptions import ImproperlyConfigured
from kombu import serialization
from kombu.exceptions import KombuError

from ..api.envelopes import MAX_RETRY_AFTER
from ..conf import Settings, get_settings
from .messages import TAG, error, warning

__all__ = ["check_celery", "is_configured"]

WITH_VISIBILITY = frozenset({"redis", "rediss", "sentinel", "sqs"})
"""Transports that deliver a message again once it is unacknowledged for `visibility_timeout`."""

CELERY_PY = """Write {name}/celery.py:
    import os
    from celery import Celery
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")
    app = Celery("{name}")
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.autodiscover_tasks()
and in {name}/__init__.py:
    from .celery import app as celery_app
with CELERY_BROKER_URL in the settings."""


def is_configured(app: Any) -> bool:
    """Tell whether the project has a Celery app; without one, Celery makes up a default.

    Raises Celery's `ImproperlyConfigured` where its configuration cannot be read.
    """
    is_default = type(app.loader) is DefaultLoader and app.main == "default"
    return bool(app.conf.broker_url) or not is_default


@checks.register(TAG)
def check_celery(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report what in Celery's configuration breaks this package: E009 to E011, W003 to W006."""
    app: Any = current_app
    try:
        if not is_configured(app):
            return [_no_app()]
    except CeleryMisconfigured as problem:
        return [_unreadable(problem)]
    try:
        settings = get_settings()
    except ImproperlyConfigured:
        return []  # A check of its own says so.
    return [
        *_check_eager(app),
        *_check_broker(app, settings),
        *_check_queues(app, settings),
        *_check_serializer(app),
    ]


def _unreadable(problem: CeleryMisconfigured) -> checks.CheckMessage:
    hint = "With namespace='CELERY', every one of Celery's settings starts with CELERY_."
    return error(9, f"Celery's configuration cannot be read: {str(problem).strip()}", hint)


def _no_app() -> checks.CheckMessage:
    settings = os.environ.get("DJANGO_SETTINGS_MODULE", "myproject.settings")
    message = (
        "No Celery app is configured here: tasks would go to amqp://localhost, whatever broker "
        "the workers use."
    )
    return warning(3, message, CELERY_PY.format(name=settings.partition(".")[0], settings=settings))


def _check_eager(app: Any) -> Iterator[checks.CheckMessage]:
    # Django's test environment has an outbox.
    if app.conf.task_always_eager and not hasattr(mail, "outbox"):
        message = (
            "task_always_eager is on: a view that generates a video is blocked until the video "
            "has ended, and nothing is sent again after a crash."
        )
        yield warning(4, message, "Turn it off outside tests, and run a worker.")


def _check_broker(app: Any, settings: Settings) -> Iterator[checks.CheckMessage]:
    try:
        transport = str(app.connection_for_write().transport_cls)
    except ImportError:  # the transport's library is not installed; Celery says so itself
        return
    if transport == "filesystem":
        message = "The broker is filesystem://, which loses messages when two processes meet."
        yield warning(5, message, "Use Redis or RabbitMQ; sqla+sqlite:// does for a first try.")
    asked = app.conf.broker_transport_options.get("visibility_timeout")
    needed = settings.poll_countdown[1] + MAX_RETRY_AFTER + settings.resend_after
    is_short = isinstance(asked, (int, float)) and asked < needed
    if transport in WITH_VISIBILITY and is_short:
        message = (
            f"visibility_timeout is {asked:g} s, and a countdown may be longer (a Retry-After of "
            f"{MAX_RETRY_AFTER:g} s is obeyed): the broker would deliver messages twice."
        )
        hint = f"Write broker_transport_options = {{'visibility_timeout': {needed:.0f}}} or more."
        yield warning(6, message, hint)


def _check_queues(app: Any, settings: Settings) -> Iterator[checks.CheckMessage]:
    if app.conf.task_create_missing_queues:
        return
    for name in ("queue", "store_queue"):
        queue = getattr(settings, name)
        if queue is not None and queue not in app.amqp.queues:
            message = f"SEEDANCE[{name.upper()!r}], {queue!r}, is not among task_queues."
            hint = (
                f"Add kombu.Queue({queue!r}) to task_queues, or let Celery make it: "
                "task_create_missing_queues = True."
            )
            yield error(10, message, hint)


def _check_serializer(app: Any) -> Iterator[checks.CheckMessage]:
    sample = [["an id", 1], {}, {"callbacks": None}]
    try:
        kind, encoding, data = serialization.dumps(sample, serializer=app.conf.task_serializer)
        accept = serialization.prepare_accept_content(app.conf.accept_content)
        serialization.loads(data, kind, encoding, accept=accept)
    except KombuError as problem:
        message = (
            f"Messages with task_serializer {app.conf.task_serializer!r} are not read by workers "
            f"with accept_content {list(app.conf.accept_content)} ({type(problem).__name__})."
        )
        yield error(11, message, "Write task_serializer = 'json' and accept_content = ['json'].")
