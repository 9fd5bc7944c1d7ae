"""Inside a worker: the timer of the sweep, and Celery's own log lines."""

from __future__ import annotations

import logging
from typing import Any

from celery.signals import worker_ready, worker_shutting_down

from . import dispatch
from .conf import get_settings

__all__ = ["QuietFilter", "quiet_celery"]

logger = logging.getLogger(__name__)

EXPIRES_AFTER = 20
"""How many intervals a sweep may wait in a queue. Fewer, and a late queue is never swept."""

POLLING = frozenset({dispatch.REFRESH, dispatch.SWEEP})

_timers: dict[int, Any] = {}


@worker_ready.connect(dispatch_uid="seedance_celery.worker_ready", weak=False)
def start_timer(sender: Any = None, **kwargs: Any) -> None:
    """Let this worker send a sweep at each interval. No celery beat is needed."""
    interval = get_settings().sweep_interval
    if not interval or sender is None or id(sender) in _timers:
        return
    _timers[id(sender)] = sender.timer.call_repeatedly(interval, _tick, (sender.app, interval))
    # One at once: what went missing while no worker ran has waited long enough.
    _tick(sender.app, interval)


@worker_shutting_down.connect(dispatch_uid="seedance_celery.worker_shutting_down", weak=False)
def stop_timers(**kwargs: Any) -> None:
    """Send no more sweeps from a worker that is about to end."""
    while _timers:
        _timers.popitem()[1].cancel()


def _tick(app: Any, interval: float) -> None:
    # In the worker's main process and its event loop: it only sends.
    try:
        app.tasks[dispatch.SWEEP].apply_async(
            expires=interval * EXPIRES_AFTER, retry=False, add_to_parent=False
        )
    except dispatch.BROKER_ERRORS as error:
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
