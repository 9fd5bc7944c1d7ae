"""Writing down what came of a POST, however late it is known: money may have been spent on it."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import Error, IntegrityError, transaction

from .. import sending, signals, waits
from ..accounts import health, limits
from ..api import evidence
from ..api.envelopes import without_request_ids
from ..api.replies import Outcome, VideoTask, create_outcome, redact
from ..conf import get_settings
from ..db.retries import insist
from ..exceptions import ApiError, InvalidRequest, KeyRefused, OutcomeUnknown
from ..lifecycle.decisions import recorded
from ..lifecycle.endings import end
from ..models import Video, image_copies

__all__ = ["end_unknown", "keep_outcome", "refusal"]

logger = logging.getLogger(__name__)

Status = Video.Status

MAX_TRIES = 5
"""POSTs that never went out before the create is rejected."""
FIRST_RETRY = 2.0
RETRY_GROWTH = 3.0
"""The five tries take 80 s, and the time that each takes to fail."""
RECORD_FOR = 600.0
"""For about how many seconds an answer waits for a database that is away."""

_UNANSWERED = (Status.CREATING, Status.CREATE_UNKNOWN, Status.REJECTED)
"""Statuses of a row that knows no id yet: one that arrives is kept in each."""


def keep_outcome(video: Video, answer: VideoTask | Exception) -> float | None:
    """Write down the answer to a POST; return the seconds until the next try, or None.

    `video` is the row as it was when the POST began. A database that is away is waited for.
    """
    try:
        return insist(partial(_keep, video, answer), RECORD_FOR, video.db)
    except Error as error:
        logger.info("The answer to video %s's create is lost (%s)", video.pk, type(error).__name__)
    if isinstance(answer, VideoTask):
        logger.critical(
            "Video %s was bought as %s, and the database did not take it: adopt it",
            video.pk,
            answer.id,
        )
    return None


def _keep(video: Video, answer: VideoTask | Exception) -> float | None:
    rows = Video.objects.primary().with_now()
    row = rows.filter(pk=video.pk).first()
    if isinstance(answer, VideoTask):
        _keep_reply(video, row, answer)
        health.learn_create(video, answer)
        return None
    if row is None or not _is_of(row, video):
        # Someone has decided meanwhile, or it was sent anew: this error is of an earlier POST.
        return None
    if isinstance(answer, ApiError):
        row.probes_until, row.probe_until = video.probes_until, video.probe_until
        return _on_error(row, answer)
    if isinstance(answer, InvalidRequest):
        _reject(row, str(answer))
        return None
    end_unknown(row, f"the create was interrupted ({type(answer).__name__})")
    return None


def _is_of(row: Video, video: Video) -> bool:
    """Tell whether a row still waits for the answer to this POST, and not to a later one."""
    is_open = row.status in (Status.CREATING, Status.CREATE_UNKNOWN) and not row.is_finished
    return is_open and row.post_started_at == video.post_started_at


# Errors.


def _on_error(video: Video, error: ApiError) -> float | None:
    asked = health.learn_create(video, error)
    is_of_create = asked is None and isinstance(error, KeyRefused)
    outcome = create_outcome(error)
    told = _evidence(video, error)
    if outcome is Outcome.UNKNOWN:
        cause = error.cause if isinstance(error, OutcomeUnknown) else type(error).__name__
        end_unknown(video, f"the create's outcome is unknown ({cause})", **told)
        return None
    is_final = outcome in (Outcome.REJECTED, Outcome.NO_QUOTA) or video.status != Status.CREATING
    if is_final or (is_of_create and health.has_answered_since(video)):
        _reject(video, _words(error), **told)
        return None
    return _try_again(video, error, asked, told)


def _evidence(video: Video, error: ApiError) -> dict[str, Any]:
    """Return the columns that keep what the API said of a create: for people."""
    said = evidence.of_error(error, video.now, hide=evidence.hidden(video.prompt))
    changes: dict[str, Any] = {"evidence": {**video.evidence, "create": said}}
    return changes | ({"request_id": error.request_id} if error.request_id else {})


def _try_again(
    video: Video, error: ApiError, asked: float | None, told: dict[str, Any]
) -> float | None:
    """Give the right to POST back; return the seconds until the next try."""
    is_about_key = asked is not None
    tries = video.create_tries + (not is_about_key)
    if tries >= MAX_TRIES:
        never = "" if isinstance(error, KeyRefused) else "never sent: "
        _reject(video, f"{never}{_words(error)}", **told)
        return None
    if isinstance(error, KeyRefused) and asked is None:
        # By then a poll has told whether the key is refused, or this create alone.
        wait = get_settings().poll_countdown[1]
    elif asked is None:
        wait = FIRST_RETRY * RETRY_GROWTH ** (tries - 1)
    else:
        wait = waits.jittered(asked, get_settings().poll_countdown[1])
    overdue_at = video.now + timedelta(seconds=wait + get_settings().resend_after)
    changes = {"create_tries": tries, "post_started_at": None, "overdue_at": overdue_at, **told}
    # Together: this may run again where a statement of it failed.
    with transaction.atomic(using=video.db):
        limits.give_back(video)
        won = video.move((Status.CREATING,), **changes, last_error=str(error)[:300])
    return wait if won else None


def _words(error: ApiError) -> str:
    return (without_request_ids(error.reason) or error.code or str(error))[:300]


def _reject(video: Video, reason: str, **told: Any) -> None:
    with transaction.atomic(using=video.db):
        limits.give_back(video)
        end(video, "rejected", **refusal(video, reason), **told)


def refusal(video: Video, reason: str) -> dict[str, Any]:
    """Return the changes that end a create by which nothing was bought."""
    return {
        "status": Status.REJECTED,
        "finished_at": video.now,
        "reason": reason[:300],
        "late": False,
    }


def end_unknown(video: Video, reason: str, **told: Any) -> None:
    """Leave a create to a person: whether it bought something cannot be known here.

    `told` are the columns that keep what the API said.
    """
    started = video.post_started_at or video.now
    if video.status == Status.CREATING:
        end(
            video,
            "the create's outcome is unknown",
            status=Status.CREATE_UNKNOWN,
            deadline_at=started + timedelta(seconds=video.timeout),
            reason=reason[:300],
            late=False,
            **told,
        )


# The reply.


def _keep_reply(video: Video, row: Video | None, task: VideoTask) -> None:
    """Keep a reply, however late it comes and whatever has become of the row."""
    while row is not None and row.api_id is None:
        if _record_id(row, task):
            return
        row = Video.objects.primary().with_now().filter(pk=video.pk).first()
    if row is None:
        logger.critical("Video %s was bought as %s, and its row is gone", video.pk, task.id)
        _insert(video, task, f"bought for video {video.pk}, whose row was deleted")
    elif row.api_id != task.id:
        logger.critical("Video %s was bought twice: as %s and as %s", row.pk, row.api_id, task.id)
        _insert(row, task, f"the second that was bought for video {row.pk}")


def _record_id(row: Video, task: VideoTask) -> bool:
    """Make a row that of a bought video; return whether there is nothing left to try."""
    countdown = waits.countdown(*get_settings().poll_countdown)
    try:
        with transaction.atomic(using=row.db):
            won = row.move(_UNANSWERED, **_bought(row, task, countdown, row.noted("created")))
    except IntegrityError:
        return _note_who_follows(row, task)
    if won:
        logger.info("Video %s is created as %s", row.pk, task.id)
        transaction.on_commit(partial(_go_on, row, countdown), using=row.db)
    return won


def _bought(row: Video, task: VideoTask, countdown: float, history: Any) -> dict[str, Any]:
    settings = get_settings()
    next_poll_at = row.now + timedelta(seconds=countdown)
    return {
        **recorded(task),
        "api_id": task.id,
        "status": Status.IN_PROGRESS if task.status == Status.IN_PROGRESS else Status.QUEUED,
        "is_known": True,
        "model": task.model or row.model,
        # It travels to the next task of a chain: no link of a video that is done at once.
        "create_reply": redact(task.raw),
        "reason": "",
        "finished_at": None,
        "asked_at": row.now,
        "answered_at": row.now,
        "resends": 0,
        "deadline_at": row.now + timedelta(seconds=row.timeout),
        "next_poll_at": next_poll_at,
        "overdue_at": next_poll_at + timedelta(seconds=settings.resend_after),
        "history": history,
    }


def _go_on(video: Video, countdown: float) -> None:
    video.call(countdown)
    signals.tell(signals.video_created, video)
    video.release(sending.CREATE)
    image_copies.remove(video.images)


def _note_who_follows(row: Video, task: VideoTask) -> bool:
    """Say on a row which other one follows what it bought; return whether there is such a row.

    Somebody has tracked the id before the reply came.
    """
    other = Video.objects.primary().filter(account=row.account, api_id=task.id).first()
    if other is None:
        return False
    event = f"bought as {task.id}, which video {other.pk} follows"
    logger.critical("Video %s was %s", row.pk, event)
    if row.status == Status.CREATING:
        end_unknown(row, event)
    else:
        row.move(_UNANSWERED, reason=event[:300], history=row.noted(event))
    return True


def _insert(video: Video, task: VideoTask, event: str) -> None:
    """Give a bought video that no row can take one of its own, so that it is followed and seen."""
    rows = Video.objects.primary()
    if rows.filter(account=video.account, api_id=task.id).exists():
        return
    countdown = waits.countdown(*get_settings().poll_countdown)
    asked = {name: getattr(video, name) for name in ("account", "prompt", "seconds", "size")}
    own = Video(**asked, timeout=video.timeout, created_at=video.now, poll_token=1)
    own.now = video.now
    for name, value in _bought(video, task, countdown, own.noted(event).after([])).items():
        setattr(own, name, value)
    own.save(using=rows.db, force_insert=True)
    own.call(countdown)
    signals.tell(signals.video_created, own)
