"""Films as they stand at one moment of their lives. Runs inside the example project."""

from __future__ import annotations

import shutil
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from gallery.models import Film, FilmEvent

import seedance_celery.simulator
from seedance_celery.models import KeptTask, Video
from tests.web.rows import make, past

KITE = Path(seedance_celery.simulator.__file__).parent / "media" / "kite.mp4"
FILE = "videos/kite.mp4"
KEPT = {"file": FILE, "file_size": KITE.stat().st_size}

STAGES = {
    **dict.fromkeys(("failed", "error", "rejected"), Film.Stage.FAILED),
    **dict.fromkeys(("timed_out", "lost", "create_unknown"), Film.Stage.UNCERTAIN),
}
FILMS: list[tuple[str, str, dict[str, Any]]] = [
    ("An empty beach after the storm", "lost", {"size": "16:9"}),
    ("A night train seen from a bridge", "timed_out", {"size": "21:9"}),
    ("A market square at noon", "create_unknown", {"api_id": None, "size": "16:9"}),
    (
        "Snow falling upwards",
        "rejected",
        {"api_id": None, "reason": "user quota is not enough", "size": "16:9"},
    ),
    ("Two foxes in the snow", "error", {"size": "4:3"}),
    ("A portrait of somebody famous", "failed", {"reason": "moderation", "size": "1:1"}),
    ("A paper boat in the gutter", "completed", {"size": "16:9"}),
    ("Rain on a tin roof", "in_progress", {"errors": 5, "progress": 50, "size": "16:9"}),
    ("A lighthouse in the fog", "in_progress", {"progress": 30, "age": 60, "size": "16:9"}),
    ("A meadow in the wind", "queued", {"progress": 0, "age": 8, "size": "16:9"}),
    ("A red kite over the sea at sunrise", "completed", {**KEPT, "size": "16:9"}),
    ("A cat that reads the newspaper", "creating", {"api_id": None, "age": 2, "size": "16:9"}),
]
"""Prompt, status and what else is so, the oldest first: one of each that people can see."""


def fill(name: str) -> None:
    """Give a user one film of each."""
    folder = Path(settings.MEDIA_ROOT) / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(KITE, folder / KITE.name)
    past(*range(80, 140, 4), size="16:9", file=FILE)
    owner = User.objects.get(username=name)
    for number, (prompt, status, changes) in enumerate(FILMS):
        _film(owner, prompt, status, {"age": 3600 - 240 * number, "seconds": 5, **changes})


def _film(owner: User, prompt: str, status: str, changes: dict[str, Any]) -> None:
    age = timedelta(seconds=changes["age"])
    # No worker is to come back to what only stands there.
    later = timezone.now() + timedelta(days=1)
    never = {"overdue_at": later, "deadline_at": later} if status in Video.POLLED else {}
    ended = timezone.now() - age + timedelta(seconds=95)
    times = {"finished_at": ended, "announced_at": ended} if _has_ended(status) else {}
    history = [["created", 1], ["in_progress", 8], [status, 95]] if times else [["created", 1]]
    start = timezone.now() - age
    told = [[(start + timedelta(seconds=s)).isoformat(timespec="seconds"), e] for e, s in history]
    video = make(status, prompt=prompt, history=told, **{**times, **never, **changes})
    raw = {"id": video.api_id, "object": "video", "status": status, "progress": video.progress}
    Video.objects.filter(pk=video.pk).update(raw=raw if video.api_id else None)
    if never or (status == "completed" and not video.file):
        name = "poll_video" if never else "store_video"
        waits = {"task": f"seedance_celery.tasks.{name}", "celery_id": str(uuid.uuid4())}
        KeptTask.objects.create(video=video, **waits)
    stage = STAGES.get(status, Film.Stage.RENDERING)
    film = Film.objects.create(prompt=prompt, owner=owner, video=video, stage=stage)
    Film.objects.filter(pk=film.pk).update(created_at=start)
    if video.api_id:
        FilmEvent.objects.create(film=film, text="Accepted by the API")


def _has_ended(status: str) -> bool:
    return status not in ("creating", "create_unknown", *Video.POLLED)
