"""The signals of videos and accounts, and the one function that fires them.

Every video signal has `sender=Video` and `video=<the row>`; the signals of an end also have
`late`: True where the video had ended before. Receivers take `**kwargs`. A receiver that
raises is logged, and stops neither the others nor the chain.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import models, router, transaction
from django.dispatch import Signal

from .db import locks

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

video_created = Signal()
"""The API's id is known: bought, tracked or adopted. A crash may miss it."""
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


def tell(signal: Signal, video: models.Model, **details: Any) -> None:
    """Fire a signal of a video, as `announce` does."""
    model = type(video)
    using = router.db_for_write(model, instance=video)
    announce(signal, model._meta.concrete_model or model, using, video=video, **details)


def announce(signal: Signal, sender: type[models.Model], using: str, **details: Any) -> None:
    """Fire a signal, once what it tells of is committed; what its receivers raise is logged.

    Every signal of this package goes through here: inside an atomic block that rolls back none
    fires. `using` is the database that the block is about.
    """
    fire = partial(_fire, signal, sender, details)
    transaction.on_commit(fire, using=using, robust=True)


def _fire(signal: Signal, sender: type[models.Model], details: dict[str, Any]) -> None:
    # What a receiver does with its own rows waits for locks as it does anywhere else.
    with locks.patient():
        signal.send_robust(sender=sender, **details)
