"""What the site's web process does in the fault suite."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from celery import chain, current_app
from django.utils import timezone

from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.tasks import create_video, poll_video
from tests.project.tasks import errback, keep, slow


def chains(tags: list[str]) -> list[str]:
    """Send a chain for each tag; return the Celery ids of the steps that wait."""
    ids = []
    for tag in tags:
        poll = poll_video.s().on_error(errback.s(tag=tag))
        result: Any = chain(create_video.s("A kite"), poll, keep.s(tag=tag)).apply_async()
        ids.append(str(result.parent.id))
    return ids


def rows(tags: list[str]) -> float:
    """Call `generate_video` for each tag, as a view does; return the seconds that it took."""
    start = time.monotonic()
    for tag in tags:
        generate_video("A kite", link=keep.s(tag=tag), link_error=errback.s(tag=tag))
    return time.monotonic() - start


def fill_queue(count: int, seconds: float) -> None:
    """Put so many tasks of so many seconds into the queue."""
    for _ in range(count):
        slow.delay(tag="queue", seconds=seconds)


def revoke(celery_id: str) -> None:
    """Tell the workers to drop a task."""
    current_app.control.revoke(celery_id)


def followed() -> int:
    """Return how many videos are bought and not ended."""
    return Video.objects.filter(status__in=Video.POLLED).count()


def parked() -> int:
    """Return how many tasks wait for the end of a video, without a message."""
    waiting = KeptTask.objects.filter(task=poll_video.name, finished_at__isnull=True)
    return waiting.filter(due_at__isnull=True, lease_until__isnull=True).count()


def left() -> dict[str, int]:
    """Return how many rows have something left to do."""
    return {
        "videos": Video.objects.filter(overdue_at__isnull=False).count(),
        "tasks": KeptTask.objects.filter(finished_at__isnull=True).count(),
    }


def statuses() -> dict[str, str]:
    """Return each video's status by its pk."""
    return {str(pk): status for pk, status in Video.objects.values_list("pk", "status")}


def deadlines_ahead() -> bool:
    """Tell whether every video's deadline is about an hour after it was bought."""
    limits = timedelta(minutes=55), timedelta(minutes=65)
    return all(
        video.deadline_at is not None and limits[0] < video.deadline_at - timezone.now() < limits[1]
        for video in Video.objects.all()
    )
