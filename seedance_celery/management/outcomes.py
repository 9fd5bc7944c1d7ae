"""What the commands tell of a video, and the exit status that follows from it."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError

from ..api.redaction import redact_text
from ..models import Video
from ..status import is_storing

__all__ = [
    *("EXIT_STATUSES", "Exit", "check_ends", "describe", "ended_as", "has_ended"),
    *("needs_person", "told"),
]

Status = Video.Status

_URL = re.compile(r"https?://\S+", re.IGNORECASE)


class Exit(enum.IntEnum):
    """Exit statuses of `seedance_generate` and `seedance_track`."""

    DONE = 0
    ENDED_OTHERWISE = 1
    INVALID = 2
    STILL_RUNNING = 3
    INTERRUPTED = 130


EXIT_STATUSES = """exit status:
  0    every video is completed; without --wait: what was asked for is recorded
  1    a video ended otherwise, or its file was not kept
  2    something on the command line or in the settings is wrong, and nothing was sent;
       or the database cannot be used
  3    a video still runs at the end of --wait-timeout
  130  interrupted; the videos go on"""


def needs_person(video: Video) -> bool:
    """Tell whether only a person can go on: nobody knows what a create bought."""
    return video.status == Status.CREATE_UNKNOWN


def has_ended(video: Video) -> bool:
    """Tell whether there is nothing left to watch, the file included where it is wanted."""
    if needs_person(video):
        return True
    return video.is_finished and not (video.store_wanted and is_storing(video))


def told(video: Video) -> str:
    """Return a status with what explains it, the kept file included."""
    return ended_as(video) if not video.file else _joined(video, video.file.name or "")


def ended_as(video: Video) -> str:
    """Return a status with what explains it."""
    if video.status == Status.COMPLETED:
        return _joined(video, _told_of_file(video))
    if needs_person(video):
        return _joined(video, "adopt, buy again or give up: see seedance_track --help")
    return _joined(video, video.reason)


def _joined(video: Video, detail: str) -> str:
    status = str(video.get_status_display())
    return f"{status} ({_printable(detail)})" if detail else status


def _told_of_file(video: Video) -> str:
    if is_storing(video):
        return "storing"
    missing = _missing_file(video)
    return f"not stored: {missing}" if missing else ""


def _missing_file(video: Video) -> str:
    """Return why the file that was wanted is not there and will not come; "" otherwise."""
    if video.status != Status.COMPLETED or video.file or is_storing(video):
        return ""
    return video.store_error or ("no task keeps it any more" if video.store_wanted else "")


def _printable(text: str) -> str:
    # Some of it is the API's words: they must not move a terminal's cursor.
    return "".join(character if character.isprintable() else " " for character in text)


def describe(video: Video, *, show_url: bool = False) -> dict[str, Any]:
    """Return a video as JSON has it; the signed URL only where it was asked for."""
    described = {
        "pk": str(video.pk),
        "api_id": video.api_id,
        "account": video.account,
        "model": video.model,
        "seconds": video.seconds,
        "size": video.size,
        "status": str(video.status),
        "progress": video.progress,
        "reason": video.reason,
        "file": video.file.name or None,
        "file_size": video.file_size,
        "sha256": video.sha256 or None,
        "store_error": video.store_error,
        "created_at": video.created_at,
        "finished_at": video.finished_at,
        "deadline_at": video.deadline_at,
    }
    return {**described, "video_url": video.video_url or None} if show_url else described


def check_ends(videos: Sequence[Video]) -> None:
    """Raise the `CommandError` whose exit status tells how videos ended, unless all is well."""
    ended = [video for video in videos if has_ended(video)]
    bad = [video for video in ended if video.status != Status.COMPLETED or _missing_file(video)]
    if bad:
        raise CommandError(_complaint(bad, videos), returncode=Exit.ENDED_OTHERWISE)
    if running := [video for video in videos if not has_ended(video)]:
        message = f"{_counted(running, videos)} not ended yet; workers go on with it."
        raise CommandError(message, returncode=Exit.STILL_RUNNING)


def _complaint(bad: Sequence[Video], videos: Sequence[Video]) -> str:
    """Return what went wrong: of one video why, of several the statuses."""
    if len(videos) > 1:
        statuses = dict.fromkeys(_status_of_bad(video) for video in bad)
        return f"{len(bad)} of {len(videos)} videos did not complete: {', '.join(statuses)}."
    [video] = bad
    if video.status == Status.COMPLETED:
        return f"The file of the video was not kept: {_public(video, _missing_file(video))}."
    if needs_person(video):
        return f"The video did not complete: {ended_as(video)}."
    return f"The video did not complete: {_joined(video, _public(video, video.reason))}."


def _status_of_bad(video: Video) -> str:
    status = str(video.get_status_display())
    return f"{status} without its file" if video.status == Status.COMPLETED else status


def _public(video: Video, text: str) -> str:
    """Return a reason fit for a log: standard error often goes to one."""
    return redact_text(_URL.sub("[address]", text), hide=[video.prompt]).rstrip(".")


def _counted(some: Sequence[Video], videos: Sequence[Video]) -> str:
    return "The video has" if len(videos) == 1 else f"{len(some)} of {len(videos)} videos have"
