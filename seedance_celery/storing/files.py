"""Keeping the file of a completed video: once, whole, and from a link that still works."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import storages
from django.db import Error

from .. import signals, waits
from ..accounts import health
from ..api.redaction import redact_text
from ..canvas import results
from ..conf import get_settings
from ..db import clock
from ..db.leases import Heartbeat
from ..exceptions import (
    AddressRefused,
    ApiError,
    DownloadError,
    DownloadInterrupted,
    FileTooLarge,
    InvalidRequest,
    KeyMissing,
    KeyRefused,
    RateLimited,
    SeedanceError,
    StoreFailed,
    TransientError,
    UrlExpired,
    UrlOutdated,
)
from ..models import KeptTask, Video
from ..models.kept import store_id
from ..task_types import StoreResult
from .lease import StoreLease
from .saving import StoredFile, discard, store, upload_name
from .sources import has_source, is_content, new_download
from .tries import Tries

if TYPE_CHECKING:
    from ..net.download import Download

__all__ = ["keep_file"]

logger = logging.getLogger(__name__)

Status = Video.Status

PATIENCE = timedelta(hours=24)
"""How long after a video's end its file is tried for: about as long as a link can live."""
LONGEST_PAUSE_AT_FIRST = 60.0
"""Seconds between two looks for a file that is not there yet."""
LONGEST_PAUSE = 600.0
"""Seconds between two tries at most: each may download the whole file."""
NOT_YET = "not stored yet"


@dataclass(frozen=True)
class _Failure:
    """The decision that a file cannot be kept, and why."""

    reason: str


def keep_file(video: Video) -> StoreResult | StoreFailed | float:
    """Keep the file of a video; return the result, why it failed, or seconds to wait.

    The seconds are until the next try, where another process stores it now or the host is unwell.
    """
    if video.file:
        return results.store_result(video)
    if video.status != Status.COMPLETED:
        return results.store_failure(video, f"the video is {video.status}, not completed")
    wait = _tries(video).wait(video.now) or _held(video)
    if wait is not None:
        return wait
    lease = StoreLease(_rows(video))
    if not lease.take():
        return get_settings().poll_countdown[0]
    try:
        with Heartbeat(lease.renew, every=get_settings().resend_after / 3):
            outcome = _keep(video)
            return _failed(video, lease, outcome) if isinstance(outcome, _Failure) else outcome
    finally:
        lease.release()


def _rows(video: Video) -> Any:
    return Video.objects.using(video.db).filter(pk=video.pk)


def _keep(video: Video) -> StoreResult | _Failure | float:
    if not has_source(video):
        return _rescue(video, _tries(video), "the API gave no link to it")
    if verdict := _tries(video).verdict:
        # Nothing more is downloaded before the API has said whether there is a new link.
        return _rescue(video, _tries(video), verdict)
    try:
        return _fetched(video, new_download(video))
    except ApiError as error:
        return _unserved(video, error)
    except (AddressRefused, FileTooLarge, InvalidRequest, SuspiciousFileOperation) as error:
        return _Failure(str(error))
    except DownloadError as error:
        return _absent(video, error)
    except Error:
        raise
    except Exception as error:  # noqa: BLE001  (a cloud's storage raises errors of its own)
        _note(video, error)
        return _later(video, error, None)


def _fetched(video: Video, download: Download) -> StoreResult | _Failure | float:
    settings = get_settings()
    name = upload_name(settings.upload_to, video, video.finished_at or video.created_at)
    # Not `video.file.storage`: that one hides its class, which says how a file is saved.
    try:
        kept = store(download, storages[settings.storage], name, max_length=500)
    except DownloadInterrupted as error:
        return _broken_off(video, download, error)
    return _done(video, kept)


def _held(video: Video) -> float | None:
    """Return the seconds for which the key is held back, where the file is fetched with it."""
    if not is_content(video) or not video.troubled:
        return None
    return health.wait_for(video)


def _tries(row: Video) -> Tries:
    return Tries.read(row.store_tries, row.now)


def _absent(video: Video, error: DownloadError | ApiError) -> StoreResult | _Failure | float:
    """Decide what follows where the link brought no file: it may only not be there yet."""
    row = video.current()
    tries = _tries(row).absent(row.now)
    may_come = tries.may_come(video.video_url, video.finished_at, row.now)
    # Where the host says that the link has expired, or the API that the key is none, that is
    # looked into before all else.
    is_doubted = isinstance(error, (UrlOutdated, KeyRefused)) and not tries.is_reread
    if may_come and not is_doubted:
        return _soon(video, tries, error)
    return _rescue(video, tries, _reason_of_absence(error), error)


def _soon(video: Video, tries: Tries, error: DownloadError | ApiError) -> float:
    logger.info("The file of video %s is not there yet (%s)", video, type(error).__name__)
    pause = error.retry_after or min(_pause(tries.absent_for), LONGEST_PAUSE_AT_FIRST)
    return _write(video, tries, pause)


def _write(video: Video, tries: Tries, pause: float) -> float:
    """Keep what the tries came to, and when the next one is due; return the seconds until then."""
    _rows(video).update(store_tries=tries.again_in(pause).as_json())
    return pause


