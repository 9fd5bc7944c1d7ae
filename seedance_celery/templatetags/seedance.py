"""`{% load seedance %}`: a video's progress and its player on any page."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import Context
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from ..models import Video
from ..permissions import may_view
from ..signed_urls import expires_at
from ..status import file_url, playable_url, shown

__all__ = ["register"]

register = template.Library()

LINK_LIFE = timedelta(hours=24)
"""How long a signed URL is trusted that does not say itself; upstream links live 24 h."""


@register.inclusion_tag("seedance_celery/assets.html")
def seedance_assets() -> dict[str, Any]:
    """Link the style sheet and the script: once a page, in its head."""
    return {}


@register.inclusion_tag("seedance_celery/progress.html", takes_context=True)
def seedance_progress(context: Context, video: Video) -> dict[str, Any]:
    """Render a progress bar that follows a video, and plays it in the end.

    Works without JavaScript (the state and a link that refreshes); `{% seedance_assets %}` brings
    it to life. Live updates need `seedance_celery.urls` in the URLconf. Where the page's viewer
    may not see the video, nothing is rendered.
    """
    request: HttpRequest | None = context.get("request")
    if request is None or not may_view(request, video):
        return {"video": None}
    row = _with_now(video)
    return {
        "video": row,
        "shown": shown(row),
        "url": _status_url(),
        "words": json.dumps(_words()),
        "refresh_url": request.get_full_path(),
        **_player(row),
    }


@register.inclusion_tag("seedance_celery/video.html", takes_context=True)
def seedance_video(context: Context, video: Video) -> dict[str, Any]:
    """Render a player for a video: of the kept file, else of the signed URL while it lives.

    Where the page's viewer may not see the video, or there is nothing to play, nothing is
    rendered.
    """
    request: HttpRequest | None = context.get("request")
    if request is None or not may_view(request, video):
        return {"playable_url": ""}
    return _player(_with_now(video))


def _with_now(video: Video) -> Video:
    is_complete = hasattr(video, "now") and hasattr(video, "troubled")
    return video if is_complete else video.current()


def _player(video: Video) -> dict[str, Any]:
    return {
        "playable_url": playable_url(video),
        "may_have_expired": file_url(video) is None and _has_expired(video),
        "expired": _expired(),
    }


def _has_expired(video: Video) -> bool:
    end = expires_at(video.video_url) or (video.finished_at or video.now) + LINK_LIFE
    return video.now > end


def _expired() -> str:
    return _("The link to this video has expired, or cannot be reached.")


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
        "expired": _expired(),
        "player": _("Video"),
    }
