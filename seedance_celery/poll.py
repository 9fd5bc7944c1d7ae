"""Asking the API for a video, once an interval whoever waits for it."""

from __future__ import annotations

import dataclasses
import logging
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any

from django.db import transaction

from . import accounts, cadence, signals
from .conf import get_settings
from .endings import end, next_late_poll
from .exceptions import ApiError
from .models import Video
from .models.actions import EARLY
from .protocol import VideoTask
from .steps import Step, decide

__all__ = ["Next", "poll", "poll_late"]

logger = logging.getLogger(__name__)

Status = Video.Status

ERRORS_WORTH_A_WARNING = 10


@dataclasses.dataclass(frozen=True)
class Next:
    """The next message of a poll loop: the token it names, and its countdown in seconds."""

    token: int
    countdown: float
    progressed: Video | None = None
    """The row to tell receivers about, once the message is sent: a slow one delays no poll."""

    def tell(self) -> None:
        """Fire `video_progressed` where there is something to tell."""
        if self.progressed is not None:
            tell = partial(signals.tell, signals.video_progressed, self.progressed)
            transaction.on_commit(tell, using=self.progressed.db)


def poll(video: Video) -> Next | None:
    """Ask for a video and keep what the answer means; None where another copy was faster."""
    early = (video.next_poll_at or video.now) - video.now
    if early > EARLY:
        return Next(video.poll_token, early.total_seconds())
    held = accounts.wait_for(video.account, video.now) if video.troubled else None
    if held is not None:
        return _wait(video, held, video.now)
    if not _lend_time(video):
        return None
    answer, now = _ask(video)
    asked_to_wait = accounts.learn(video, answer)
    step = decide(video, answer, now)
    if step.is_end:
        _end(video, step, now)
        return None
    return _go_on(video, step, now, asked_to_wait)


def poll_late(video: Video) -> None:
    """Ask for a timed-out video once more: one request, whatever becomes of it."""
    due = next_late_poll(video)
    if due is None or video.now < due - EARLY:
        return
    video.late_polls += 1
    following = {"late_polls": video.late_polls, "overdue_at": next_late_poll(video)}
    if not video.move((Status.TIMED_OUT,), **following):
        return
    answer, now = _ask(video)
    accounts.learn(video, answer)
    step = decide(video, answer, now)
    if step.is_end:
        _end(video, step, now)


def _lend_time(video: Video) -> bool:
    # A poll that starts late would still be asking when the sweep acts: move that time first.
    settings = get_settings()
    slack = min(settings.resend_after / 2, settings.resend_after - settings.poll_limit)
    if video.next_poll_at and video.now - video.next_poll_at <= timedelta(seconds=slack):
        return True
    overdue_at = video.now + timedelta(seconds=settings.resend_after)
    return video.move(Video.POLLED, overdue_at=overdue_at)


def _ask(video: Video) -> tuple[VideoTask | ApiError, datetime]:
    """Return the API's answer, and the database's time when it came."""
    account = get_settings().account(video.account)
    started = monotonic()
    answer: VideoTask | ApiError
    try:
        answer = accounts.client_for(account).retrieve(video.api_id or "")
    except ApiError as error:
        answer = error
    return answer, video.now + timedelta(seconds=monotonic() - started)


def _go_on(video: Video, step: Step, now: datetime, asked_to_wait: float | None) -> Next | None:
    longest = get_settings().poll_countdown[1]
    wait = cadence.spread(asked_to_wait, longest) if asked_to_wait else None
    changes = {"asked_at": now, "resends": 0, **step.changes}
    if step.event:
        changes["history"] = video.noted(step.event)
        logger.info("Video %s: %s", video, step.event)
    message = _wait(video, wait, now, **changes)
    if message and video.errors == ERRORS_WORTH_A_WARNING:
        logger.warning("Video %s: %s polls in a row without an answer", video, video.errors)
    if message and step.progressed:
        return dataclasses.replace(message, progressed=video)
    return message


def _wait(video: Video, countdown: float | None, now: datetime, **changes: Any) -> Next | None:
    settings = get_settings()
    countdown = countdown or cadence.countdown(*settings.poll_countdown)
    changed = {name: value for name, value in changes.items() if getattr(video, name) != value}
    next_poll_at = now + timedelta(seconds=countdown)
    overdue_at = next_poll_at + timedelta(seconds=settings.resend_after)
    won = video.move(Video.POLLED, **changed, next_poll_at=next_poll_at, overdue_at=overdue_at)
    return Next(video.poll_token, countdown) if won else None


def _end(video: Video, step: Step, now: datetime) -> None:
    changes = {**step.changes, "asked_at": now, "late": video.status == Status.TIMED_OUT}
    if step.status in (Status.FAILED, Status.ERROR) and not changes["reason"]:
        changes["reason"] = _find_reason(video)
    end(video, step.event, **changes)


def _find_reason(video: Video) -> str:
    # The retrieve never says why it failed; another route does at times. Once, and quick or not.
    account = get_settings().account(video.account)
    return accounts.client_for(account).failure_reason(video.api_id or "")[:300]
