"""What people may do with a video. Each is one guarded update; a worker does the rest."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from .. import sending, signals
from ..api.arguments import plain
from ..api.replies import MAX_ID, is_api_id
from ..conf import get_settings
from ..exceptions import InvalidRequest
from .kept import KeptTask, store_id
from .row import Row

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
    "final_polls": 0,
    "final_since": None,
    "resends": 0,
    "late_polls": 0,
    "finished_at": None,
    "announced_at": None,
    "announce_tries": 0,
}


def _after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _soonest(video: Row) -> datetime:
    """Return the earliest time at which the API may be asked again."""
    if video.asked_at is None:
        return video.now
    shortest = get_settings().poll_countdown[0]
    return max(video.now, video.asked_at + _after(shortest))


class Actions(Row):
    """The methods of `Video` that a person, a view or the admin calls."""

    class Meta(Row.Meta):
        abstract = True

    def refresh(self) -> bool:
        """Ask the API now, but not within 10 s of the last time.

        Also for a video whose end the package decided: one that has timed out, one without its
        link. It stays as it is unless it has completed or failed meanwhile. Returns whether a poll
        was sent. None is where one is under way, or where the API has the video no longer in work.
        """
        video = self.current()
        is_late = video.is_ended_by_us and video.announced_at is not None
        if not (video.is_polled or is_late) or _is_under_way(video):
            return False
        at = _soonest(video)
        overdue = at + _after(get_settings().resend_after)
        statuses = (video.status,) if is_late else video.POLLED
        won = video.move(statuses, next_poll_at=at, overdue_at=overdue)
        if won:
            video.call((at - video.now).total_seconds())
        return won

    def resume(self, timeout: float | None = None) -> bool:
        """Wait again for a video that has timed out or is lost, until `timeout` seconds from now.

        Also for one that completed without a usable link, or that failed by a word of the upstream
        alone: ends that the package decided. Returns whether it was resumed. Its next end has
        signals of its own; what waited before has been told already.
        """
        timeout = checked_timeout(timeout)
        statuses = (self.Status.TIMED_OUT, self.Status.LOST, self.Status.ERROR, self.Status.FAILED)

        def resume(video: Row) -> bool:
            if not video.is_ended_by_us and video.status != video.Status.LOST:
                return False
            status = video.Status.IN_PROGRESS if video.progress else video.Status.QUEUED
            deadline_at = video.now + _after(timeout or video.timeout)
            return _start(video, (video.status,), "resumed", status=status, deadline_at=deadline_at)

        return _decided(self, statuses, resume)

    def adopt(self, api_id: str) -> bool:
        """Say which video an unknown create bought: the id on the provider's dashboard.

        Polling and the canvas that waits go on. Also of a lost video, whose id was mistyped: what
        waited for that one has been told already. Returns whether the create was still unknown,
        or the video lost. Raises `InvalidRequest` where the id is none or another row has it.
        """
        api_id = checked_api_id(api_id)

        def adopt(video: Row) -> bool:
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

        return _decided(self, ADOPTABLE, adopt)

    def buy_again(self) -> bool:
        """POST an unknown create once more, which may pay twice: only a person decides that.

        Returns whether the create was still unknown. The canvas that waits is the same.
        """
        return _decided(self, (self.Status.CREATE_UNKNOWN,), _buy_again)

    def give_up(self) -> bool:
        """Stop waiting for an unknown create: `CreateUnknown` is raised, errbacks run.

        Returns whether there was something to give up.
        """
        return _decided(self, (self.Status.CREATE_UNKNOWN,), _give_up)

    def stop_waiting(self) -> int:
        """Drop the tasks that wait for this video: no chain and no errback of theirs goes on.

        Returns how many there were. The video itself is still followed to its end, and its file
        kept where that is wanted; one that only its chain's `create_video` would have bought is
        rejected.
        """
        waiting = KeptTask.objects.using(self.db).filter(video=self.pk)
        # What buys a row's video or keeps its file goes on with nothing: without the one the row
        # would never end, and the other's link dies.
        waiting = waiting.exclude(task=sending.SUBMIT).exclude(key=store_id(self.pk))
        return waiting.finish()

    def store(self) -> str:
        """Keep the file: send `store_video` for this video and return its Celery id.

        Raises `InvalidRequest` where the video is not completed, so that there is no file.
        """
        status = self.current().status
        if status != self.Status.COMPLETED:
            message = f"Video {self} is {status}: only the file of a completed video can be kept."
            raise InvalidRequest(message, "video")
        celery_id = str(uuid.uuid4())
        self.keep(sending.STORE, {"video_pk": str(self.pk)}, celery_id)
        return celery_id


TRIES = 5
"""How often a decision is made anew where something else has moved the row meanwhile."""


def _decided(video: Row, statuses: Collection[str], decide: Callable[[Row], bool]) -> bool:
    """Make a person's decision about a row that is in one of these statuses; return whether it won.

    A sweep or a late poll may move the row on between the look at it and the update, and leave it
    in its status: the decision is as good as before, and is made again.
    """
    for _ in range(TRIES):
        row = video.current()
        if row.status not in statuses:
            return False
        if decide(row):
            return True
    return False


def _buy_again(video: Row) -> bool:
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
            video.keep(sending.SUBMIT, str(video.pk))
    return won


def _give_up(video: Row) -> bool:
    if video.is_finished:
        return False
    won = video.move((video.Status.CREATE_UNKNOWN,), **given_up(video, "given up"))
    if won:
        video.call()
    return won


def _tell_of_id(video: Row) -> None:
    signals.tell(signals.video_created, video)
    video.release(sending.CREATE)


def checked_api_id(api_id: str) -> str:
    """Return an id that can be asked for; raise `InvalidRequest` where it cannot."""
    if not isinstance(api_id, str):
        raise InvalidRequest(f"An API id is a string, not {type(api_id).__name__}.", "api_id")
    if not api_id.strip():
        raise InvalidRequest("The API id is empty.", "api_id")
    if len(api_id) > MAX_ID:
        raise InvalidRequest(f"The API id is longer than {MAX_ID} characters.", "api_id")
    if "://" in api_id or any(map(str.isspace, api_id)):
        raise InvalidRequest("An API id is one word, such as task_abc123, and no URL.", "api_id")
    if not is_api_id(api_id):
        message = "The API id holds characters that do not show, or dots alone. Type it in anew."
        raise InvalidRequest(message, "api_id")
    return str(plain(api_id))


@contextmanager
def _own_id(api_id: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise InvalidRequest(f"Another video has the API id {api_id}.", "api_id") from None


def checked_timeout(timeout: float | None, *, lowest: float = 1e-3) -> float | None:
    """Return a timeout that can be waited for, in seconds; raise `InvalidRequest` for another."""
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is None:
        return None
    if is_number and lowest <= timeout <= LONGEST_TIMEOUT:
        return float(timeout)
    # The value stays out of the text: a number of more than 4,300 digits has none.
    message = f"timeout is a number of seconds from {lowest:g} to {LONGEST_TIMEOUT}."
    raise InvalidRequest(message, "timeout")


def given_up(video: Row, event: str) -> dict[str, Any]:
    """Return the changes that end an unknown create. Its status stays."""
    return {
        "finished_at": video.now,
        "announced_at": None,
        "announce_tries": 0,
        "overdue_at": video.now + _after(get_settings().resend_after),
        "history": video.noted(event),
    }


def _is_under_way(video: Row) -> bool:
    # A message may be asking right now; an overdue one is the sweep's.
    if video.next_poll_at is None or video.overdue_at is None:
        return False
    return video.next_poll_at - EARLY <= video.now < video.overdue_at


def _start(video: Row, statuses: tuple[str, ...], event: str, **changes: Any) -> bool:
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
