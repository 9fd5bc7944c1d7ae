"""Where the file of a video comes from: the link, or the API itself where the model says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..accounts import health
from ..api.base_url import is_loopback
from ..conf import UnknownAccount, get_settings
from ..db import clock
from ..models import Video

if TYPE_CHECKING:
    from ..net.download import Download

__all__ = ["has_source", "is_content", "new_download"]


def has_source(video: Video) -> bool:
    """Tell whether there is anything that the file could be fetched from."""
    return bool(video.video_url) or is_content(video)


def is_content(video: Video) -> bool:
    """Tell whether the API itself delivers the file, to whoever has the key."""
    model = get_settings().models.get(video.model)
    return not video.video_url and model is not None and model.content


def new_download(video: Video) -> Download:
    """Return the download of a video's file, which has not begun.

    Raises `InvalidRequest`, `KeyMissing` or `UnknownAccount` where the API would have to be asked
    and cannot be.
    """
    settings = get_settings()
    connect, read = settings.request_timeout
    # Not before it is needed: a web process downloads nothing.
    from ..net.content import ContentDownload
    from ..net.download import Download, DownloadLimits

    limits = DownloadLimits(
        max_size=settings.max_file_size, connect=connect, read=read, total=settings.store_timeout
    )
    if not is_content(video):
        is_local = _is_local(video)
        return Download(video.video_url, limits, allow_loopback=is_local, sleep=clock.sleep)
    client, is_local = health.client_of(video.account), settings.account(video.account).is_local
    api_id = video.api_id or ""
    return ContentDownload(client, api_id, limits, allow_loopback=is_local, sleep=clock.sleep)


def _is_local(video: Video) -> bool:
    # The simulator's links lead to this machine; the real API's never may.
    try:
        account = get_settings().account(video.account)
    except UnknownAccount:  # removed since; a signed link needs no key
        return False
    return account.is_local and is_loopback(video.video_url)
