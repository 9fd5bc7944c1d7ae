"""What one message of the poll loop does: whatever its video needs next, once.

A message names the token that it may act on; one with another token is a stale copy and does
nothing. Whoever starts a loop anew moves the token on first, so a late original and the copy that
replaced it never both act.
"""

from __future__ import annotations

import logging

from ..buying import create
from ..db import clock
from ..lifecycle.endings import announce_again, settle
from ..models import Video
from ..models.actions import given_up
from .poll import Next, poll, poll_late

__all__ = ["act", "give_up_overdue", "run"]

logger = logging.getLogger(__name__)

Status = Video.Status

PEEK = 1.0
"""Seconds between two looks at a row that another process works on."""


def act(video_pk: str, token: int) -> Next | None:
    """Do what a video needs next. Return the message to send, or None where the loop ends."""
    video = Video.objects.find(video_pk)
    if video is None or video.poll_token != token:
        logger.debug("A stale message for video %s", video_pk)
        return None
    if video.is_polled:
        return poll(video)
    _tend(video)
    return None


def _tend(video: Video) -> None:
    if video.status not in Status.values:
        # Written by a later version, before this one was put back: it knows what that means.
        logger.warning("Video %s has the unknown status %r: left alone", video.pk, video.status)
    elif video.status == Status.CREATING:
        create.end_unanswered(video)
    elif video.announced_at is None:
        announce_again(video)
    elif not give_up_overdue(video):
        # The process that announced this video may have died before it let others go on.
        settle(video)
        if video.is_ended_by_us:
            poll_late(video)


def give_up_overdue(video: Video) -> bool:
    """Give an unknown create up whose timeout has passed; return whether it was to be given up."""
    is_waiting = video.status == Status.CREATE_UNKNOWN and not video.is_finished
    if not is_waiting or video.deadline_at is None or video.now < video.deadline_at:
        return False
    event = "given up: the timeout passed"
    if video.move((Status.CREATE_UNKNOWN,), **given_up(video, event)):
        announce_again(video)
    return True


def run(video: Video) -> Video:
    """Poll a video to its end in this process, sleeping between two polls.

    For eager mode and direct calls, where there is no broker to wait in. It takes the loop over:
    a worker's message for this video becomes stale.
    """
    message: Next | None = None
    while True:
        video = video.current()
        if video.is_finished:
            return video
        if give_up_overdue(video):
            continue
        if message is None or message.token != video.poll_token:
            message = _take_over(video)
        if message is None:
            clock.sleep(PEEK)
            continue
        message.tell()
        clock.sleep(message.countdown)
        message = act(str(video.pk), message.token)


def _take_over(video: Video) -> Next | None:
    # A batch poller may be asking: the row stays its own, and whoever comes first asks next.
    if not video.has_poller and not video.move(Video.POLLED):
        return None
    wait = (video.next_poll_at - video.now).total_seconds() if video.next_poll_at else 0.0
    return Next(video.poll_token, max(0.0, wait))
