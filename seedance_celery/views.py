"""The status endpoint, which a page asks while videos render."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from .models import Video
from .models.reading import read
from .permissions import may_view
from .status import ShownVideo, shown

__all__ = ["video_status", "video_statuses"]

MAX_IDS = 100
"""How many videos one request may ask for."""

# Large, and nothing that is shown. The rest stays for a project's own permission to look at.
_UNUSED = ("raw", "create_reply", "evidence", "history", "images")
# What time alone or a storage's own signature changes makes no new reply.
_VOLATILE = ("poll_after", "file_url")


@login_not_required
@require_safe
def video_status(
    request: HttpRequest, pk: uuid.UUID, *, signed_urls: bool = False
) -> HttpResponseBase:
    """Answer one video as JSON; 404 where it is missing or not for this viewer.

    `signed_urls` adds `video_url`; give it in the URLconf:
    `path("videos/", include("seedance_celery.urls"), {"signed_urls": True})`.
    """
    found = _visible(request, [pk], signed_urls=signed_urls)
    if not found:
        return _error(_("There is no such video, or it is not for you to see."), 404)
    return _reply(request, found, found[0])


@login_not_required
@require_safe
def video_statuses(request: HttpRequest, *, signed_urls: bool = False) -> HttpResponseBase:
    """Answer several videos, `?id=…&id=…`, as `{"videos": […]}`.

    In the order asked for; those that are missing or not for this viewer are left out.
    """
    ids = request.GET.getlist("id")
    if not 0 < len(ids) <= MAX_IDS:
        return _error(_("Give 1 to %(max)d ids: ?id=…&id=…") % {"max": MAX_IDS}, 400)
    found = _visible(request, _keys(ids), signed_urls=signed_urls)
    return _reply(request, found, {"videos": found})


def _keys(ids: Iterable[str]) -> list[uuid.UUID]:
    keys: dict[uuid.UUID, None] = {}
    for text in ids:
        with suppress(ValueError):
            keys[uuid.UUID(text)] = None
    return list(keys)


def _visible(request: HttpRequest, keys: list[uuid.UUID], *, signed_urls: bool) -> list[ShownVideo]:
    found = read(Video.objects.with_now().defer(*_UNUSED).filter(pk__in=keys))
    rows = {row.pk: row for row in found}
    videos = [rows[key] for key in keys if key in rows]
    return [shown(video, signed_url=signed_urls) for video in videos if may_view(request, video)]


def _reply(request: HttpRequest, videos: list[ShownVideo], body: Any) -> HttpResponseBase:
    response = _private(JsonResponse(body))
    response["ETag"] = etag = _etag(videos)
    waits = [video["poll_after"] for video in videos if video["poll_after"] is not None]
    answer = get_conditional_response(request, etag=etag, response=response) or response
    if waits:
        answer["Retry-After"] = str(min(waits))
    return answer


def _etag(videos: list[ShownVideo]) -> str:
    facts = [{k: v for k, v in video.items() if k not in _VOLATILE} for video in videos]
    digest = blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()
    return f'W/"{digest}"'


def _error(message: str, status: int) -> JsonResponse:
    return _private(JsonResponse({"error": message}, status=status))


def _private(response: JsonResponse) -> JsonResponse:
    patch_cache_control(response, private=True, no_cache=True)
    patch_vary_headers(response, ("Cookie", "Accept-Language"))
    return response
