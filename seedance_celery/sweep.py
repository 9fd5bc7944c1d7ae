"""The sweep: sends again what went missing.

Two indexed queries and one small update when nothing is wrong. Many sweeps at once need no lock:
each row is taken by a guarded update, and only the winner sends.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from django.db.models import PROTECT, RESTRICT, Exists, F, OuterRef, QuerySet

from . import clock, dispatch, limits
from .conf import get_settings
from .models import KeptTask, Poller, Upkeep, Video
from .signed_urls import expires_at
from .used_keys import forget_old_keys

__all__ = ["Swept", "prune", "sweep"]

logger = logging.getLogger(__name__)

BATCH = 500
"""How many rows of a kind one sweep sends, the oldest first."""
LONGEST_WAIT = 900.0
"""Seconds up to which the time between two sends of what stays unheard doubles."""
MEMORY = timedelta(days=7)
"""How long a finished task is remembered: a broker may still deliver a copy of it."""


LATEST = datetime.max.replace(tzinfo=timezone.utc)


@dataclasses.dataclass
class Swept:
    """What one sweep did: how many poll loops (or batch pollers) and kept tasks it sent, and how
    many rows it removed."""

    loops: int = 0
    tasks: int = 0
    pruned: int = 0


def sweep() -> Swept:
    """Send every overdue poll loop and kept task again, up to `BATCH` of each."""
    swept = Swept(loops=_sweep_loops())
    swept.tasks = _sweep_tasks()
    settings = get_settings()
    for name in settings.accounts:
        limits.call_next(name)
    Upkeep.objects.note_sweep()
    if settings.prune_after is not None:
        swept.pruned = prune(settings.prune_after)
    if swept.loops or swept.tasks:
        logger.info("Sent %s poll loops and %s kept tasks again", swept.loops, swept.tasks)
    return swept


def _wait(resends: int) -> float:
    # What was sent and stays unheard may stand in a long queue: more copies would lengthen it.
    return min(get_settings().resend_after * 2.0 ** min(resends, 20), LONGEST_WAIT)


def _sweep_loops() -> int:
    overdue = Video.objects.primary().with_now().filter(overdue_at__lte=clock.now())
    sent = 0
    if dispatch.in_batches():
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
    return (expires_at(kept.link) if kept.task == dispatch.STORE else None) or LATEST


def _went(row: Video | KeptTask) -> bool | None:
    """Send a row; return whether the broker took it, or None where it cannot be sent at all."""
    try:
        return row.send()
    except Exception:  # a project's routing or annotations: one row must not hold up the others
        logger.exception("%s cannot be sent", row)
        return None


def prune(age: float, *, limit: int = BATCH, dry_run: bool = False) -> int:
    """Remove videos that ended more than `age` seconds ago; return how many.

    A video stays while a task waits for it, while it is to be asked for late, and for a week
    after the last task that waited for it: a broker may still deliver a copy of that. And it stays
    while a row of the project protects it (`PROTECT`, `RESTRICT`).
    """
    old = Video.objects.primary().filter(
        finished_at__lt=clock.after(-age), overdue_at__isnull=True, announced_at__isnull=False
    )
    recent = KeptTask.objects.primary().filter(
        finished_at__gte=clock.after(-MEMORY.total_seconds())
    )
    unfinished = KeptTask.objects.primary().unfinished()
    old = old.exclude(pk__in=recent.values("video")).exclude(pk__in=unfinished.values("video"))
    old = old.filter(*(~Exists(rows) for rows in _protecting(old.db)))
    keys = list(old.order_by("finished_at").values_list("pk", flat=True)[:limit])
    if not dry_run:
        forget_old_keys(limit)
        KeptTask.objects.primary().filter(video__in=keys, finished_at__isnull=False).delete()
        Video.objects.primary().filter(pk__in=keys).delete()
    return len(keys)


def _protecting(using: str) -> Iterator[QuerySet[Any]]:
    """Return the rows that keep a video from being deleted, of each model that points at videos."""
    for relation in Video._meta.get_fields(include_hidden=True):
        if getattr(relation, "on_delete", None) in (PROTECT, RESTRICT):
            field: Any = relation.field  # type: ignore[union-attr]
            rows = field.model._base_manager.using(using)
            yield rows.filter(**{field.name: OuterRef(field.target_field.attname)})
