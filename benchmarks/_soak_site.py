"""What the soak's web process does."""

from __future__ import annotations

from django.db.models import Count

from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video
from tests.project.tasks import keep


def buy(tags: list[str]) -> None:
    """Insert a video for each tag, as views do."""
    for tag in tags:
        # Whoever tries again after a database was away does not buy again.
        canvas, metadata = keep.s(tag=tag), {"tag": tag}
        generate_video("A kite", link=canvas, metadata=metadata, idempotency_key=tag)


def left() -> int:
    """Return how many rows have something left to do that needs no person."""
    unknown = Video.objects.filter(status="create_unknown", announced_at__isnull=False)
    tasks = KeptTask.objects.filter(finished_at__isnull=True).exclude(video__in=unknown)
    videos = Video.objects.filter(finished_at__isnull=True).exclude(pk__in=unknown)
    return tasks.count() + videos.count()


def statuses() -> dict[str, int]:
    """Return how many videos there are of each status."""
    rows = Video.objects.order_by().values_list("status").annotate(Count("pk"))
    return dict(rows)


def tags(status: str) -> dict[str, str]:
    """Return the tag of each video of a status, by its pk."""
    rows = Video.objects.filter(status=status).values_list("pk", "metadata")
    return {str(pk): metadata["tag"] for pk, metadata in rows}
