"""Which rows of videos may be deleted, and what is deleted together with them.

The sweep (`PRUNE_AFTER`), the command `seedance_sweep` and the admin's pages all delete videos
through this module. A video's row may go once the video has ended, its end was announced and no
task needs the row any more. The project's own rows that point at a video are treated as Django
treats them, by their `on_delete`.

Several videos are deleted in one transaction. If one of them cannot be deleted, they are halved
until that one stands alone: it stays, and all the others go.
"""

from __future__ import annotations

import inspect
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.db import models, router
from django.db.models import DO_NOTHING, Q, QuerySet
from django.db.models.deletion import (
    Collector,
    ProtectedError,
    RestrictedError,
    get_candidate_relations_to_delete,
)

from ..db import clock, locks
from ..db.once import warn_once
from ..db.row_errors import is_lost_race
from ..models import KeptTask, Video
from ..models.reading import is_away, read

__all__ = [
    *("Deleted", "ForbiddenError", "MayNot", "Refusal", "Rows", "along", "delete"),
    *("delete_each", "is_over", "named", "over", "survey"),
]

logger = logging.getLogger(__name__)

MEMORY = timedelta(days=7)
"""How long a finished task is remembered: a broker may still deliver a copy of it."""
NAMED = 10
"""How many rows of a model are named where the others are only counted."""

_LARGE = ("raw", "create_reply", "history", "metadata", "prompt")
_FORCED: dict[str, Any] = (
    {"force_collection": True}
    if "force_collection" in inspect.signature(Collector.__init__).parameters
    else {}
)
"""Since Django 6.1 the database itself may cascade (`DB_CASCADE`); those rows are named, too."""

MayNot = Callable[[Collector], Iterable[str]]
"""Returns the names of the models whose rows the person who asks may not delete."""


class ForbiddenError(Exception):
    """The person who asks may not delete rows that would be deleted together with a video."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(", ".join(sorted(names)))


class Refusal:
    """Why one video cannot be deleted."""

    def __init__(self, video: Video, error: Exception) -> None:
        self.video = video
        self.is_forbidden = isinstance(error, ForbiddenError)
        """Whether the video stays because the person may not delete what goes with it."""
        self.is_protected = isinstance(error, (ProtectedError, RestrictedError))
        """Whether the video stays because rows refer to it."""
        self.by = ", ".join(_obstacles(error))
        """The rows that refer to it, or the kinds of rows that may not be deleted."""


class Deleted:
    """What was deleted, or would be: the videos and the project's rows that go with them."""

    def __init__(self, keys: Iterable[Any] = ()) -> None:
        self.videos = list(keys)
        """The primary keys of the videos."""
        self.along: Counter[type[models.Model]] = Counter()
        """How many rows of the project's go along, by model."""
        self.named: defaultdict[type[models.Model], list[str]] = defaultdict(list)
        """The first of these rows, by name."""
        self.refused: list[Refusal] = []
        """The videos that stay, and why."""

    def add(self, other: Deleted) -> None:
        """Add what was deleted with other videos."""
        self.videos += other.videos
        self.refused += other.refused
        for model, n in other.along.items():
            self.count(model, n, other.named[model])

    def count(self, model: type[models.Model], n: int, names: Iterable[str]) -> None:
        """Add rows of a model that go along, the first of them by name."""
        self.along[model] += n
        self.named[model] = [*self.named[model], *names][:NAMED]

    def counts(self) -> dict[str, int]:
        """Return the number of rows that go along by the label of their model."""
        return dict(sorted((model._meta.label_lower, n) for model, n in self.along.items()))


def is_over(video: Video) -> bool:
    """Tell whether nothing needs the row of a video any more.

    A task that waited within the last week still needs it: a broker may deliver a copy of it.
    """
    return over().filter(pk=video.pk).exists()


def over() -> QuerySet[Video]:
    """Return the videos whose rows nothing needs any more."""
    recent = Q(finished_at__gte=clock.after(-MEMORY.total_seconds()))
    needing = KeptTask.objects.primary().filter(Q(finished_at__isnull=True) | recent)
    ended = Video.objects.primary().filter(
        finished_at__isnull=False, overdue_at__isnull=True, announced_at__isnull=False
    )
    return ended.exclude(pk__in=needing.values("video"))


# Several videos at once.


def delete(videos: Sequence[Video], *, may_not: MayNot | None = None) -> Deleted:
    """Delete videos with all that goes along, in one transaction.

    Left out are videos that something needs (again), and those that someone has locked. Raises
    what keeps one from being deleted: `ProtectedError` and `RestrictedError` as Django does,
    `ForbiddenError` if `may_not` names a model, and whatever the database or a receiver raises.
    """
    using = router.db_for_write(Video)
    with locks.short(using):
        rows = _locked(videos, using)
        collector = _collected(rows, using, may_not)
        deleted = _told(rows, collector)
        tasks = KeptTask.objects.using(using).filter(video__in=deleted.videos)
        tasks.filter(finished_at__isnull=False).delete()
        collector.delete()
        _check_references(deleted.videos, using)
    return deleted


