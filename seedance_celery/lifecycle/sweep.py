"""The sweep: sends again what went missing.

Two indexed queries and one small update when nothing is wrong. Many sweeps at once need no lock:
each row is taken by a guarded update, and only the winner sends.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

from django.db.models import F

from .. import sending
from ..accounts import limits
from ..api.signed_urls import expires_at
from ..conf import get_settings
from ..db import clock
from ..models import KeptTask, Poller, Upkeep, Video
from .deletion import Deleted
from .pruning import prune

__all__ = ["Swept", "prune", "sweep"]

logger = logging.getLogger(__name__)

BATCH = 500
"""How many rows of a kind one sweep sends, the oldest first."""
LONGEST_WAIT = 900.0
"""Seconds up to which the time between two sends of what stays unheard doubles."""


LATEST = datetime.max.replace(tzinfo=timezone.utc)


@dataclasses.dataclass
class Swept:
    """What one sweep did: how many poll loops (or batch pollers) and kept tasks it sent, and how
    many videos it removed."""

    loops: int = 0
    tasks: int = 0
    pruned: int = 0
    along: dict[str, int] = dataclasses.field(default_factory=dict)
    """How many rows of the project's went along with these videos, by model."""

    def add(self, deleted: Deleted) -> None:
        """Add the videos that were removed."""
        self.pruned += len(deleted.videos)
        self.along = dict(Counter(self.along) + Counter(deleted.counts()))


def sweep() -> Swept:
    """Send every overdue poll loop and kept task again, up to `BATCH` of each."""
    swept = Swept(loops=_sweep_loops())
    swept.tasks = _sweep_tasks()
    settings = get_settings()
    for name in settings.accounts:
        limits.call_next(name)
    Upkeep.objects.note_sweep()
    if settings.prune_after is not None:
        swept.add(prune(settings.prune_after))
    if swept.loops or swept.tasks:
        logger.info("Sent %s poll loops and %s kept tasks again", swept.loops, swept.tasks)
    return swept


def _wait(resends: int) -> float:
    # What was sent and stays unheard may stand in a long queue: more copies would lengthen it.
    return min(get_settings().resend_after * 2.0 ** min(resends, 20), LONGEST_WAIT)


def _sweep_loops() -> int:
    overdue = Video.objects.primary().with_now().filter(overdue_at__lte=clock.now())
    sent = 0
    if sending.in_batches():
        sent = _sweep_pollers()
        overdue = overdue.exclude(status__in=Video.POLLED, account__in=get_settings().accounts)
    for video in overdue.order_by("overdue_at")[:BATCH]:
        later = video.now + timedelta(seconds=_wait(video.resends))
        if not video.move((video.status,), overdue_at=later, resends=video.resends + 1):
            continue
        went = _went(video)
        if went is False:
            _undo(video)
            break
        sent += bool(went)
    return sent


def _sweep_pollers() -> int:
    """Send overdue batch pollers again, and start those that are wanted and off."""
    sent = 0
    on = set()
    for poller in Poller.objects.primary().with_now().filter(overdue_at__isnull=False):
        on.add(poller.account)
        if not poller.is_on:
            sent += poller.call_again(_wait(poller.sends))
    for account in set(get_settings().accounts) - on:
        wait = Video.objects.next_poll(account)
        if wait is not None:
            sent += Poller.objects.call(account, max(0.0, wait))
    return sent


def _undo(video: Video) -> None:
    # Not sent is not unheard: it comes first in the next sweep, and does not double.
    soon = video.now + timedelta(seconds=1)
    video.move((video.status,), overdue_at=soon, resends=video.resends - 1)


def _sweep_tasks() -> int:
    due = KeptTask.objects.primary().unfinished().exclude(signature="")
    due = due.filter(due_at__lte=clock.now())
    sent = 0
    overdue = due.annotate(link=F("video__video_url")).order_by("due_at")[:BATCH]
    for kept in sorted(overdue, key=_link_ends_at):
        mine = due.filter(pk=kept.pk, sends=kept.sends)
        if not mine.update(due_at=clock.after(_wait(kept.sends)), sends=kept.sends + 1):
            continue
        went = _went(kept)
        if went is False:
            row = KeptTask.objects.primary().filter(pk=kept.pk, sends=kept.sends + 1)
            row.update(due_at=clock.after(1), sends=kept.sends)
            break
        sent += bool(went)
    return sent


def _link_ends_at(kept: Any) -> datetime:
    """Return when what a task needs is gone: files whose link dies soonest are sent for first."""
    return (expires_at(kept.link) if kept.task == sending.STORE else None) or LATEST


def _went(row: Video | KeptTask) -> bool | None:
    """Send a row; return whether the broker took it, or None where it cannot be sent at all."""
    try:
        return row.send()
    except Exception:  # a project's routing or annotations: one row must not hold up the others
        logger.exception("%s cannot be sent", row)
        return None
