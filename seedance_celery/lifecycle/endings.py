"""How a video ends: announced once, and whoever waited goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.dispatch import Signal

from .. import sending, signals
from ..accounts import limits
from ..conf import get_settings
from ..db import clock, locks
from ..db.leases import Heartbeat
from ..db.retries import insist
from ..models import KeptTask, Video, image_copies
from ..models.kept import store_id

__all__ = [
    *("announce_again", "end", "finish", "keep_if_wanted", "next_late_poll", "settle"),
    "want_file",
]

logger = logging.getLogger(__name__)

Status = Video.Status

_OF_STATUS = {
    Video.Status.COMPLETED: signals.video_completed,
    Video.Status.FAILED: signals.video_failed,
    Video.Status.ERROR: signals.video_errored,
    Video.Status.REJECTED: signals.video_rejected,
    Video.Status.TIMED_OUT: signals.video_timed_out,
    Video.Status.LOST: signals.video_lost,
}

MAX_TRIES = 5
"""How often an announcement is begun whose process dies in it."""

FOR_A_PERSON = frozenset({Status.CREATE_UNKNOWN, Status.TIMED_OUT, Status.LOST})
"""Ends that may have cost money and brought nothing: a warning in the log."""


def end(
    video: Video, event: str, then: Callable[[Video], object] | None = None, **changes: Any
) -> bool:
    """End a video, by an update guarded by the row as it was read; return whether it won.

    The winner announces it, once the update is committed; or does `then` instead.
    """
    won = video.move(
        (video.status,),
        **changes,
        announced_at=None,
        announce_tries=0,
        resends=0,
        next_poll_at=None,
        overdue_at=_lease(video),
        history=video.noted(event),
    )
    if won:
        is_for_person = video.status in FOR_A_PERSON or video.lacks_link
        level = logging.WARNING if is_for_person else logging.INFO
        logger.log(level, "Video %s: %s", video, event)
        # First of all: receivers may be slow, and another create waits for the place.
        next_ = partial(limits.call_next, video.account)
        transaction.on_commit(next_, using=video.db, robust=True)
        transaction.on_commit(partial(then or finish, video), using=video.db)
    return won


def finish(video: Video) -> None:
    """Announce an end and let what waited for it go on. The caller has just won the row."""
    if video.status == Status.COMPLETED:
        keep_if_wanted(video)
    if _announce(video):
        settle(video)


def _due(video: Video) -> list[Signal]:
    if video.status == Status.CREATE_UNKNOWN:
        unknown = signals.video_create_unknown
        return [signals.video_finished if video.is_finished else unknown]
    return [_OF_STATUS[Status(video.status)], signals.video_finished]


def _announce(video: Video) -> bool:
    """Fire the signals of the row's end, and record that they were fired.

    The caller has just won an update of this row, which is the lease: `overdue_at` is ahead, and
    the token is the caller's alone. Returns False where the lease was lost meanwhile.
    """
    lease = get_settings().resend_after
    mine = Video.objects.using(video.db).filter(pk=video.pk, poll_token=video.poll_token)
    if video.announce_tries >= MAX_TRIES:
        logger.error("The receivers of video %s died %s times; skipped", video, MAX_TRIES)
    else:
        renew = partial(_renew, mine, lease)
        with Heartbeat(renew, every=lease / 3) as heartbeat:
            for signal in _due(video):
                if not heartbeat.is_held():
                    return False
                signals.tell(signal, video, late=video.late)
    told = {"announced_at": clock.now(), "overdue_at": clock.after(lease)}
    # The receivers have run: that a database was away then must not let them run again.
    return bool(insist(lambda: mine.update(**told), lease, video.db))


def _renew(mine: Any, lease: float) -> int:
    return int(mine.update(overdue_at=clock.after(lease)))


def keep_if_wanted(video: Video) -> None:
    """Have the file of a completed video kept, unless nobody wants it or that is done."""
    # By the row as it is now: what was said while the API was asked is not in `video`.
    wanted = Video.objects.using(video.db).filter(pk=video.pk, file="")
    if not get_settings().auto_store:
        wanted = wanted.filter(store_wanted=True)
    if not wanted.exists():
        return
    # A canvas that keeps the file itself goes first, for a while: a task of it that comes before
    # may fail, and then nobody else would.
    goes_first = KeptTask.objects.using(video.db).filter(video=video).storing().exists()
    argument = {"video_pk": str(video.pk)}
    video.keep(sending.STORE, argument, store_id(video.pk), send=not goes_first)


def want_file(video: Video, *, send: bool = True) -> None:
    """Have the file of a video kept once it has completed, whenever that is.

    `send` says whether to send `store_video` now for one that has completed already.
    """
    video.store_wanted = True
    Video.objects.using(video.db).filter(pk=video.pk).update(store_wanted=True)
    if video.status != Status.COMPLETED:
        # It may complete before this is committed, and would not see that the file is wanted.
        transaction.on_commit(partial(_look_for_file, video), using=video.db, robust=True)
    elif send and not video.file:
        video.store()


def _look_for_file(video: Video) -> None:
    video = video.current()
    if video.status == Status.COMPLETED:
        keep_if_wanted(video)


def settle(video: Video) -> None:
    """Let what waited for an announced video go on, and say when the row is looked at again."""
    # Only now: under READ COMMITTED, a release within the transaction that ended the video would
    # miss a task that parks meanwhile.
    next_turn = _next_turn(video)
    if video.is_finished:
        if not video.release(sending.POLL, sending.CREATE):
            next_turn = clock.after(get_settings().resend_after)
        if video.status != Status.CREATE_UNKNOWN:  # that one may still be bought again
            image_copies.remove(video.images)
    own = Video.objects.using(video.db).filter(pk=video.pk, poll_token=video.poll_token)
    locks.update(own, overdue_at=next_turn)


def announce_again(video: Video) -> None:
    """Announce what a process that died left unannounced, unless another copy does."""
    tries = video.announce_tries + 1
    if video.move((video.status,), overdue_at=_lease(video), announce_tries=tries):
        transaction.on_commit(partial(finish, video), using=video.db)


def next_late_poll(video: Video) -> datetime | None:
    """Return when a video whose end was decided here is asked for once more, or None."""
    ages = get_settings().late_polls
    if video.late_polls >= len(ages) or video.finished_at is None or video.api_id is None:
        return None
    return video.finished_at + timedelta(seconds=ages[video.late_polls])


def _next_turn(video: Video) -> datetime | None:
    if video.is_ended_by_us:
        # A poll that `refresh()` asked for comes first.
        is_asked = video.next_poll_at is not None and video.now < video.next_poll_at
        return _lease(video) if is_asked else next_late_poll(video)
    return None if video.is_finished else video.deadline_at


def _lease(video: Video) -> datetime:
    return video.now + timedelta(seconds=get_settings().resend_after)
