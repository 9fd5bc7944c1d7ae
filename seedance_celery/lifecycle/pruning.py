"""Deleting the rows of old videos: the sweep's part of it, and the command's."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from django.db.models import CASCADE, PROTECT, RESTRICT, Exists, OuterRef, Q, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete

from ..db import clock
from ..models import Video
from ..models.used_key import forget_old_keys
from .deletion import Deleted, delete_each, over, survey

__all__ = ["BATCH", "count", "prune", "prune_all"]

logger = logging.getLogger(__name__)

BATCH = 500
"""How many videos are looked at by one sweep, and deleted in one transaction."""
EARLIEST = datetime(2, 1, 1, tzinfo=timezone.utc)
"""A row that claims to have ended before then is broken, and is left to a person."""
REST = 3600.0
"""Seconds for which the sweeps of a process do not try again a video that could not be deleted."""
RESTING = 10_000
"""How many such videos a process remembers."""

_Place = tuple[datetime, Any]

_place: _Place | None = None
"""Where this process's sweeps go on: after the last video that was looked at."""
_resting: dict[Any, float] = {}
"""The videos that could not be deleted, and until when they are not tried again."""


def prune(age: float) -> Deleted:
    """Delete up to `BATCH` videos that ended more than `age` seconds ago, the oldest first.

    The next call goes on behind the videos that this one has looked at. So videos that cannot be
    deleted hold up no others, however many they are. After the last one it starts anew.
    """
    global _place
    forget_old_keys(BATCH)
    videos, _place = _batch(age, _place)
    deleted = delete_each([video for video in videos if not _rests(video.pk)])
    for refusal in deleted.refused[:RESTING]:
        _resting[refusal.video.pk] = time.monotonic() + REST
    while len(_resting) > RESTING:
        del _resting[next(iter(_resting))]
    return _logged(deleted)


def _rests(key: Any) -> bool:
    if _resting.get(key, 0.0) > time.monotonic():
        return True
    _resting.pop(key, None)
    return False


def prune_all(age: float) -> Deleted:
    """Delete all videos that ended more than `age` seconds ago, in batches."""
    forget_old_keys(BATCH)
    return _logged(_all(age, delete_each))


def count(age: float) -> Deleted:
    """Return what `prune_all` would delete, and delete nothing."""
    return _all(age, survey)


def _all(age: float, act: Callable[[Sequence[Video]], Deleted]) -> Deleted:
    videos, place = _batch(age, None)
    deleted = act(videos)
    while place is not None:
        videos, place = _batch(age, place)
        deleted.add(act(videos))
    return deleted


def _batch(age: float, place: _Place | None) -> tuple[list[Video], _Place | None]:
    """Return the oldest videos behind a place, and the place behind them unless all was seen."""
    rows = _old(age).order_by("finished_at", "pk").only("pk", "finished_at")
    if place is not None:
        ended, key = place
        rows = rows.filter(Q(finished_at__gt=ended) | Q(finished_at=ended, pk__gt=key))
    videos = list(rows[:BATCH])
    if len(videos) < BATCH or videos[-1].finished_at is None:
        return videos, None
    return videos, (videos[-1].finished_at, videos[-1].pk)


def _old(age: float) -> QuerySet[Video]:
    """Return the videos that ended more than `age` seconds ago and that no row protects."""
    rows = over().filter(finished_at__lt=clock.after(-age), finished_at__gte=EARLIEST)
    return rows.filter(*(~Exists(refs) for refs in _protecting(rows.db)))


def _protecting(
    using: str, model: Any = Video, path: str = "", target: str = ""
) -> Iterator[QuerySet[Any]]:
    """Return the rows that keep a video from being deleted, of each model that has such rows.

    They protect the video itself, or a row that would go with it. Videos with such rows are not
    even tried: a project may have any number of them.
    """
    relations: Any = get_candidate_relations_to_delete(model._meta)
    for relation in relations:
        field = relation.field
        lookup = f"{field.name}__{path}" if path else field.name
        key = target or field.target_field.attname
        if relation.on_delete in (PROTECT, RESTRICT):
            rows = field.model._base_manager.using(using)
            yield rows.filter(**{lookup: OuterRef(key)})
        # Three steps are enough for most projects; rows further away are found by trying.
        elif relation.on_delete is CASCADE and "__" not in path:
            yield from _protecting(using, field.model, lookup, key)


def _logged(deleted: Deleted) -> Deleted:
    if deleted.along:
        told = ", ".join(f"{n} {label}" for label, n in deleted.counts().items())
        logger.info("Pruned %s videos, and with them %s", len(deleted.videos), told)
    return deleted
