"""Keeping the file of a completed video: once, whole, and from a link that still works."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import storages
from django.db import Error, transaction

from . import accounts, cadence, clock, results, signals
from .conf import UnknownAccount, get_settings, is_loopback
from .exceptions import (
    ApiError,
    DownloadError,
    DownloadInterrupted,
    SeedanceError,
    StoreFailed,
    UrlExpired,
)
from .heartbeat import Heartbeat
from .models import KeptTask, Video
from .models.kept import store_id
from .redaction import redact_text
from .storing import StoredFile, discard, store, upload_name
from .task_types import StoreResult

__all__ = ["keep_file"]

logger = logging.getLogger(__name__)

Status = Video.Status

PATIENCE = timedelta(hours=24)
"""How long after a video's end its file is tried for: about as long as a link can live."""
LONGEST_PAUSE = 600.0
"""Seconds between two tries at most: each may download the whole file."""
NOT_YET = "not stored yet"


def keep_file(video: Video) -> StoreResult | StoreFailed | float:
    """Keep the file of a video; return the result, why it failed, or seconds to wait.

    The seconds are until the next try, where another process stores it now or the host is unwell.
    """
    if video.file:
        return results.store_result(video)
    if video.status != Status.COMPLETED:
        return results.store_failure(video, f"the video is {video.status}, not completed")
    lease = _Lease(_rows(video))
    if not lease.take():
        return get_settings().poll_countdown[0]
    try:
        with Heartbeat(lease.renew, every=get_settings().resend_after / 3):
            return _keep(video, lease)
    finally:
        lease.release()


def _rows(video: Video) -> Any:
    return Video.objects.using(video.db).filter(pk=video.pk)


class _Lease:
    """The right to download a video, for one process at a time, however many tasks want its file.

    It is held while the row has the time that was last written: whoever lost it leaves another's.
    """

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self._until: datetime | None = None
        # A heartbeat renews it from a thread of its own.
        self._lock = threading.Lock()

    def take(self) -> bool:
        return self._extend(self._rows.exclude(store_lease_until__gt=clock.now()))

    def renew(self) -> bool:
        with self._lock:
            return self._extend(self._held())

    def release(self) -> None:
        self._held().update(store_lease_until=None)

    def _held(self) -> Any:
        return self._rows.filter(store_lease_until=self._until)

    def _extend(self, rows: Any) -> bool:
        until = self._rows.values_list(clock.after(get_settings().resend_after), flat=True).first()
        won = bool(rows.update(store_lease_until=until))
        if won:
            self._until = until
        return won


def _keep(
    video: Video, lease: _Lease, *, is_renewed: bool = False
) -> StoreResult | StoreFailed | float:
    try:
        return _done(video, _stored(video))
    except UrlExpired:
        if is_renewed:
            reason = "the link has expired, and the new one does not work either"
            return _failed(video, lease, reason)
        return _rescue(video, lease)
    except DownloadInterrupted as error:
        return _later(video, lease, error, error.retry_after)
    except (DownloadError, SuspiciousFileOperation) as error:
        return _failed(video, lease, str(error))
    except Error:
        raise
    except Exception as error:  # noqa: BLE001  (a cloud's storage raises errors of its own)
        _note(video, error)
        return _later(video, lease, error, None)


def _stored(video: Video) -> StoredFile:
    settings = get_settings()
    connect, read = settings.request_timeout
    # Not before it is needed: a web process downloads nothing.
    from .download import Download, DownloadLimits

    limits = DownloadLimits(
        max_size=settings.max_file_size, connect=connect, read=read, total=settings.store_timeout
    )
    name = upload_name(settings.upload_to, video, video.finished_at or video.created_at)
    download = Download(video.video_url, limits, allow_loopback=_is_local(video))
    # Not `video.file.storage`: that one hides its class, which says how a file is saved.
    return store(download, storages[settings.storage], name, max_length=500)


def _is_local(video: Video) -> bool:
    # The simulator's links lead to this machine; the real API's never may.
    try:
        account = get_settings().account(video.account)
    except UnknownAccount:  # removed since; a signed link needs no key
        return False
    return account.is_local and is_loopback(video.video_url)


def _rescue(video: Video, lease: _Lease) -> StoreResult | StoreFailed | float:
    """Ask the API once for a new link; the same one means that the old has died for good."""
    row = video.current()
    held = accounts.wait_for(row.account, row.now) if row.troubled else None
    if held is not None:
        return held
    try:
        task = accounts.client_of(row.account).retrieve(row.api_id or "")
    except ApiError as error:
        return _later(video, lease, error, accounts.learn(row, error) or error.retry_after)
    accounts.learn(row, task)
    if not task.video_url or task.video_url == video.video_url:
        return _failed(video, lease, "the link has expired, and the API has no new one")
    _rows(video).update(video_url=task.video_url, history=video.noted("a new link"))
    video.video_url = task.video_url
    return _keep(video, lease, is_renewed=True)


def _later(
    video: Video, lease: _Lease, error: Exception, retry_after: float | None
) -> StoreFailed | float:
    age = video.now - (video.finished_at or video.now)
    if age > PATIENCE:
        return _failed(video, lease, _reason(error))
    logger.info("The file of video %s comes later (%s)", video, type(error).__name__)
    return retry_after or _pause(age.total_seconds())


def _pause(age: float) -> float:
    """Return the seconds until the next try: as many as since the video's end, about."""
    first = get_settings().poll_countdown[1]
    doublings = int(max(age, 0.0) / first + 1).bit_length()
    return cadence.backoff(doublings, first, LONGEST_PAUSE)


def _note(video: Video, error: Exception) -> None:
    """Say why a storage, or the project's `UPLOAD_TO`, does not take a file: once a kind."""
    row = video.current()
    kind = f"{NOT_YET}: {type(error).__name__}"
    if not any(event.startswith(kind) for _, event in row.history):
        event = f"{NOT_YET}: {_reason(error)}"
        logger.warning("The file of video %s is %s", video, event)
        _rows(video).update(history=row.noted(event))


def _reason(error: Exception) -> str:
    if isinstance(error, SeedanceError):
        return str(error)
    return redact_text(f"{type(error).__name__}: {error}", 300)


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
    _forget_own(video)
    row = video.current()
    discard(video.file.storage, kept.name, kept=row.file.name or "")
    return results.store_result(row)


def _failed(video: Video, lease: _Lease, reason: str) -> StoreFailed | float:
    if not lease.renew():
        # Another process has begun to keep the file meanwhile, and may well succeed.
        return get_settings().poll_countdown[0]
    row = video.current()
    told = {"store_error": reason[:300], "history": row.noted("not stored")}
    if _rows(video).filter(file="").exclude(store_error=reason[:300]).update(**told):
        logger.warning("The file of video %s was not kept: %s", video, reason)
        _tell(video, signals.video_store_failed)
    _forget_own(video)
    return results.store_failure(row, reason)


def _forget_own(video: Video) -> None:
    # The package's own task that waits, and is not this one, would only find out the same.
    own = KeptTask.objects.using(video.db).filter(key=store_id(video.pk))
    own.unclaimed().finish()


def _tell(video: Video, signal: Any) -> None:
    transaction.on_commit(partial(signals.tell, signal, video.current()), using=video.db)
