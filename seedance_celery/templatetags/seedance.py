"""`{% load seedance %}`: a video's progress and its player on any page."""

from __future__ import annotations

import json
from typing import Any

from django import template
from django.conf import settings
from django.http import HttpRequest
from django.template.context import Context
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from ..models import Video
from ..models.reading import read
from ..permissions import may_view, permission, staff_only
from ..status import player, shown, unplayable

__all__ = ["register"]

register = template.Library()

_NO_REQUEST = (
    "the context has no request: add django.template.context_processors.request to the "
    "context_processors in TEMPLATES."
)
_STAFF_ONLY = (
    "this viewer may not see the video: only staff may, unless SEEDANCE has a VIEW_PERMISSION."
)
# Large, and nothing that is shown.
_UNUSED = ("raw", "create_reply", "history", "images", "metadata")
_GONE = "the video was deleted."
_NO_URLS = "the bar stands still: the URLconf does not include seedance_celery.urls."


@register.inclusion_tag("seedance_celery/assets.html")
def seedance_assets() -> dict[str, Any]:
    """Link the style sheet and the script: once a page, in its head."""
    return {}


@register.inclusion_tag("seedance_celery/progress.html", takes_context=True)
def seedance_progress(context: Context, video: Video) -> dict[str, Any]:
    """Render a progress bar that follows a video, and plays it in the end.

    Works without JavaScript (the state and a link that refreshes); `{% seedance_assets %}` brings
    it to life. Live updates need `seedance_celery.urls` in the URLconf. Where the page's viewer
    may not see the video, nothing is rendered. With `DEBUG`, a comment in the page says what is
    missing.
    """
    request: HttpRequest | None = context.get("request")
    if request is None or not may_view(request, video):
        return {"video": None, "hint": _why_nothing(request)}
    row = _with_now(video)
    if row is None:
        return {"video": None, "hint": _hint(_GONE)}
    url = _status_url()
    return {
        "video": row,
        "hint": "" if url else _hint(_NO_URLS),
        "shown": shown(row),
        "url": url,
        "words": json.dumps(_words()),
        "refresh_url": request.get_full_path(),
        **player(row),
    }


@register.inclusion_tag("seedance_celery/video.html", takes_context=True)
def seedance_video(context: Context, video: Video) -> dict[str, Any]:
    """Render a player for a video: of the kept file, else of the signed URL while it lives.

    Where the page's viewer may not see the video, or there is nothing to play, nothing is
    rendered.
    """
    request: HttpRequest | None = context.get("request")
    if request is None or not may_view(request, video):
        return {"playable_url": "", "hint": _why_nothing(request)}
    row = _with_now(video)
    return {"playable_url": "", "hint": _hint(_GONE)} if row is None else player(row)


def _with_now(video: Video) -> Video | None:
    """Return the row with what a page must know; None if the video was deleted meanwhile."""
    if all(hasattr(video, name) for name in ("now", "troubled", "has_store")):
        return video
    rows = Video.objects.primary().with_now().filter(pk=video.pk).defer(*_UNUSED)
    return next(iter(read(rows)), None)


def _why_nothing(request: HttpRequest | None) -> str:
    """Return a hint where it is the wiring, and not the project, that shows nothing."""
    if request is None:
        return _hint(_NO_REQUEST)
    return _hint(_STAFF_ONLY) if permission() is staff_only else ""


def _hint(text: str) -> str:
    """Return what only a developer is told, in a comment of the page."""
    return text if settings.DEBUG else ""


def _status_url() -> str:
    try:
        return reverse("seedance_celery:statuses")
    except NoReverseMatch:
        return ""


def _words() -> dict[str, str]:
    """Return what only the script has to say, translated."""
    return {
        "offline": _("You are offline. This page goes on as soon as you are back."),
        "unreachable": _("The server does not answer. Trying again."),
        "signedOut": _("This page may no longer see the video. Sign in again and reload."),
        "ready": _("Reload the page to play it."),
        "expired": unplayable(is_kept=False),
        "unloadable": unplayable(is_kept=True),
        "player": _("Video"),
    }
