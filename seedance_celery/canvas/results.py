"""What the tasks return and raise, made from a row."""

from __future__ import annotations

from typing import Any, TypeVar

from .. import exceptions
from ..exceptions import (
    CanvasStopped,
    CreateRejected,
    CreateUnknown,
    StoreFailed,
    VideoEnded,
    VideoErrored,
    VideoFailed,
    VideoLost,
    VideoTimedOut,
    VideoUrlMissing,
)
from ..models import Video
from ..task_types import PollResult, StoreResult

__all__ = [
    "PollResult",
    "StoreResult",
    "error_as_json",
    "error_from_json",
    "error_of",
    "poll_result",
    "reply_of",
    "store_failure",
]

Status = Video.Status

E = TypeVar("E", bound=CanvasStopped)


def poll_result(video: Video) -> PollResult:
    """Return what `poll_video` returns for a row."""
    return {
        "id": video.api_id or "",
        "status": str(video.status),
        "progress": video.progress,
        "model": video.model,
        "video_url": video.video_url,
        "created_at": video.api_created_at,
        "completed_at": video.api_completed_at,
        "account": video.account,
        "video_pk": str(video.pk),
    }


def store_result(video: Video) -> StoreResult:
    """Return what `store_video` returns for a row whose file is kept."""
    return {
        **poll_result(video),
        "file": video.file.name or "",
        "file_size": video.file_size or 0,
        "sha256": video.sha256,
    }


def reply_of(video: Video) -> dict[str, Any]:
    """Return what `create_video` returns: the API's reply, with the account and the row's pk."""
    reply = dict(video.create_reply or {})
    reply.setdefault("status", "queued")
    return {**reply, "id": video.api_id, "account": video.account, "video_pk": str(video.pk)}


_ENDS: dict[str, tuple[type[VideoEnded], str]] = {
    Status.FAILED: (VideoFailed, "The provider rejected video {name}{reason}."),
    Status.ERROR: (VideoErrored, "An error of the API ended video {name}{reason}. Buy it anew."),
    Status.REJECTED: (
        CreateRejected,
        "The create of video {name} was refused{reason}. Nothing was bought.",
    ),
    Status.CREATE_UNKNOWN: (
        CreateUnknown,
        "Nobody knows whether video {name} was bought{reason}. Call adopt() or buy_again().",
    ),
    Status.TIMED_OUT: (
        VideoTimedOut,
        "Video {name} took longer than its timeout. resume() waits again; a late end is collected.",
    ),
    Status.LOST: (
        VideoLost,
        "The API has never known video {name}. Does the id come from a create on this account?",
    ),
}


_WAY_BACK = "It is asked for late; resume() asks again now, and CometAPI's support may know more."


def error_of(video: Video) -> VideoEnded:
    """Return the exception that tells the end of a row that is not completed."""
    kind, text = _ENDS[video.status]
    if video.lacks_link:
        kind, text = VideoUrlMissing, "Video {name} is made{reason}. {way_back}"
    return _error(kind, text, video, video.reason)


def error_as_json(error: CanvasStopped) -> list[str]:
    """Return an error's class and data, to be kept until it was raised."""
    return [type(error).__name__, *map(str, error.args)]


def error_from_json(kept: list[str]) -> CanvasStopped:
    """Return the error that was kept."""
    kind: type[CanvasStopped] = getattr(exceptions, kept[0])
    return kind(*kept[1:])


def timed_out(video: Video) -> VideoTimedOut:
    """Return the exception for a task whose own timeout passed before the video's."""
    text = "Video {name} took longer than this task's timeout; it is still followed."
    return VideoTimedOut(*_data(text, video, Status.TIMED_OUT, "the task's timeout passed"))


def store_failure(video: Video, reason: str) -> StoreFailed:
    """Return the exception for a file that could not be kept."""
    return _error(StoreFailed, "The file of video {name} was not kept{reason}.", video, reason)


def _error(kind: type[E], text: str, video: Video, reason: str) -> E:
    return kind(*_data(text, video, video.status, reason))


def _data(text: str, video: Video, status: str, reason: str) -> tuple[str, ...]:
    because = f": {reason}" if reason else ""
    message = text.format(name=video.api_id or video.pk, reason=because, way_back=_WAY_BACK)
    return message, video.api_id or "", str(status), reason, str(video.pk), _code(video)


def _code(video: Video) -> str:
    """Return the API's code for the end of a row, where it gave one."""
    is_create = video.status in (Status.REJECTED, Status.CREATE_UNKNOWN)
    told = video.evidence.get("create" if is_create else "end") or {}
    is_bad = video.status in (Status.FAILED, Status.ERROR) or is_create
    return str(told.get("code", "")) if is_bad else ""
