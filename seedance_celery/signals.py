"""The signals, and the one place that fires them.

Every video signal has `sender=Video` and `video=<the row>`; the signals of an end also have
`late`: True where the video had timed out before. Receivers take `**kwargs`. A receiver that
raises is logged, and stops neither the others nor the chain.
"""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import Signal

from . import clock
from .conf import get_settings
from .heartbeat import Heartbeat
from .insist import insist
from .models import Video

__all__ = [
    "account_refused",
    "account_restored",
    "announce",
    "tell",
    "video_completed",
    "video_create_unknown",
    "video_created",
    "video_errored",
    "video_failed",
    "video_finished",
    "video_lost",
    "video_progressed",
    "video_rejected",
    "video_store_failed",
    "video_stored",
    "video_timed_out",
]

logger = logging.getLogger(__name__)

video_created = Signal()
"""The API's id is known. A crash may miss it."""
video_progressed = Signal()
"""Status or progress changed, and the video has not ended. A crash may miss it."""
video_completed = Signal()
"""`completed`: the video is there, at `video.video_url`."""
video_failed = Signal()
"""`failed`: the provider rejected the task."""
video_errored = Signal()
"""`error`: an internal error of the API, or `completed` without a URL."""
video_rejected = Signal()
"""`rejected`: the create was refused; nothing was bought."""
video_create_unknown = Signal()
"""`create_unknown`: the create's reply was lost; a person decides. Fires at once."""
video_timed_out = Signal()
"""`timed_out`: nobody waits any more; the render may still end, and is then collected."""
video_lost = Signal()
"""`lost`: the API has never known this id."""
video_finished = Signal()
"""After each of the signals above that is an end; for an unknown create when it is given up."""
video_stored = Signal()
"""The file is kept: `video.file`, `video.file_size`, `video.sha256`."""
video_store_failed = Signal()
"""The file could not be kept: `video.store_error` says why."""
account_refused = Signal()
"""The API refuses a key. `account` is its name. Once an incident."""
account_restored = Signal()
"""The API takes a key again. `account` is its name."""

_OF_STATUS = {
    Video.Status.COMPLETED: video_completed,
    Video.Status.FAILED: video_failed,
    Video.Status.ERROR: video_errored,
    Video.Status.REJECTED: video_rejected,
    Video.Status.TIMED_OUT: video_timed_out,
    Video.Status.LOST: video_lost,
}

MAX_TRIES = 5
"""How often an announcement is begun whose process dies in it."""


def tell(signal: Signal, video: Video, **details: Any) -> None:
    """Fire a signal; what its receivers raise is logged."""
    signal.send_robust(sender=Video, video=video, **details)


def _due(video: Video) -> list[Signal]:
    if video.status == Video.Status.CREATE_UNKNOWN:
        return [video_finished] if video.is_finished else [video_create_unknown]
    return [_OF_STATUS[Video.Status(video.status)], video_finished]


def announce(video: Video) -> bool:
    """Fire the signals of the row's end, and record that they were fired.

    The caller has just won an update of this row, which is the lease: `overdue_at` is ahead, and
    the token is the caller's alone. Returns False where the lease was lost meanwhile.
    """
    lease = get_settings().resend_after
    mine = Video.objects.using(video.db).filter(pk=video.pk, poll_token=video.poll_token)
    if video.announce_tries >= MAX_TRIES:
        logger.error("The receivers of video %s died %s times; skipped", video, MAX_TRIES)
    else:
        with Heartbeat(lambda: mine.update(overdue_at=clock.after(lease)), every=lease / 3):
            for signal in _due(video):
                tell(signal, video, late=video.late)
    told = {"announced_at": clock.now(), "overdue_at": clock.after(lease)}
    # The receivers have run: that a database was away then must not let them run again.
    return bool(insist(lambda: mine.update(**told), lease, video.db))
