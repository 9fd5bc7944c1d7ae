"""Who may see a video: `SEEDANCE["VIEW_PERMISSION"]` names this function."""

from __future__ import annotations

from django.http import HttpRequest

from seedance_celery.models import Video

from .models import Film

__all__ = ["may_view"]


def may_view(request: HttpRequest, video: Video) -> bool:
    """Return whether the video belongs to a film of whoever asks."""
    film: Film | None = getattr(video, "film", None)
    return film is not None and film.is_visible_to(request)
