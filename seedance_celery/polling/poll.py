"""Asking the API for a video, once an interval whoever waits for it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from .. import signals, waits
from ..accounts import health
from ..api.evidence import hidden
from ..api.redaction import MAX_REASON, redact_text
from ..api.replies import VideoTask
from ..conf import get_settings
from ..exceptions import AccountError, ApiError, InvalidRequest
from ..lifecycle.decisions import Step, decide, is_given_up
from ..lifecycle.endings import end, next_late_poll
from ..models import Video
from ..models.actions import EARLY
from . import timings

__all__ = [
    "HELD",
    "Next",
    "ask",
    "asked_next",
    "claim_time",
    "following",
    "keep_answer",
    "poll",
    "poll_late",
    "warn_of_errors",
]

logger = logging.getLogger(__name__)

Status = Video.Status

ERRORS_WORTH_A_WARNING = 10

HELD = AccountError("The account's key is held back, and nobody may ask. See seedance_doctor.")
"""What stands for the answer that a video does not get in time."""


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
            signals.tell(signals.video_progressed, self.progressed)


def poll(video: Video) -> Next | None:
    """Ask for a video and keep what the answer means; None where another copy was faster."""
    early = (video.next_poll_at or video.now) - video.now
    if early > EARLY:
        return Next(video.poll_token, early.total_seconds())
    held = health.wait_for(video) if video.troubled else None
    if held is not None and is_given_up(video, video.now):
        return keep_answer(video, HELD, video.now, held)
    if held is not None:
        return _wait(video, held, video.now)
    if not _take_time(video):
        return None
    answer, now = _ask_now(video)
    return keep_answer(video, answer, now, health.learn(video, answer))


def keep_answer(
    video: Video,
    answer: VideoTask | ApiError,
    now: datetime,
    asked_to_wait: float | None,
    then: Callable[[Video], object] | None = None,
) -> Next | None:
    """Keep what an answer means; `then` is done instead of announcing an end.

    Returns None where the video has ended, or another copy was faster.
    """
    step = _decided(video, answer, now)
    if step.status == Status.TIMED_OUT and _read_later_deadline(video):
        step = _decided(video, answer, now)
    if step.is_end:
        _end(video, step, now, then)
        return None
    return _go_on(video, step, now, asked_to_wait)


def _read_later_deadline(video: Video) -> bool:
    """Read the deadline anew; return whether a task asked for a later one during the request."""
    before = video.deadline_at
    rows = Video.objects.primary().filter(pk=video.pk)
    video.deadline_at = rows.values_list("deadline_at", flat=True).first()
    return video.deadline_at != before


def poll_late(video: Video) -> None:
    """Ask once more for a video whose end was decided here, whatever becomes of the request."""
    # `refresh()` asks for one more than those that are due anyway.
    due = video.next_poll_at or next_late_poll(video)
    if due is None or video.now < due - EARLY:
        return
    held = health.wait_for(video) if video.troubled else None
    if held is not None:
        video.move((video.status,), overdue_at=video.now + timedelta(seconds=held))
        return
    video.late_polls += video.next_poll_at is None
    changes = {"late_polls": video.late_polls, "next_poll_at": None, "asked_at": video.now}
    if not video.move((video.status,), **changes, overdue_at=next_late_poll(video)):
        return
    answer, now = _ask_now(video)
    health.learn(video, answer)
    step = _decided(video, answer, now)
    if step.is_end and step.status != video.status:
        _end(video, step, now)


def _decided(video: Video, answer: VideoTask | ApiError, now: datetime) -> Step:
    if isinstance(answer, VideoTask) and not answer.reason:
        return decide(video, answer, now)
    # The API's words go into exceptions and log lines, and some quote the prompt.
    hide = hidden(video.prompt)
    if isinstance(answer, VideoTask):
        reason = redact_text(answer.reason, MAX_REASON, hide=hide)
        answer = dataclasses.replace(answer, reason=reason)
    return decide(video, answer, now, hide)


def _take_time(video: Video) -> bool:
    # A poll that starts late would still be asking when the sweep acts: move that time first.
    settings = get_settings()
    slack = min(settings.resend_after / 2, settings.resend_after - settings.poll_limit)
    is_late = not video.next_poll_at or video.now - video.next_poll_at > timedelta(seconds=slack)
    if video.has_poller:
        # Both ways of polling at once, while workers change over: it must not be due meanwhile.
        return video.move(Video.POLLED, **asked_next(video.now, claim_time()))
    overdue_at = video.now + timedelta(seconds=settings.resend_after)
    return not is_late or video.move(Video.POLLED, overdue_at=overdue_at)


def claim_time(spare: float = 0.0) -> float:
    """Return for how many seconds a video is taken that is asked for within `spare` seconds."""
    settings = get_settings()
    return max(settings.poll_limit + spare, settings.poll_countdown[0])


def ask(video: Video) -> VideoTask | ApiError:
    """Return the API's answer, or why there is none. It needs no database."""
    try:
        client = health.client_of(video.account)
        answer = client.retrieve(video.api_id or "")
    except ApiError as error:
        return error
    except InvalidRequest as error:
        # An id or a base URL from before they were checked: such a row still has to end.
        return ApiError(str(error), video.api_id or "")
    if answer.status in (Status.FAILED, Status.ERROR) and not answer.reason:
        # The retrieve never says why; another route does at times. Once, and quick or not.
        reason = client.failure_reason(video.api_id or "")
        return dataclasses.replace(answer, reason=reason[:300])
    return answer


