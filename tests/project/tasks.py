"""Tasks as users write them, which record that they ran."""

from __future__ import annotations

import time
from typing import Any

import requests
from celery import Task, shared_task
from django.conf import settings

from . import traps
from .recorder import record


def _details(task: Any) -> dict[str, Any]:
    request = task.request
    return {"celery_id": request.id, "retries": request.retries, "root": request.root_id}


def _video(value: Any) -> str:
    found = value.get("video_pk") or value.get("id") if isinstance(value, dict) else ""
    return str(found or "")


@shared_task(bind=True, name="tests.keep")
def keep(self: Task[Any, Any], value: Any = None, tag: str = "", extra: Any = None) -> Any:
    """Record the value and hand it on: a step of a chain, a member of a group."""
    record("task", "keep", tag=tag, video=_video(value), value=value, **_details(self))
    return value


@shared_task(bind=True, name="tests.gather")
def gather(self: Task[Any, Any], values: list[Any], tag: str = "") -> int:
    """Record what a group brought: a chord's body."""
    videos = [_video(value) for value in values]
    record("task", "gather", tag=tag, videos=videos, value=values, **_details(self))
    return len(values)


@shared_task(bind=True, name="tests.boom")
def boom(self: Task[Any, Any], value: Any = None, tag: str = "") -> None:
    """Record, and fail."""
    record("task", "boom", tag=tag, video=_video(value), **_details(self))
    raise RuntimeError("boom")


@shared_task(bind=True, name="tests.slow")
def slow(self: Task[Any, Any], value: Any = None, tag: str = "", seconds: float = 60) -> Any:
    """Record, and take long."""
    record("task", "slow", tag=tag, **_details(self))
    time.sleep(seconds)
    record("task", "slow-end", tag=tag, **_details(self))
    return value


@shared_task(bind=True, name="tests.again", max_retries=None)
def again(self: Task[Any, Any], tag: str = "", times: int = 3, countdown: float = 0.2) -> str:
    """Record, and retry so many times."""
    record("task", "again", tag=tag, **_details(self))
    if self.request.retries < times:
        raise self.retry(countdown=countdown)
    return tag


@shared_task(name="tests.errback")
def errback(request: Any, exc: BaseException, traceback: Any, tag: str = "") -> None:
    """Record a failure; Celery runs it inline (new style)."""
    attributes = {k: v for k, v in vars(exc).items() if isinstance(v, (str, int, float))}
    record(
        "errback", "errback", tag=tag, celery_id=request.id, exc=type(exc).__name__, **attributes
    )
    traps.spring("errback")


@shared_task(bind=True, name="tests.old_errback")
def old_errback(self: Task[Any, Any], failed_id: str, tag: str = "") -> None:
    """Record a failure; Celery sends it as a task (old style)."""
    record("errback", "old_errback", tag=tag, failed=failed_id, **_details(self))


@shared_task(bind=True, name="tests.refund")
def refund(self: Task[Any, Any], tag: str = "") -> None:
    """Record a failure; used as an immutable errback, `refund.si(tag)`."""
    record("errback", "refund", tag=tag, **_details(self))


@shared_task(bind=True, name="tests.my_create")
def my_create(self: Task[Any, Any], /, prompt: str, reply: str = "raw", **fields: Any) -> Any:
    """Buy a video without the package; return the raw reply, its id or the older mapping.

    `reply` is `"raw"`, `"id"` or `"task_id"`.
    """
    options = settings.SEEDANCE
    form = {"prompt": prompt, "model": "doubao-seedance-2-0", "seconds": "5", **fields}
    answer = requests.post(
        f"{options['BASE_URL']}/v1/videos",
        headers={"Authorization": f"Bearer {options['API_KEY']}"},
        files={name: (None, str(value)) for name, value in form.items()},
        timeout=10,
    )
    answer.raise_for_status()
    body = answer.json()
    record("task", "my_create", video=body["id"], **_details(self))
    return {"raw": body, "id": body["id"], "task_id": {"task_id": body["id"]}}[reply]
