"""What a project does with a finished video, and what it returns of that: nothing."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from tests.project.recorder import record


@shared_task(name="tests.privacy.publish")
def publish(result: Any, tag: str = "") -> None:
    """Record that a video has come."""
    record("task", "publish", tag=tag, status=result["status"])
