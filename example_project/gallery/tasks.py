"""The gallery's own tasks, which come after a video in its chain."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from .models import Film, Refund

__all__ = ["publish", "refund"]


@shared_task
def publish(video: dict[str, Any], film_pk: str) -> None:
    """Show a film. `video` is what `poll_video` or `store_video` returned."""
    Film.objects.filter(pk=film_pk).update(
        video_id=video["video_pk"], stage=Film.Stage.PUBLISHED, published_at=timezone.now()
    )


@shared_task
def refund(film_pk: str) -> None:
    """Give the money for a film back: an errback. A second call changes nothing."""
    Refund.objects.get_or_create(film_id=film_pk)
