"""The gallery's own tasks, which come after a video in its chain."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from seedance_celery.exceptions import CreateRejected, VideoErrored, VideoFailed, VideoUrlMissing

from .models import Film, FilmEvent, Refund

__all__ = ["publish", "refund"]


@shared_task
def publish(video: dict[str, Any], film_pk: str) -> None:
    """Show a film. `video` is what `poll_video` or `store_video` returned.

    Not one whose money was given back: that is for a person to decide.
    """
    films = Film.objects.filter(pk=film_pk)
    if films.exclude(refund=None).exists():
        text = "Not published: its money was given back"
        FilmEvent.objects.get_or_create(film_id=film_pk, text=text)
        return
    films.update(
        video_id=video["video_pk"], stage=Film.Stage.PUBLISHED, published_at=timezone.now()
    )


@shared_task
def refund(request: Any, exc: Exception, traceback: Any, film_pk: str) -> None:
    """Give the money back where it is certain that no film comes: an errback.

    A video that timed out, is lost, lacks its link or was perhaps bought may still come: receivers
    go on with it. A second call changes nothing.
    """
    if isinstance(exc, VideoUrlMissing):
        return
    if isinstance(exc, (CreateRejected, VideoFailed, VideoErrored)):
        Refund.objects.get_or_create(film_id=film_pk)
