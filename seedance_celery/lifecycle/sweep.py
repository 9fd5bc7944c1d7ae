"""The sweep: sends again what went missing.

Two indexed queries and two small updates when nothing is wrong. One sweep is at work at a time, by
a lease that expires. Two would do no harm: each row is taken by a guarded update, and only the
winner sends. A row that is locked, or that the database refuses to change, is passed over.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from time import monotonic
from typing import Any

from django.db import Error
from django.db.models import F

from .. import sending
from ..accounts import limits
from ..api.signed_urls import expires_at
from ..conf import get_settings
from ..db import clock, locks, row_errors
from ..models import KeptTask, Poller, Upkeep, Video
from ..models.walk import alone, pages, read, walk
from .deletion import Deleted
from .pruning import prune

__all__ = ["Swept", "prune", "sweep"]

logger = logging.getLogger(__name__)

BATCH = 500
"""How many rows of a kind one sweep sends, the oldest first."""
LONGEST_WAIT = 900.0
"""Seconds up to which the time between two sends of what stays unheard doubles."""
MOST_RESENDS = 20
"""Up to which number resends are counted: from then on the wait is the longest."""
LEASE = 30.0
"""Seconds at most until another sweep may begin after one whose process died."""


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
    elsewhere: bool = False
    """Whether another sweep was at work, so that this one did nothing."""

    def add(self, deleted: Deleted) -> None:
        """Add the videos that were removed."""
        self.pruned += len(deleted.videos)
        self.along = dict(Counter(self.along) + Counter(deleted.counts()))


class _Lease:
    """The right to sweep, which is renewed between two rows and expires with its process."""

    def __init__(self) -> None:
        self._seconds = min(get_settings().resend_after / 2, LEASE)
        self._id = Upkeep.objects.begin_sweep(self._seconds)
        self._renewed_at = monotonic()

    @property
    def is_mine(self) -> bool:
        return self._id is not None

    def renew(self) -> None:
        if self._id is not None and monotonic() - self._renewed_at > self._seconds / 3:
            self._renewed_at = monotonic()
            Upkeep.objects.renew_sweep(self._id, self._seconds)

    def end(self) -> None:
        if self._id is not None:
            Upkeep.objects.end_sweep(self._id)


def sweep() -> Swept:
    """Send every overdue poll loop and kept task again, up to `BATCH` of each.

    Does nothing while another sweep is at work.
    """
    lease = _Lease()
    if not lease.is_mine:
        logger.debug("Another sweep is at work")
        return Swept(elsewhere=True)
    try:
        # Whatever somebody has locked is passed over at once: the next sweep comes to it.
        with locks.brief(0.0):
            return _sweep(lease)
    finally:
        with suppress(Error):
            lease.end()


def _sweep(lease: _Lease) -> Swept:
    swept = Swept(loops=_sweep_loops(lease))
    swept.tasks = _sweep_tasks(lease)
    settings = get_settings()
    for name in settings.accounts:
        lease.renew()
        limits.call_next(name)
    if settings.prune_after is not None:
        lease.renew()
        swept.add(prune(settings.prune_after))
    if swept.loops or swept.tasks:
        logger.info("Sent %s poll loops and %s kept tasks again", swept.loops, swept.tasks)
    return swept


def _wait(resends: int) -> float:
    # What was sent and stays unheard may stand in a long queue: more copies would lengthen it.
    return min(get_settings().resend_after * 2.0 ** min(resends, MOST_RESENDS), LONGEST_WAIT)


def _again(resends: int) -> int:
    return min(resends + 1, MOST_RESENDS)


def _sweep_loops(lease: _Lease) -> int:
    overdue = Video.objects.primary().with_now().filter(overdue_at__lte=clock.now())
    sent = 0
    if sending.in_batches():
        sent, polled = _sweep_pollers()
        overdue = overdue.exclude(status__in=Video.POLLED, account__in=polled)
    for video in walk(overdue, "overdue_at"):
        lease.renew()
        went: bool | None = None
        with alone(video):
            went = _sent_loop(video)
        sent += bool(went)
        if went is False or sent >= BATCH:
            break
    return sent


def _sent_loop(video: Video) -> bool | None:
    """Send a poll loop again; return whether it went, or None where that row is passed over."""
    later = video.now + timedelta(seconds=_wait(video.resends))
    resends = video.resends
    if not video.move((video.status,), overdue_at=later, resends=_again(resends)):
        return None
    went = _went(video)
    if went is False:
        # Not sent is not unheard: it comes first in the next sweep, and does not double.
        soon = video.now + timedelta(seconds=1)
        video.move((video.status,), overdue_at=soon, resends=resends)
    return went


def _sweep_pollers() -> tuple[int, set[str]]:
    """Send overdue batch pollers again, and start those that are wanted and off.

    Returns how many were sent, and the accounts whose videos they ask for. A poller whose row
    cannot be changed asks for none: until it can, its account's videos are sent as loops.
    """
    sent = 0
    on: set[str] = set()
    served: set[str] = set()
    known = Poller.objects.primary().with_now().filter(overdue_at__isnull=False)
    for poller in walk(known, "overdue_at"):
        on.add(poller.account)
        with alone(poller):
            if not poller.is_on:
                sent += poller.call_again(_wait(poller.sends), _again(poller.sends))
            served.add(poller.account)
    for account in set(get_settings().accounts) - on:
        with row_errors.alone(f"Account {account}", Poller.objects.primary().db):
            wait = Video.objects.next_poll(account)
            if wait is not None:
                sent += Poller.objects.call(account, max(0.0, wait))
            served.add(account)
    return sent, served & set(get_settings().accounts)


def _sweep_tasks(lease: _Lease) -> int:
    due = KeptTask.objects.primary().unfinished().exclude(signature="")
    due = due.filter(due_at__lte=clock.now())
    overdue = due.annotate(link=F("video__video_url"))
    sent = 0
    for keys in pages(overdue, "due_at"):
        for kept in sorted(read(overdue, keys), key=_link_ends_at):
            lease.renew()
            went: bool | None = None
            with alone(kept):
                went = _sent_task(kept)
            sent += bool(went)
            if went is False or sent >= BATCH:
                return sent
    return sent


def _sent_task(kept: KeptTask) -> bool | None:
    """Send a kept task again; return whether it went, or None where that row is passed over."""
    rows = KeptTask.objects.primary().unfinished().filter(pk=kept.pk)
    sends = kept.sends
    mine = rows.filter(sends=sends, due_at__lte=clock.now())
    if not locks.update(mine, due_at=clock.after(_wait(sends)), sends=_again(sends)):
        return None
    went = _went(kept)
    if went is False:
        locks.update(rows.filter(sends=_again(sends)), due_at=clock.after(1), sends=sends)
    return went


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
