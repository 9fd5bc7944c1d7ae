"""Walking through many rows of which each is handled alone.

A row that cannot be handled stays as it is, and so stays the first of those that are due. A walk
goes past each row once, by its key, so that no number of such rows holds up the ones behind them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from django.db import models

from ..db import locks, row_errors

__all__ = ["alone", "pages", "read", "update", "walk"]

M = TypeVar("M", bound=models.Model)

PAGE = 500
"""How many keys are read at a time."""
MOST = 10_000
"""How many rows one walk looks at. Databases take a limited number of keys in a statement."""


def walk(rows: models.QuerySet[M], order: str, size: int = PAGE) -> Iterator[M]:
    """Yield rows in an order; one that cannot be read is told of in the log and left out."""
    for keys in pages(rows, order, size):
        yield from read(rows, keys)


def pages(rows: models.QuerySet[Any], order: str, size: int = PAGE) -> Iterator[list[Any]]:
    """Yield the keys of rows in an order, up to so many at a time."""
    seen: list[Any] = []
    ordered = rows.order_by(order, "pk").values_list("pk", flat=True)
    while len(seen) < MOST:
        keys = list(ordered.exclude(pk__in=seen)[:size])
        yield keys
        seen += keys
        if len(keys) < size:
            return


def read(rows: models.QuerySet[M], keys: Sequence[Any]) -> list[M]:
    """Return the rows of these keys that can be read, in the keys' order."""
    if not keys:
        return []
    found: dict[Any, M] = {}
    with _tried(rows.db) as attempt:
        found = rows.in_bulk(keys)
    if attempt.failed:
        # A date that Python cannot hold, for one: the driver then gives none of the rows.
        for key in keys:
            with row_errors.alone(f"{rows.model._meta.object_name} {key}", rows.db):
                found.update(rows.in_bulk([key]))
    return [found[key] for key in keys if key in found]


class _Attempt:
    failed = False


@contextlib.contextmanager
def _tried(using: str) -> Iterator[_Attempt]:
    attempt = _Attempt()
    try:
        with row_errors.savepoint(using):
            yield attempt
    except Exception as error:
        if not row_errors.is_about_row(error):
            raise
        attempt.failed = True


def update(rows: models.QuerySet[Any], **changes: Any) -> None:
    """Update rows, but for those that are locked or that the database refuses to change."""
    with _tried(rows.db) as attempt:
        locks.update(rows, **changes)
    if attempt.failed:
        for row in read(rows, list(rows.values_list("pk", flat=True))):
            with alone(row):
                locks.update(rows.filter(pk=row.pk), **changes)


def alone(row: models.Model) -> contextlib.AbstractContextManager[None]:
    """Let what goes wrong with a row end the block alone; see `row_errors.alone`."""
    # An id is used again in another database, and its times are not.
    mark = tuple(getattr(row, name, None) for name in ("created_at", "due_at", "overdue_at"))
    name = f"{row._meta.object_name} {row.pk} ({str(row)[:100]!r})"
    return row_errors.alone(name, row._state.db or "default", mark)
