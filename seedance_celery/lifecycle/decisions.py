"""One step of the poll loop, as a pure function of the row, the answer and the time.

`decide()` is where every rule about statuses lives: it says what changes, and whether to go on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from ..api import evidence
from ..api.envelopes import without_request_ids
from ..api.replies import VideoTask, redact
from ..conf import get_settings
from ..exceptions import ApiError, TaskNotExist
from ..models import Video
from ..models.columns import Columns

__all__ = ["GRACE", "PATIENCE", "Step", "decide", "is_given_up", "recorded"]

Status = Columns.Status

GRACE = timedelta(minutes=2)
"""How long an id that the API has never known may stay unknown."""
PATIENCE = timedelta(hours=1)
"""How long after its deadline a video without any answer still is asked for."""
URLLESS_POLLS = 3
"""How many more polls a `completed` without a URL gets."""
FINAL_POLLS = 3
"""How many polls in a row must bring a word of the upstream for an end, before it is believed."""
FINAL_TIME = timedelta(minutes=2)
"""How long such a word must have been said, at least."""

_RANK = {Status.QUEUED: 0, Status.IN_PROGRESS: 1}


@dataclasses.dataclass(frozen=True)
class Step:
    """What one answer means for a row: its changes, and an event worth a line of history."""

    changes: dict[str, Any]
    event: str = ""
    progressed: bool = False

    @property
    def status(self) -> str:
        """The status that the row gets; "" where it keeps its own."""
        return str(self.changes.get("status", ""))

    @property
    def is_end(self) -> bool:
        """Whether the video ends with this step."""
        return "finished_at" in self.changes

    @property
    def is_plain(self) -> bool:
        """Whether it needs nothing of the row but what is read to ask for a video."""
        return not (self.is_end or self.event or "evidence" in self.changes)


def decide(
    video: Video, answer: VideoTask | ApiError, now: datetime, hide: Iterable[str] = ()
) -> Step:
    """Return what an answer of the API means for a video that was asked for.

    `now` is the database's time. The video is polled, or has ended and is asked for late. `hide`
    lists private texts that the words of an error may quote.
    """
    if isinstance(answer, VideoTask):
        return _on_video(video, answer, now)
    if isinstance(answer, TaskNotExist) and not video.is_known:
        return _on_unknown_id(video, answer, now, hide)
    return _on_error(video, answer, now, hide)


def _on_video(video: Video, task: VideoTask, now: datetime) -> Step:
    changes = {**recorded(task), "answered_at": now, "errors": 0, "last_error": ""}
    changes |= {"is_known": True, "missing_since": None, "model": task.model or video.model}
    # Both count polls in a row: an answer with another word starts them anew.
    changes |= {"urlless_polls": 0, "final_polls": 0, "final_since": None}
    if old := evidence.over(video.evidence.get("poll"), now):
        changes["evidence"] = {**video.evidence, "poll": old}
    if task.status == "completed":
        return _on_completed(video, task, changes, now)
    if task.status in (Status.FAILED, Status.ERROR):
        return _end_badly(video, task, changes, Status(task.status), now, task.reason)
    if task.is_final_word:
        return _on_final_word(video, task, changes, now)
    if _is_over(video, now):
        return _time_out(changes, now)
    return _on_work(video, task, changes, now)


def recorded(task: VideoTask) -> dict[str, Any]:
    """Return the columns that keep what the API said, as it said it."""
    return {
        "api_status": task.api_status[:64],
        "api_created_at": task.created_at,
        "api_completed_at": task.completed_at,
        "request_id": task.request_id,
        # All but its `video_url` is redacted already, or a link in it is still needed.
        "raw": redact(task.raw) if task.video_url else task.raw,
    }


def _end_badly(
    video: Video,
    task: VideoTask,
    changes: dict[str, Any],
    status: Status,
    now: datetime,
    reason: str,
) -> Step:
    """End a video otherwise than well, and keep what the API said of it."""
    said = evidence.of_end(
        now,
        api_status=task.api_status,
        code=task.code,
        words=task.reason or reason,
        request_id=task.request_id,
    )
    changes["evidence"] = {**changes.get("evidence", video.evidence), "end": said}
    return _end(changes, status, now, without_request_ids(reason))


def _on_completed(video: Video, task: VideoTask, changes: dict[str, Any], now: datetime) -> Step:
    if task.video_url:
        changes |= {"progress": 100, "video_url": task.video_url}
        return _end(changes, Status.COMPLETED, now, "")
    if _has_content_route(video, task):
        changes |= {"progress": 100, "video_url": ""}
        return _end(changes, Status.COMPLETED, now, "")
    changes["urlless_polls"] = video.urlless_polls + 1
    reason = "completed without a URL"
    if task.link_fault:
        reason = f"completed with a link that cannot be used: {task.link_fault}"
    if video.urlless_polls >= URLLESS_POLLS:
        return _end_badly(video, task, changes, Status.ERROR, now, reason)
    if _is_over(video, now):
        return _time_out(changes, now)
    return Step(changes, reason if not video.urlless_polls else "")


def _has_content_route(video: Video, task: VideoTask) -> bool:
    """Tell whether the file of a video is loaded with the key, so that no link comes."""
    models = get_settings().models
    known = (models.get(name) for name in (video.model, task.model))
    return any(model.content for model in known if model is not None)


def _on_final_word(video: Video, task: VideoTask, changes: dict[str, Any], now: datetime) -> Step:
    word = task.api_status.strip().lower()
    since = video.final_since or now
    changes |= {"final_polls": video.final_polls + 1, "final_since": since}
    if video.final_polls + 1 >= FINAL_POLLS and now - since >= FINAL_TIME:
        reason = f"{word}: {task.reason}" if task.reason else word
        return _end_badly(video, task, changes, Status.FAILED, now, reason)
    if _is_over(video, now):
        return _time_out(changes, now)
    return Step(changes, f"the API says {word!r}" if not video.final_polls else "")


def _on_work(video: Video, task: VideoTask, changes: dict[str, Any], now: datetime) -> Step:
    status = _later(video.status, task.status)
    # 100 is kept for `completed`; and nothing that was shown is taken back.
    progress = max(video.progress, min(task.progress or 0, 99))
    changes |= {"status": status, "progress": progress}
    if status == Status.IN_PROGRESS and video.rendering_since is None:
        changes["rendering_since"] = now - (now - (video.answered_at or video.begun_at)) / 2
    moved = status != video.status
    event = status if moved else _unknown_word(video, task)
    return Step(changes, event, progressed=moved or progress != video.progress)


def _later(before: str, said: str) -> str:
    if said not in _RANK or before not in _RANK:
        return before
    return max(before, said, key=lambda status: _RANK[Status(status)])


def _unknown_word(video: Video, task: VideoTask) -> str:
    if task.status or task.api_status == video.api_status:
        return ""
    return f"unknown status {task.api_status!r}"


def _on_unknown_id(video: Video, error: TaskNotExist, now: datetime, hide: Iterable[str]) -> Step:
    since = video.missing_since or now
    changes = {**_errors(video, error, now, hide), "answered_at": now, "missing_since": since}
    if now - since >= GRACE:
        return _end(changes, Status.LOST, now, "the API has never known this id")
    if _is_over(video, now):
        return _time_out(changes, now)
    return Step(changes)


def _on_error(video: Video, error: ApiError, now: datetime, hide: Iterable[str]) -> Step:
    changes = _errors(video, error, now, hide)
    is_answer = isinstance(error, TaskNotExist)
    if is_answer:
        changes["answered_at"] = now
    if _is_over(video, now) if is_answer else is_given_up(video, now):
        return _time_out(changes, now)
    return Step(changes, event=f"no answer: {type(error).__name__}" if not video.errors else "")


def _errors(video: Video, error: ApiError, now: datetime, hide: Iterable[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {"errors": video.errors + 1, "last_error": str(error)[:300]}
    if error.request_id:
        changes["request_id"] = error.request_id
    # What no reply said is in `last_error` already; what is said again is not written again.
    told = evidence.of_error(error, now, hide=hide) if error.http_status else {}
    if told and not evidence.is_same(video.evidence.get("poll"), told):
        changes["evidence"] = {**video.evidence, "poll": told}
    return changes


def is_given_up(video: Video, now: datetime) -> bool:
    """Tell whether a video has timed out for which no answer comes."""
    return _is_over(video, now - PATIENCE)


def _is_over(video: Video, now: datetime) -> bool:
    if video.is_finished:
        return False
    return video.deadline_at is not None and now >= video.deadline_at


def _time_out(changes: dict[str, Any], now: datetime) -> Step:
    return _end(changes, Status.TIMED_OUT, now, "the timeout passed")


def _end(changes: dict[str, Any], status: Status, now: datetime, reason: str) -> Step:
    changes |= {"status": status, "finished_at": now, "reason": reason[:300]}
    return Step(changes, event=status.value)
