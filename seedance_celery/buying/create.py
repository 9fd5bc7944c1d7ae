"""Buying a video, once: the intent is committed before the POST, and the right to POST is won.

The right is given back only on proof that nothing was bought. What came of a POST is written down
by `outcomes`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

from django.core.files.storage import storages

from .. import sending, waits
from ..accounts import health, limits
from ..accounts.limits import Verdict
from ..api.replies import VideoTask
from ..conf import UnknownAccount, get_settings
from ..exceptions import KeyMissing
from ..lifecycle.endings import end
from ..models import KeptTask, Video
from .outcomes import end_unknown, keep_outcome, refusal

__all__ = ["Wait", "end_unanswered", "submit"]

Status = Video.Status

LOST_RACE = 1.0
"""Seconds until a create looks again whose row another process has just moved."""
IN_LINE = 2.0
"""Seconds between two looks of a process that waits for its turn without a broker."""


@dataclasses.dataclass(frozen=True)
class Wait:
    """A create that cannot be sent now: look again in so many seconds.

    One that is `in_line` is called as soon as a place is free, and need not look by itself.
    """

    seconds: float
    in_line: bool = False


def submit(video: Video) -> Wait | None:
    """POST a create if nobody has; return how to wait for the next try, or None.

    None means that there is nothing to try again: look at the row.
    """
    if not _is_unsent(video):
        return None
    wait = _try(video)
    if wait is not None:
        _note(video, wait)
    return wait


def _is_unsent(video: Video) -> bool:
    return video.status == Status.CREATING and video.post_started_at is None


def _try(video: Video) -> Wait | None:
    try:
        account = get_settings().account(video.account)
    except UnknownAccount as error:
        # The settings of this worker may be older, or newer, than the order.
        return _wait_for_key(video, KeyMissing(str(error)))
    verdict = limits.look(video, account)
    if verdict is not Verdict.GO:
        return _held_back(video, verdict)
    if _is_over(video):
        end(video, "rejected", **refusal(video, "the timeout passed before it could be sent"))
        return None
    held = health.wait_to_create(video)
    if held is not None:
        return Wait(min(held, _left(video)))
    try:
        with _opened(video.images) as images:
            verdict = limits.win(video, account, **_right(video))
            if verdict is not Verdict.GO:
                return _held_back(video, verdict)
            return _retry_in(keep_outcome(video, _answer(video, images)))
    except _ImageGone as error:
        end(video, "rejected", **refusal(video, f"an image is gone ({error})"))
        return None


def _retry_in(seconds: float | None) -> Wait | None:
    return None if seconds is None else Wait(seconds)


def _wait_for_key(video: Video, error: KeyMissing) -> Wait | None:
    if _is_over(video):
        end(video, "rejected", **refusal(video, f"never sent: {error}"))
        return None
    longest = get_settings().poll_countdown[1]
    return Wait(waits.jittered(health.learn(video, error) or longest, longest))


def _held_back(video: Video, verdict: Verdict) -> Wait | None:
    if verdict is Verdict.WAIT:
        return Wait(IN_LINE, in_line=True)
    if verdict is Verdict.SPENT:
        words = f"MAX_CREATES: account {video.account} has no create left for this day (UTC)"
        end(video, "rejected", **refusal(video, words))
        return None
    return Wait(LOST_RACE) if _is_unsent(video.current()) else None


def _is_over(video: Video) -> bool:
    return _left(video) <= 0


def _left(video: Video) -> float:
    """Return the seconds until a create is given up that could not be sent."""
    if video.in_line_since is not None:
        return video.timeout
    since = video.turn_at or video.created_at
    return video.timeout - (video.now - since).total_seconds()


def _right(video: Video) -> dict[str, Any]:
    settings = get_settings()
    limit = settings.create_timeout + settings.resend_after
    changes = {"post_started_at": video.now, "overdue_at": video.now + timedelta(seconds=limit)}
    return {**changes, **_turn(video)}


def _turn(video: Video) -> dict[str, Any]:
    return {"in_line_since": None, "turn_at": video.now} if video.in_line_since else {}


def _note(video: Video, wait: Wait) -> None:
    """Keep that a create waits, and why, without moving its token: other copies may act."""
    later = video.now + timedelta(seconds=wait.seconds + get_settings().resend_after)
    changes = {"in_line_since": video.in_line_since or video.now} if wait.in_line else _turn(video)
    limits.in_line(video.account).filter(pk=video.pk).update(overdue_at=later, **changes)


def _answer(video: Video, images: list[Any]) -> VideoTask | Exception:
    try:
        return health.client_of(video.account).create(
            video.prompt,
            model=video.model,
            seconds=video.seconds,
            size=video.size or None,
            images=images,
        )
    except Exception as error:  # noqa: BLE001  (a time limit, an instrument's hook: after what?)
        return error


class _ImageGone(Exception):  # noqa: N818
    """An image that is to be sent cannot be opened."""


@contextmanager
def _opened(images: list[Any]) -> Iterator[list[Any]]:
    storage = storages[get_settings().storage]
    with ExitStack() as stack:
        try:
            files = [stack.enter_context(storage.open(name, "rb")) for name, _ in images]
        except OSError as error:
            raise _ImageGone(type(error).__name__) from error
        yield files


# Creates whose process has died.


def end_unanswered(video: Video) -> None:
    """Make a create unknown whose process died in the POST; the POST itself is over by now."""
    if video.post_started_at is None:
        _end_unsent(video)
    elif video.now - video.post_started_at > timedelta(seconds=get_settings().create_timeout):
        end_unknown(video, "the process that sent the create died before the reply")


def _end_unsent(video: Video) -> None:
    kept = KeptTask.objects.using(video.db).filter(video=video).unfinished()
    kept = kept.filter(task__in=(sending.CREATE, sending.SUBMIT))
    if not kept.exists():
        end(video, "rejected", **refusal(video, "never sent: nothing is left that would send it"))
    elif not kept.filter(due_at__isnull=False).exists():
        # They wait for the reply to another's POST, which was not sent and is not tried again.
        video.release(sending.CREATE, sending.SUBMIT)