def _reason_of_absence(error: DownloadError | ApiError) -> str:
    if isinstance(error, UrlExpired) and not isinstance(error, UrlOutdated):
        return f"the link does not work ({error.host} answered {error.http_status})"
    return "the link has expired" if isinstance(error, UrlOutdated) else str(error).rstrip(".")


def _rescue(
    video: Video, tries: Tries, reason: str, error: DownloadError | ApiError | None = None
) -> StoreResult | _Failure | float:
    """Ask the API once for a new link; the same one means that the old has died for good."""
    row = video.current()
    tries = tries.again_asked(row.now)
    _rows(video).update(store_tries=tries.as_json())
    if tries.is_renewed(row.now):
        return _give_up(video, tries, f"{reason}, and so it was with the link before")
    held = health.wait_for(row) if row.troubled else _too_soon(row)
    if held is not None:
        return held
    _rows(video).update(asked_at=clock.now())
    try:
        task = health.client_of(row.account).retrieve(row.api_id or "")
    except ApiError as refused:
        return _later(video, refused, health.learn(row, refused) or refused.retry_after)
    health.learn(row, task)
    if not task.video_url or task.video_url == video.video_url:
        tries = replace(tries, is_reread=True)
        if error is not None and tries.may_come(video.video_url, video.finished_at, row.now):
            return _soon(video, tries, error)
        return _give_up(video, tries, f"{reason}, and the API has no new link")
    # Another process may have had this lease meanwhile, and have brought a newer link.
    same = _rows(video).filter(video_url=video.video_url)
    video.store_tries = tries.renewed(row.now).as_json()
    changes = {"video_url": task.video_url, "store_tries": video.store_tries}
    same.update(**changes, history=row.noted("a new link"))
    video.video_url = task.video_url
    return _keep(video)


def _give_up(video: Video, tries: Tries, reason: str) -> _Failure:
    _rows(video).update(store_tries=tries.given_up().as_json())
    return _Failure(reason)


def _too_soon(row: Video) -> float | None:
    """Return the seconds until the API may be asked for this video again; None for at once."""
    if row.asked_at is None:
        return None
    left = get_settings().poll_countdown[0] - (row.now - row.asked_at).total_seconds()
    return left if left > 0 else None


def _unserved(video: Video, error: ApiError) -> StoreResult | _Failure | float:
    """Decide what follows where the API itself was asked for the file and refused it."""
    if isinstance(error, (RateLimited, KeyMissing)):
        return _later(video, error, health.learn(video.current(), error))
    if isinstance(error, TransientError):
        return _later(video, error, error.retry_after)
    # A refused key is an incident only where a retrieve is refused as well, which follows.
    return _absent(video, error)


def _broken_off(
    video: Video, download: Download, error: DownloadInterrupted
) -> StoreResult | _Failure | float:
    """Decide what follows where a download broke off: at the same byte again and again, or not."""
    row = video.current()
    tries = _tries(row).broken_off(
        row.now, download.size, download.received, download.declared_size
    )
    if tries.verdict:
        return _rescue(video, tries, tries.verdict)
    outcome = _later(row, error, error.retry_after, tries.since)
    return _write(video, tries, outcome) if isinstance(outcome, float) else outcome


def _later(
    video: Video, error: Exception, retry_after: float | None, since: datetime | None = None
) -> _Failure | float:
    """Come back to a host, a storage or an API that is unwell, for a day; then give up.

    `since` is when that began, where it is known; else the video's end counts.
    """
    begun = max(filter(None, (video.finished_at, since)), default=video.now)
    age = video.now - begun
    if age > PATIENCE:
        return _Failure(_reason(error))
    logger.info("The file of video %s comes later (%s)", video, type(error).__name__)
    return retry_after or _pause(age.total_seconds())


def _pause(age: float) -> float:
    """Return the seconds until the next try: as many as since the video's end, about."""
    first = get_settings().poll_countdown[1]
    doublings = int(max(age, 0.0) / first + 1).bit_length()
    return waits.backoff(doublings, first, LONGEST_PAUSE)


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
        "store_tries": None,
    }
    row = video.current()
    if _rows(video).filter(file="").update(**changes, history=row.noted("stored")):
        logger.info("The file of video %s is kept: %s bytes", video, kept.size)
        signals.tell(signals.video_stored, video.current())
    _forget_own(video)
    row = video.current()
    discard(video.file.storage, kept.name, kept=row.file.name or "")
    return results.store_result(row)


def _failed(video: Video, lease: StoreLease, failure: _Failure) -> StoreFailed | float:
    """Record that a file was given up, unless another process has begun to keep it meanwhile."""
    if not lease.renew():
        return get_settings().poll_countdown[0]
    reason, row = failure.reason, video.current()
    told = {"store_error": reason[:300], "history": row.noted("not stored")}
    if _rows(video).filter(file="").exclude(store_error=reason[:300]).update(**told):
        logger.warning("The file of video %s was not kept: %s", video, reason)
        signals.tell(signals.video_store_failed, video.current())
    _forget_own(video)
    return results.store_failure(row, reason)


def _forget_own(video: Video) -> None:
    # The package's own task that waits, and is not this one, would only find out the same.
    own = KeptTask.objects.using(video.db).filter(key=store_id(video.pk))
    own.unclaimed().finish()
