"""What runs inside a worker beside its tasks, such as the sweep's timer and kept connections."""

from __future__ import annotations

import importlib
import logging
import os
from typing import Any

from celery import bootsteps
from celery.signals import (
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)
from django.core import checks
from django.db import Error

from . import sending
from .checks.messages import TAG
from .conf import get_settings
from .db import pool

__all__ = ["QuietFilter", "SweepTimer", "quiet_celery"]

logger = logging.getLogger(__name__)

EXPIRES_AFTER = 20
"""How many intervals a sweep may wait in a queue. Fewer, and a late queue is never swept."""

POLLING = frozenset({sending.BATCH, sending.REFRESH, sending.SWEEP})


class SweepTimer(bootsteps.StartStopStep):
    """Sends a sweep at each interval, for as long as this worker is connected to its broker.

    Started anew with each connection: Celery 5.5 clears the worker's timer when it loses one.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self._entry: Any = None

    def start(self, consumer: Any) -> None:
        """Send a sweep now and at each interval."""
        interval = get_settings().sweep_interval
        if not interval:
            return
        arguments = (consumer.app, interval)
        self._entry = consumer.timer.call_repeatedly(interval, _tick, arguments)
        # One at once: what went missing while no worker ran has waited long enough.
        _tick(*arguments)

    def stop(self, consumer: Any) -> None:
        """Send no more sweeps."""
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None

    shutdown = stop


@worker_init.connect(dispatch_uid="seedance_celery.worker_init", weak=False)
def add_timer(sender: Any = None, **kwargs: Any) -> None:
    """Let this worker send sweeps. No celery beat is needed."""
    sender.app.steps["consumer"].add(SweepTimer)


@worker_init.connect(dispatch_uid="seedance_celery.load", weak=False)
def load_client(**kwargs: Any) -> None:
    """Import what polls need, once, before the pool forks its children."""
    importlib.import_module("seedance_celery.client")


@worker_init.connect(dispatch_uid="seedance_celery.keep", weak=False)
@worker_process_init.connect(dispatch_uid="seedance_celery.keep", weak=False)
def keep_connections(**kwargs: Any) -> None:
    """Keep the poll loop's database connections over tasks, in this process."""
    pool.start()


@worker_shutdown.connect(dispatch_uid="seedance_celery.close", weak=False)
@worker_process_shutdown.connect(dispatch_uid="seedance_celery.close", weak=False)
def close_connections(**kwargs: Any) -> None:
    """Close them with the worker."""
    pool.stop()


@worker_ready.connect(dispatch_uid="seedance_celery.check", weak=False)
def log_checks(**kwargs: Any) -> None:
    """Log what this package's system checks find: Celery runs them all, and says nothing of it."""
    if os.environ.get("CELERY_SKIP_CHECKS"):
        return
    for message in checks.run_checks(tags=[TAG]):
        if not message.is_silenced():
            logger.log(message.level, "%s: %s %s", message.id, message.msg, message.hint or "")


@worker_ready.connect(dispatch_uid="seedance_celery.tables", weak=False)
def log_missing_migrations(**kwargs: Any) -> None:
    """Log migrations that are not applied: without its tables each task comes back for ever."""
    if os.environ.get("CELERY_SKIP_CHECKS"):
        return
    from .checks.schema import unapplied

    try:
        missing = unapplied()
    except Error:
        return  # the tasks say that it is away
    if missing:
        names = ", ".join(missing)
        logger.error(
            "Migrations are not applied: seedance_celery %s. Run manage.py migrate.", names
        )


def _tick(app: Any, interval: float) -> None:
    # In the worker's main process and its event loop: it only sends.
    try:
        app.tasks[sending.SWEEP].apply_async(
            expires=interval * EXPIRES_AFTER, retry=False, add_to_parent=False
        )
    except sending.BROKER_ERRORS as error:
        logger.debug("No sweep was sent: the broker is away (%s)", type(error).__name__)


class QuietFilter(logging.Filter):
    """Turn Celery's lines about healthy polls and sweeps into DEBUG lines.

    Celery writes "received" and "succeeded" at INFO for each of them: a line a second for every
    ten videos. Warnings and errors stay as they are.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be written."""
        data = getattr(record, "data", None)
        if record.levelno != logging.INFO or not isinstance(data, dict):
            return True
        if data.get("name") not in POLLING:
            return True
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


def quiet_celery() -> None:
    """Add the filter to Celery's two loggers, once."""
    for name in ("celery.app.trace", "celery.worker.strategy"):
        celery_logger = logging.getLogger(name)
        if not any(isinstance(present, QuietFilter) for present in celery_logger.filters):
            celery_logger.addFilter(QuietFilter())
