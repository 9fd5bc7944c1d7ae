"""Rows as they stand at one moment of a video's life."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from seedance_celery.models import Video

Status = Video.Status

PROMPT = "A secret kite over the sea"
SIGNATURE = "X-Signature=c0ffee"
URL = f"https://files.example/kite.mp4?{SIGNATURE}"


def make(status: str = "in_progress", *, age: float = 60, **changes: Any) -> Video:
    """Insert a video that was ordered `age` seconds ago."""
    now = timezone.now()
    start = now - timedelta(seconds=age)
    values: dict[str, Any] = {
        "api_id": f"task_{uuid.uuid4().hex}",
        "model": "doubao-seedance-2-0",
        "prompt": PROMPT,
        "seconds": 5,
        "status": status,
        "created_at": start,
        "post_started_at": start,
        "history": [[start.isoformat(timespec="seconds"), "created"]],
        "raw": {"id": "task_x", "status": status},
    }
    if status in Video.POLLED:
        values |= {"progress": 30, "next_poll_at": now + timedelta(seconds=9)}
        values |= {"overdue_at": now + timedelta(seconds=69)}
    elif status not in ("creating", "create_unknown"):
        values |= {"finished_at": now, "announced_at": now}
    if status == "completed":
        values |= {"progress": 100, "video_url": URL}
    return Video.objects.create(**{**values, **changes})


def past(*durations: float, **changes: Any) -> None:
    """Insert videos that completed an hour ago and took so many seconds."""
    for seconds in durations:
        start = timezone.now() - timedelta(hours=1)
        finished = start + timedelta(seconds=seconds)
        values = {"created_at": start, "post_started_at": start, "finished_at": finished}
        make("completed", **{**values, "announced_at": finished, **changes})


def read(video: Video) -> Video:
    """Read a row anew, as the pages do."""
    return video.current()
