"""Sending this package's tasks, in the one place that gives the broker something of ours.

A message that cannot be sent is never the caller's error: the row waits, and the sweep sends it
later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from celery import current_app
from celery.exceptions import NotRegistered
from celery.utils.functional import arity_greater
from kombu.exceptions import KombuError, OperationalError
from kombu.utils.json import dumps, loads

from .conf import get_settings

__all__ = [
    "BATCH",
    "BROKER_ERRORS",
    "CREATE",
    "POLL",
    "PREFIX",
    "REFRESH",
    "STORE",
    "SUBMIT",
    "SWEEP",
    "delay",
    "in_batches",
    "is_inline",
    "is_keepable",
    "misfit",
    "queue_for",
    "resend",
    "send",
    "signature_text",
]

logger = logging.getLogger(__name__)

PREFIX = "seedance_celery.tasks."
CREATE = PREFIX + "create_video"
SUBMIT = PREFIX + "submit_video"
POLL = PREFIX + "poll_video"
STORE = PREFIX + "store_video"
REFRESH = PREFIX + "refresh_video"
BATCH = PREFIX + "refresh_videos"
SWEEP = PREFIX + "sweep_videos"

BROKER_ERRORS = (OperationalError, KombuError, OSError)

# One more try, at once: a view or a sweep does not wait for a broker that is down.
RETRY_POLICY = {"max_retries": 1, "interval_start": 0.0, "interval_step": 0.2, "interval_max": 0.2}

MAX_LEVELS = 200
"""Lists and dicts within each other, up to which a canvas is kept."""

# What a canvas would do next stays in the row: a copy that dies must not take it along, and
# Celery must not run errbacks for it. An old `expires` would drop the copy.
NOT_SENT_AGAIN = ("chain", "chord", "link", "link_error", "expires", "eta", "countdown")


def queue_for(name: str) -> str | None:
    """Return the queue of a task of ours, or None for the project's routing."""
    settings = get_settings()
    return (settings.store_queue if name == STORE else None) or settings.queue


def in_batches() -> bool:
    """Tell whether this process leaves polling to the batch pollers.

    In eager mode nobody comes for a row later: there each video is polled in place.
    """
    return get_settings().poller == "batch" and not current_app.conf.task_always_eager


def send(name: str, args: Sequence[Any], **options: Any) -> bool:
    """Send a task of ours by name; return whether the broker took it."""
    app = cast("Any", current_app)._get_current_object()
    task = app.tasks.get(name)
    if task is None:
        options = {"queue": queue_for(name), "argsrepr": "()", **options}
        return _sent(name, lambda **o: app.send_task(name, args, **o), options)
    return _sent(name, lambda **o: task.apply_async(args, **o), options)


def resend(text: str, countdown: float = 0) -> bool:
    """Send a kept task again, without its canvas; return whether the broker took it."""
    stored = loads(text)
    options = {k: v for k, v in stored["options"].items() if k not in NOT_SENT_AGAIN}
    options |= delay(countdown)
    signature = current_app.signature({**stored, "options": options})
    return _sent(stored["task"], signature.apply_async, {})


def delay(countdown: float) -> dict[str, float]:
    """Return the options of a message that is to wait so many seconds."""
    if countdown <= 0:
        return {}
    # RabbitMQ's delayed delivery takes whole seconds, and Celery raises ValueError for none. Only
    # a simulator on this machine may be asked for more often than each second.
    is_quick = get_settings().poll_countdown[0] < 1
    return {"countdown": countdown if is_quick else max(1.0, countdown)}


def signature_text(name: str, args: Sequence[Any], **options: Any) -> str:
    """Return a task of ours in the form in which tasks are kept."""
    kept = {"task": name, "args": list(args), "kwargs": {}, "options": options}
    return str(dumps({**kept, "subtask_type": None, "immutable": False}))


def is_keepable(signature: Any) -> bool:
    """Tell whether a signature comes back from JSON as it was."""
    if _is_deep(signature):
        return False
    try:
        return bool(_plain(loads(dumps(signature))) == _plain(signature))
    except (TypeError, ValueError, RecursionError):
        return False


def _is_deep(value: Any) -> bool:
    """Tell whether lists and dicts are nested so deep that reading them may end in an error.

    How deep JSON may be depends on how much of Python's stack is used already, and a row is read
    and sent again from other places than it is written in.
    """
    level = [value]
    for _ in range(MAX_LEVELS):
        parts = [item for item in level if isinstance(item, (dict, list, tuple))]
        if not parts:
            return False
        level = [p for part in parts for p in (part.values() if isinstance(part, dict) else part)]
    return True


def misfit(signature: Any, given: int | None) -> str:
    """Return why a task refuses its arguments, after so many that come before them; "" if not.

    None is for an errback: it is given three where Celery calls it in the worker, or one. A task
    that this process does not know, and one without `typing`, is not looked at; of a chain that
    is no errback, the first is.
    """
    if signature.subtask_type == "chain" and given is not None:
        return misfit(signature.tasks[0], given) if signature.tasks else ""
    if signature.subtask_type:
        return ""
    try:
        task = signature.type
    except NotRegistered:
        return ""
    header = getattr(task, "__header__", None)
    if header is None or not getattr(task, "typing", False):
        return ""
    count = (3 if is_inline(signature) else 1) if given is None else given
    before = () if signature.immutable else (None,) * count
    try:
        header(*before, *signature.args, **signature.kwargs)
    except TypeError as error:
        return str(error)
    return ""


def is_inline(signature: Any) -> bool:
    """Tell whether Celery calls an errback in the worker; the others are sent as tasks."""
    # Celery's own rule (celery.backends.base): more than one argument, and not a bound task.
    try:
        header = getattr(signature.type, "__header__", None)
    except NotRegistered:
        return False
    return header is not None and not isinstance(header, partial) and bool(arity_greater(header, 1))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _sent(name: str, publish: Callable[..., Any], options: dict[str, Any]) -> bool:
    try:
        publish(retry_policy=RETRY_POLICY, add_to_parent=False, **options)
    except BROKER_ERRORS as error:
        logger.info("%s waits for the sweep: the broker is away (%s)", name, type(error).__name__)
        return False
    return True