def _ask_now(video: Video) -> tuple[VideoTask | ApiError, datetime]:
    """Return the API's answer, and the database's time when it came."""
    started = monotonic()
    answer = ask(video)
    return answer, video.now + timedelta(seconds=monotonic() - started)


def _go_on(video: Video, step: Step, now: datetime, asked_to_wait: float | None) -> Next | None:
    changes = following(video, step, now, asked_to_wait)
    if step.event:
        changes["history"] = video.noted(step.event)
        logger.info("Video %s: %s", video, step.event)
    if not video.move(Video.POLLED, **changes):
        return None
    warn_of_errors(video)
    message = Next(video.poll_token, (changes["next_poll_at"] - now).total_seconds())
    return dataclasses.replace(message, progressed=video) if step.progressed else message


def following(
    video: Video, step: Step, now: datetime, asked_to_wait: float | None
) -> dict[str, Any]:
    """Return the columns that an answer changes, with the time of the next poll among them.

    `asked_to_wait` is what `health.learn()` returned, in seconds.
    """
    settings = get_settings()
    if asked_to_wait:
        wait = waits.jittered(asked_to_wait, settings.poll_countdown[1])
    else:
        wait = timings.countdown(video, now, step.changes)
    changes = {"asked_at": now, "polls": video.polls + 1, "resends": 0, **step.changes}
    known = vars(video)  # without what was left out of the query: that counts as changed
    changed = {name: value for name, value in changes.items() if known.get(name, ...) != value}
    return {**changed, **asked_next(now, wait)}


def asked_next(now: datetime, wait: float) -> dict[str, datetime]:
    """Return the columns that say when to ask, in so many seconds, and when that is overdue."""
    next_poll_at = now + timedelta(seconds=wait)
    overdue_at = next_poll_at + timedelta(seconds=get_settings().resend_after)
    return {"next_poll_at": next_poll_at, "overdue_at": overdue_at}


def warn_of_errors(video: Video) -> None:
    """Tell of a video that the API has not answered for long; once."""
    if video.errors == ERRORS_WORTH_A_WARNING:
        words = "Video %s: %s polls in a row brought no video (%s)"
        logger.warning(words, video, video.errors, video.last_error)


def _wait(video: Video, countdown: float, now: datetime) -> Next | None:
    won = video.move(Video.POLLED, **asked_next(now, countdown))
    return Next(video.poll_token, countdown) if won else None


def _end(
    video: Video, step: Step, now: datetime, then: Callable[[Video], object] | None = None
) -> None:
    changes = {**step.changes, "asked_at": now, "polls": video.polls + 1}
    changes["late"] = video.is_finished
    end(video, step.event, then, **changes)
