"""What people may do with a video. Each is one guarded update; a worker does the rest."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from .. import dispatch, signals
from ..conf import get_settings
from ..exceptions import InvalidRequest
from ..protocol import is_api_id
from .kept import KeptTask, store_id

if TYPE_CHECKING:
    from .video import Video

__all__ = ["ADOPTABLE", "EARLY", "Actions"]

LONGEST_TIMEOUT = 10 * 366 * 86400
"""Ten years: more is a mistake, and beyond what a date can hold."""

EARLY = timedelta(seconds=1)
"""By how much a message of the poll loop may come early and still act."""

ADOPTABLE = ("create_unknown", "lost")
"""Statuses in which a person may say which video it is."""

_FRESH = {
    "late": False,
    "reason": "",
    "missing_since": None,
    "polls": 0,
    "rendering_since": None,
    "errors": 0,
    "last_error": "",
    "urlless_polls": 0,
    "resends": 0,
    "late_polls": 0,
    "finished_at": None,
    "announced_at": None,
    "announce_tries": 0,
}


def _after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _soonest(video: Video) -> datetime:
    """Return the earliest time at which the API may be asked again."""
    if video.asked_at is None:
        return video.now
    shortest = get_settings().poll_countdown[0]
    return max(video.now, video.asked_at + _after(shortest))


class Actions:
    """The methods of `Video` that a person, a view or the admin calls."""

    def refresh(self: Video) -> bool:  # type: ignore[misc]
        """Ask the API now, but not within 10 s of the last time.

        Returns whether a poll was sent. None is where one is under way, or where the API has the
        video no longer in work.
        """
        video = self.current()
        if not video.is_polled or _is_under_way(video):
            return False
        at = _soonest(video)
        overdue = at + _after(get_settings().resend_after)
        won = video.move(video.POLLED, next_poll_at=at, overdue_at=overdue)
        if won:
            video.call((at - video.now).total_seconds())
        return won

    def resume(self: Video, timeout: float | None = None) -> bool:  # type: ignore[misc]
        """Wait again for a timed-out or lost video, until `timeout` seconds from now.

        Returns whether it was resumed. Its next end has signals of its own; what waited before
        has been told already.
        """
        video = self.current()
        status = video.Status.IN_PROGRESS if video.progress else video.Status.QUEUED
        return _start(
            video,
            (video.Status.TIMED_OUT, video.Status.LOST),
            "resumed",
            status=status,
            deadline_at=video.now + _after(checked_timeout(timeout) or video.timeout),
        )

    def adopt(self: Video, api_id: str) -> bool:  # type: ignore[misc]
        """Say which video an unknown create bought: the id on the provider's dashboard.

        Polling and the canvas that waits go on. Also of a lost video, whose id was mistyped: what
        waited for that one has been told already. Returns whether the create was still unknown,
        or the video lost. Raises `InvalidRequest` where the id is none or another row has it.
        """
        api_id = checked_api_id(api_id)
        video = self.current()
        with _own_id(api_id), transaction.atomic(using=video.db):
            won = _start(
                video,
                ADOPTABLE,
                "adopted",
                api_id=api_id,
                status=video.Status.QUEUED,
                deadline_at=video.now + _after(video.timeout),
            )
            if won:
                transaction.on_commit(partial(_tell_of_id, video), using=video.db)
        return won

    def buy_again(self: Video) -> bool:  # type: ignore[misc]
        """POST an unknown create once more, which may pay twice: only a person decides that.

        Returns whether the create was still unknown. The canvas that waits is the same.
        """
        video = self.current()
        with transaction.atomic(using=video.db):
            won = video.move(
                (video.Status.CREATE_UNKNOWN,),
                **_FRESH,
                status=video.Status.CREATING,
                post_started_at=None,
                create_tries=0,
                turn_at=video.now,
                deadline_at=None,
                overdue_at=video.now + _after(get_settings().resend_after),
                history=video.noted("bought again"),
            )
            if won:
                video.keep(dispatch.SUBMIT, str(video.pk))
        return won

    def give_up(self: Video) -> bool:  # type: ignore[misc]
        """Stop waiting for an unknown create: `CreateUnknown` is raised, errbacks run.

        Returns whether there was something to give up.
        """
        video = self.current()
        if video.is_finished:
            return False
        won = video.move((video.Status.CREATE_UNKNOWN,), **given_up(video, "given up"))
        if won:
            video.call()
        return won

    def stop_waiting(self: Video) -> int:  # type: ignore[misc]
        """Drop the tasks that wait for this video: no chain and no errback of theirs goes on.

        Returns how many there were. The video itself is still followed to its end, and its file
        kept where that is wanted; one that only its chain's `create_video` would have bought is
        rejected.
        """
        waiting = KeptTask.objects.using(self.db).filter(video=self)
        # What buys a row's video or keeps its file goes on with nothing: without the one the row
        # would never end, and the other's link dies.
        waiting = waiting.exclude(task=dispatch.SUBMIT).exclude(key=store_id(self.pk))
        return waiting.finish()

    def store(self: Video) -> str:  # type: ignore[misc]
        """Keep the file: send `store_video` for this video and return its Celery id."""
        celery_id = str(uuid.uuid4())
        self.keep(dispatch.STORE, {"video_pk": str(self.pk)}, celery_id)
        return celery_id


def _tell_of_id(video: Video) -> None:
    signals.tell(signals.video_created, video)
    video.release(dispatch.CREATE)


def checked_api_id(api_id: str) -> str:
    """Return an id that can be asked for; raise `InvalidRequest` where it cannot."""
    if not isinstance(api_id, str):
        raise InvalidRequest(f"An API id is a string, not {type(api_id).__name__}.", "api_id")
    if not api_id.strip():
        raise InvalidRequest("The API id is empty.", "api_id")
    if len(api_id) > 255:
        raise InvalidRequest("The API id is longer than 255 characters.", "api_id")
    if "://" in api_id or any(map(str.isspace, api_id)):
        raise InvalidRequest("An API id is one word, such as task_abc123, and no URL.", "api_id")
    if not is_api_id(api_id):
        message = "The API id holds characters that do not show, or dots alone. Type it in anew."
        raise InvalidRequest(message, "api_id")
    return api_id


@contextmanager
def _own_id(api_id: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise InvalidRequest(f"Another video has the API id {api_id}.", "api_id") from None


def checked_timeout(timeout: float | None) -> float | None:
    """Return a timeout that can be waited for, in seconds; raise `InvalidRequest` for another."""
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is None or (is_number and 0 < timeout <= LONGEST_TIMEOUT):
        return timeout
    message = f"timeout is a number of seconds up to {LONGEST_TIMEOUT}, not {timeout!r:.40}."
    raise InvalidRequest(message, "timeout")


def given_up(video: Video, event: str) -> dict[str, Any]:
    """Return the changes that end an unknown create. Its status stays."""
    return {
        "finished_at": video.now,
        "announced_at": None,
        "announce_tries": 0,
        "overdue_at": video.now + _after(get_settings().resend_after),
        "history": video.noted(event),
    }


def _is_under_way(video: Video) -> bool:
    # A message may be asking right now; an overdue one is the sweep's.
    if video.next_poll_at is None or video.overdue_at is None:
        return False
    return video.next_poll_at - EARLY <= video.now < video.overdue_at


def _start(video: Video, statuses: tuple[str, ...], event: str, **changes: Any) -> bool:
    at = _soonest(video)
    won = video.move(
        statuses,
        **_FRESH,
        **changes,
        next_poll_at=at,
        overdue_at=at + _after(get_settings().resend_after),
        history=video.noted(event),
    )
    if won:
        video.call((at - video.now).total_seconds())
    return won
