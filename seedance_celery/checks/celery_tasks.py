"""Checks of what `task_annotations` and global task settings make of this package's tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery import current_app
from celery.exceptions import ImproperlyConfigured as CeleryMisconfigured
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from .. import sending
from ..conf import BATCH_RUN, Settings, get_settings
from .celery_app import is_configured
from .messages import TAG, error, warning

__all__ = ["check_tasks"]

KEPT = (sending.CREATE, sending.SUBMIT, sending.POLL, sending.STORE)
EVERYWHERE = "Leave it out of task_annotations for {name!r} (an entry '*' reaches it, too)."


@checks.register(TAG)
def check_tasks(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report settings of tasks that break a promise: E012 to E014, W007 to W009."""
    app: Any = current_app
    try:
        settings = get_settings()
        if not is_configured(app):
            return []
    except (ImproperlyConfigured, CeleryMisconfigured):
        return []  # Other checks say so.
    loops = [sending.REFRESH, *([sending.BATCH] if settings.poller == "batch" else [])]
    tasks = {name: task for name, task in app.tasks.items() if name in (*KEPT, *loops)}
    return [
        *(message for task in tasks.values() for message in _check_limits(task, settings)),
        *(message for name in KEPT if name in tasks for message in _check_kept(tasks[name])),
        *_check_loop(tasks[sending.REFRESH]),
    ]


def _hint(task: Any) -> str:
    return EVERYWHERE.format(name=task.name)


def _check_limits(task: Any, settings: Settings) -> Iterator[checks.CheckMessage]:
    hard, soft = task.time_limit, task.soft_time_limit
    if hard and soft and soft > hard:
        message = (
            f"{task.name} has a soft_time_limit ({soft:g} s) above its time_limit ({hard:g} s): "
            "Celery 5.7 refuses to send it."
        )
        yield error(12, message, _hint(task))
    needed = _needed(settings).get(task.name, 0.0)
    limit = min(filter(None, (hard, soft)), default=None)
    if limit is not None and limit <= needed:
        message = (
            f"{task.name} is cut short after {limit:g} s (time_limit or soft_time_limit) and may "
            f"take {needed:g} s."
        )
        yield error(13, message, f"{_hint(task)} It is bounded by itself.")


def _needed(settings: Settings) -> dict[str, float]:
    return {
        sending.CREATE: settings.create_timeout,
        sending.SUBMIT: settings.create_timeout,
        sending.STORE: settings.store_timeout,
        sending.REFRESH: settings.poll_limit,
        sending.BATCH: BATCH_RUN + settings.poll_limit,
    }


def _check_kept(task: Any) -> Iterator[checks.CheckMessage]:
    for option in ("acks_late", "reject_on_worker_lost"):
        if not getattr(task, option):
            message = (
                f"{task.name} has {option} off: a worker that dies runs the errbacks of a video "
                "that is still rendering."
            )
            yield error(14, message, _hint(task))


def _check_loop(task: Any) -> Iterator[checks.CheckMessage]:
    if task.acks_late:
        message = f"{task.name} has acks_late on: a poll that kills its process is run for ever."
        yield warning(7, message, _hint(task))
    if task.rate_limit:
        message = (
            f"{task.name} has a rate_limit ({task.rate_limit}): polls wait in the worker, and the "
            "sweep sends them again."
        )
        yield warning(8, message, f"{_hint(task)} The API's own limits are obeyed by themselves.")
    if task.max_retries is not None:
        message = (
            f"{task.name} has max_retries {task.max_retries}: its poll loop ends after so many "
            "polls, and waits for the sweep."
        )
        yield warning(9, message, _hint(task))
