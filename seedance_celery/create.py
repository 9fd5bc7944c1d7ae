"""Buying a video, once: the intent is committed before the POST, and the right to POST is won.

The right is given back only on proof that nothing was bought.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.files.storage import storages
from django.db import DatabaseError, transaction

from . import accounts, cadence, clock, dispatch, signals, uploads
from .conf import get_settings
from .endings import end
from .exceptions import ApiError, InvalidRequest, KeyRefused, RateLimited
from .models import KeptTask, Video
from .protocol import Outcome, VideoTask, create_outcome
from .steps import recorded

__all__ = ["end_unanswered", "submit"]

logger = logging.getLogger(__name__)

Status = Video.Status

MAX_TRIES = 5
"""POSTs that never went out before the create is rejected."""
FIRST_RETRY = 2.0
RECORD_TRIES = 20
"""How often a reply is written to a database that is away: a second apart."""


def submit(video: Video) -> float | None:
    """POST a create if nobody has; return the seconds to wait before the next try, or None.

    None means that there is nothing to try again: look at the row.
    """
    if video.status != Status.CREATING or video.post_started_at is not None:
        return None
    if video.now - video.created_at > timedelta(seconds=video.timeout):
        end(video, "rejected", **_refusal(video, "the timeout passed before it could be sent"))
        return None
    held = accounts.wait_for(video.account, video.now) if video.troubled else None
    if held is not None:
        return held
    try:
        with _opened(video.images) as images:
            return _post(video, images) if _win_right(video) else None
    except OSError as error:
        end(video, "rejected", **_refusal(video, f"an image is gone ({type(error).__name__})"))
        return None


def _win_right(video: Video) -> bool:
    settings = get_settings()
    limit = settings.create_timeout + settings.resend_after
    return video.move(
        (Status.CREATING,),
        post_started_at=video.now,
        overdue_at=video.now + timedelta(seconds=limit),
    )


def _post(video: Video, images: list[Any]) -> float | None:
    client = accounts.client_for(get_settings().account(video.account))
    try:
        task = client.create(
            video.prompt,
            model=video.model,
            seconds=video.seconds,
            size=video.size or None,
            images=images,
        )
    except InvalidRequest as error:
        row = video.current()
        end(row, "rejected", **_refusal(row, str(error)))
        return None
    except ApiError as error:
        return _on_error(video.current(), error)
    except Exception as error:  # noqa: BLE001  (a time limit, an instrument's hook: after what?)
        _end_unknown(video.current(), f"the create was interrupted ({type(error).__name__})")
        return None
    _record(video, task)
    return None


@contextmanager
def _opened(images: list[Any]) -> Iterator[list[Any]]:
    storage = storages[get_settings().storage]
    with ExitStack() as stack:
        yield [stack.enter_context(storage.open(name, "rb")) for name, _ in images]


# What came of it.


def _on_error(video: Video, error: ApiError) -> float | None:
    outcome = create_outcome(error)
    if outcome is Outcome.UNKNOWN:
        _end_unknown(video, f"the create's outcome is unknown ({type(error).__name__})")
        return None
    if outcome in (Outcome.REJECTED, Outcome.NO_QUOTA):
        end(video, "rejected", **_refusal(video, _words(error)))
        return None
    return _try_again(video, error)


def _try_again(video: Video, error: ApiError) -> float | None:
    """Give the right to POST back; return the seconds until the next try."""
    is_about_key = isinstance(error, (RateLimited, KeyRefused))
    tries = video.create_tries + (not is_about_key)
    if tries >= MAX_TRIES:
        end(video, "rejected", **_refusal(video, f"never sent: {_words(error)}"))
        return None
    asked = accounts.learn(video, error)
    changes = {"create_tries": tries, "post_started_at": None, "overdue_at": None}
    if not video.move((Status.CREATING,), **changes, last_error=str(error)[:300]):
        return None
    if asked is None:
        return FIRST_RETRY * 2.0 ** (tries - 1)
    return cadence.spread(asked, get_settings().poll_countdown[1])


def _words(error: ApiError) -> str:
    return (getattr(error, "reason", "") or str(error))[:300]


def _refusal(video: Video, reason: str) -> dict[str, Any]:
    transaction.on_commit(partial(uploads.remove, video.images), using=video.db)
    return {
        "status": Status.REJECTED,
        "finished_at": video.now,
        "reason": reason[:300],
        "late": False,
    }


def _end_unknown(video: Video, reason: str) -> None:
    started = video.post_started_at or video.now
    end(
        video,
        "the create's outcome is unknown",
        status=Status.CREATE_UNKNOWN,
        deadline_at=started + timedelta(seconds=video.timeout),
        reason=reason[:300],
        late=False,
    )


def end_unanswered(video: Video) -> None:
    """Make a create unknown whose process died in the POST; the POST itself is over by now."""
    if video.post_started_at is None:
        _end_unsent(video)
    elif video.now - video.post_started_at > timedelta(seconds=get_settings().create_timeout):
        _end_unknown(video, "the process that sent the create died before the reply")


def _end_unsent(video: Video) -> None:
    kept = KeptTask.objects.using(video.db).filter(video=video).unfinished()
    if not kept.filter(task__in=(dispatch.CREATE, dispatch.SUBMIT)).exists():
        end(video, "rejected", **_refusal(video, "never sent: its process died before the POST"))


# The reply.


def _record(video: Video, task: VideoTask) -> None:
    """Keep a reply, however late it comes: money was spent on it."""
    for _ in range(RECORD_TRIES):
        try:
            row = video.current()
            if row.api_id is not None:
                _report_second(row, task)
                return
            if _recorded(row, task):
                return
        except DatabaseError as error:
            logger.info("The reply to video %s is not written yet (%s)", video, error)
            clock.sleep(1.0)
    logger.critical(
        "Video %s was bought as %s, and the database did not take it: adopt it", video, task.id
    )


def _recorded(video: Video, task: VideoTask) -> bool:
    settings = get_settings()
    countdown = cadence.countdown(*settings.poll_countdown)
    next_poll_at = video.now + timedelta(seconds=countdown)
    won = video.move(
        (Status.CREATING, Status.CREATE_UNKNOWN),
        **recorded(task),
        api_id=task.id,
        status=Status.IN_PROGRESS if task.status == Status.IN_PROGRESS else Status.QUEUED,
        is_known=True,
        model=task.model or video.model,
        create_reply=recorded(task)["raw"],
        reason="",
        finished_at=None,
        asked_at=video.now,
        answered_at=video.now,
        deadline_at=video.now + timedelta(seconds=video.timeout),
        next_poll_at=next_poll_at,
        overdue_at=next_poll_at + timedelta(seconds=settings.resend_after),
        history=video.noted("created"),
    )
    if won:
        logger.info("Video %s is created as %s", video.pk, task.id)
        transaction.on_commit(partial(_go_on, video, countdown), using=video.db)
    return won


def _go_on(video: Video, countdown: float) -> None:
    video.call(countdown)
    uploads.remove(video.images)
    signals.tell(signals.video_created, video)
    video.release(dispatch.CREATE)


def _report_second(video: Video, task: VideoTask) -> None:
    if video.api_id == task.id:
        return
    logger.critical("Video %s was bought twice: as %s and as %s", video, video.api_id, task.id)
    video.move((video.status,), history=video.noted(f"bought a second time, as {task.id}"))