def delete_each(videos: Sequence[Video], *, may_not: MayNot | None = None) -> Deleted:
    """Delete videos as `delete` does; one that cannot be deleted keeps none of the others."""
    return _each(videos, lambda some: delete(some, may_not=may_not))


def survey(videos: Sequence[Video], *, may_not: MayNot | None = None) -> Deleted:
    """Return what `delete_each` would delete, and delete nothing."""

    def look(some: Sequence[Video]) -> Deleted:
        rows = read(over().filter(pk__in=[video.pk for video in some]).defer(*_LARGE))
        return _told(rows, _collected(rows, router.db_for_write(Video), may_not))

    return _each(videos, look)


def _locked(videos: Sequence[Video], using: str) -> list[Video]:
    """Lock the rows of videos that nobody else has locked, and return those that may go."""
    rows = Video.objects.using(using).filter(pk__in=[video.pk for video in videos]).order_by("pk")
    keys = list(locks.skipping(rows, to_delete=True).values_list("pk", flat=True))
    # Only a statement that begins now sees what was committed before the locks were taken.
    return read(over().filter(pk__in=keys).defer(*_LARGE))


def _collected(rows: list[Video], using: str, may_not: MayNot | None) -> Collector:
    origin = Video.objects.using(using).filter(pk__in=[row.pk for row in rows])
    collector = Collector(using, origin, **_FORCED)
    collector.collect(rows)
    names = set(may_not(collector)) if may_not is not None else set()
    if names:
        raise ForbiddenError(names)
    return collector


Rows = list[Any] | QuerySet[Any]


def along(collector: Collector) -> Iterator[tuple[type[models.Model], Rows]]:
    """Return the project's rows that would be deleted together with videos, by model.

    Rows that Django does not read for it are given as a queryset, which counts and slices.
    """
    found: list[tuple[Any, Any]] = [(model, list(rows)) for model, rows in collector.data.items()]
    found += [(queryset.model, queryset.order_by("pk")) for queryset in collector.fast_deletes]
    yield from ((model, rows) for model, rows in found if model not in (Video, KeptTask))


def _told(rows: list[Video], collector: Collector) -> Deleted:
    told = Deleted(row.pk for row in rows)
    for model, found in along(collector):
        n = len(found) if isinstance(found, list) else found.count()
        if n:
            told.count(model, n, map(named, found[:NAMED]))
    return told


def _check_references(keys: Sequence[Any], using: str) -> None:
    """Raise `ProtectedError` if rows with `DO_NOTHING` point at videos that are gone.

    The database would refuse that at the end of the transaction, which may be the caller's.
    """
    relations: Any = get_candidate_relations_to_delete(Video._meta)  # type: ignore[arg-type]
    for relation in relations:
        field = relation.field
        if relation.on_delete is DO_NOTHING and field.db_constraint:
            rows = field.model._base_manager.using(using)
            left = list(rows.filter(**{f"{field.attname}__in": keys})[:NAMED])
            if left:
                raise ProtectedError("Rows with DO_NOTHING still refer to a video.", set(left))


# A video that cannot be deleted costs itself alone.


def _each(videos: Sequence[Video], act: Callable[[Sequence[Video]], Deleted]) -> Deleted:
    if not videos:
        return Deleted()
    try:
        return act(videos)
    except Exception as error:
        if is_away(error, router.db_for_write(Video)):
            raise
        if len(videos) == 1:
            return _refused(videos[0], error)
    middle = len(videos) // 2
    done = _each(videos[:middle], act)
    done.add(_each(videos[middle:], act))
    return done


def _refused(video: Video, error: Exception) -> Deleted:
    refusal = Refusal(video, error)
    if not (refusal.is_forbidden or refusal.is_protected or is_lost_race(error)):
        kind = type(error).__name__
        message = "Video %s cannot be deleted (%s) and is passed over"
        warn_once(logger, ("deletion", video.pk, kind), message, video.pk, kind)
    deleted = Deleted()
    deleted.refused.append(refusal)
    return deleted


def _obstacles(error: Exception) -> list[str]:
    if isinstance(error, ProtectedError):
        rows = list(error.protected_objects)
    elif isinstance(error, RestrictedError):
        rows = list(error.restricted_objects)
    else:
        return [str(error) if isinstance(error, ForbiddenError) else type(error).__name__]
    names = sorted(map(named, rows[:NAMED]))
    return [*names, "…"] if len(rows) > NAMED else names


def named(row: Any) -> str:
    """Return what a row is called. The `__str__` of the project's model may raise anything."""
    kind = row._meta.verbose_name
    try:
        return f"{kind} {row}"
    except Exception:  # noqa: BLE001
        return f"{kind} {row.pk}"
