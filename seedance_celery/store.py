"""Keeping the file of a completed video: once, whole, and from a link that still works."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import storages
from django.db import Error, transaction

from . import accounts, cadence, clock, results, signals
from .conf import get_settings, is_loopback
from .exceptions import (
    ApiError,
    DownloadError,
    DownloadInterrupted,
    StoreFailed,
    UrlExpired,
)
from .heartbeat import Heartbeat
from .models import Video
from .storing import StoredFile, discard, store, upload_name
from .task_types import StoreResult

__all__ = ["keep_file"]

logger = logging.getLogger(__name__)

Status = Video.Status

PATIENCE = timedelta(hours=24)
"""How long after a video's end its file is tried for: about as long as a link can live."""


def keep_file(video: Video) -> StoreResult | StoreFailed | float:
    """Keep the file of a video; return the result, why it failed, or seconds to wait.

    The seconds are until the next try, where another process stores it now or the host is unwell.
    """
    if video.file:
        return results.store_result(video)
    if video.status != Status.COMPLETED:
        return results.store_failure(video, f"the video is {video.status}, not completed")
    if not _claim(video):
        return get_settings().poll_countdown[0]
    try:
        with Heartbeat(partial(_claim, video, again=True), every=get_settings().resend_after / 3):
            return _keep(video)
    finally:
        _rows(video).update(store_lease_until=None)


def _rows(video: Video) -> Any:
    return Video.objects.using(video.db).filter(pk=video.pk)


def _claim(video: Video, *, again: bool = False) -> bool:
    # One process at a time downloads a video, whatever number of tasks wait for its file.
    rows = _rows(video) if again else _rows(video).exclude(store_lease_until__gt=clock.now())
    return bool(rows.update(store_lease_until=clock.after(get_settings().resend_after)))


def _keep(video: Video, *, is_renewed: bool = False) -> StoreResult | StoreFailed | float:
    try:
        return _done(video, _stored(video))
    except UrlExpired:
        if is_renewed:
            return _failed(video, "the link has expired, and the new one does not work either")
        return _rescue(video)
    except DownloadInterrupted as error:
        return _later(video, error, error.retry_after)
    except (DownloadError, SuspiciousFileOperation) as error:
        return _failed(video, str(error))
    except Error:
        raise
    except Exception as error:  # noqa: BLE001  (a cloud's storage raises errors of its own)
        return _later(video, error, None)


def _stored(video: Video) -> StoredFile:
    settings = get_settings()
    account = settings.account(video.account)
    connect, read = settings.request_timeout
    # Not before it is needed: a web process downloads nothing.
    from .download import Download, DownloadLimits

    limits = DownloadLimits(
        max_size=settings.max_file_size, connect=connect, read=read, total=settings.store_timeout
    )
    # The simulator's links lead to this machine; the real API's never may.
    is_local = account.is_local and is_loopback(video.video_url)
    name = upload_name(settings.upload_to, video, video.finished_at or video.created_at)
    download = Download(video.video_url, limits, allow_loopback=is_local)
    # Not `video.file.storage`: that one hides its class, which says how a file is saved.
    return store(download, storages[settings.storage], name, max_length=500)


def _rescue(video: Video) -> StoreResult | StoreFailed | float:
    """Ask the API once for a new link; the same one means that the old has died for good."""
    row = video.current()
    held = accounts.wait_for(row.account, row.now) if row.troubled else None
    if held is not None:
        return held
    try:
        task = accounts.client_of(row.account).retrieve(row.api_id or "")
    except ApiError as error:
        return _later(video, error, accounts.learn(row, error) or error.retry_after)
    accounts.learn(row, task)
    if not task.video_url or task.video_url == video.video_url:
        return _failed(video, "the link has expired, and the API has no new one")
    _rows(video).update(video_url=task.video_url, history=video.noted("a new link"))
    video.video_url = task.video_url
    return _keep(video, is_renewed=True)


def _later(video: Video, error: Exception, retry_after: float | None) -> StoreFailed | float:
    ended = video.finished_at or video.now
    if video.now - ended > PATIENCE:
        return _failed(video, str(error) or type(error).__name__)
    logger.info("The file of video %s comes later (%s)", video, type(error).__name__)
    return retry_after or cadence.countdown(*get_settings().poll_countdown)


def _done(video: Video, kept: StoredFile) -> StoreResult:
    changes: dict[str, Any] = {
        "file": kept.name,
        "file_size": kept.size,
        "sha256": kept.sha256,
        "store_error": "",
    }
    row = video.current()
    if _rows(video).filter(file="").update(**changes, history=row.noted("stored")):
        logger.info("The file of video %s is kept: %s bytes", video, kept.size)
        _tell(video, signals.video_stored)
    row = video.current()
    discard(video.file.storage, kept.name, kept=row.file.name or "")
    return results.store_result(row)


def _failed(video: Video, reason: str) -> StoreFailed:
    row = video.current()
    told = {"store_error": reason[:300], "history": row.noted("not stored")}
    if _rows(video).filter(file="").exclude(store_error=reason[:300]).update(**told):
        logger.warning("The file of video %s was not kept: %s", video, reason)
        _tell(video, signals.video_store_failed)
    return results.store_failure(row, reason)


def _tell(video: Video, signal: Any) -> None:
    transaction.on_commit(partial(signals.tell, signal, video.current()), using=video.db)
