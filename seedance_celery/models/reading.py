"""Reading the rows of a page, of which one may hold what cannot be read.

A driver raises for a date outside the calendar of Python, a JSON column for text that is nested
too deep. Django then reads none of the rows. Here such a row is read without its broken columns.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import InterfaceError, OperationalError, ProgrammingError, connections
from django.db.models import QuerySet

from ..db.once import warn_once
from ..db.row_errors import error_code
from .video import Video

__all__ = ["is_away", "read"]

logger = logging.getLogger(__name__)

RAISED = "P0001"
"""What PostgreSQL calls an error that a trigger raises, if the trigger says nothing else."""


def is_away(error: Exception, using: str) -> bool:
    """Tell whether an error is the whole database's, and not that of one row or statement."""
    if isinstance(error, InterfaceError):
        return True
    if isinstance(error, ProgrammingError):
        # A table that is missing is missing for all rows; a trigger that raises is about one.
        return error_code(error) != RAISED
    return isinstance(error, OperationalError) and not connections[using].is_usable()


def read(rows: QuerySet[Video]) -> list[Video]:
    """Return videos in order; what cannot be read of one is None there, and named in a warning."""
    try:
        return list(rows)
    except Exception as error:
        if is_away(error, rows.db):
            raise
    keys = list(rows.values_list("pk", flat=True))
    each = rows.all()
    each.query.clear_limits()
    found = (_read_one(each.filter(pk=key), key) for key in keys)
    return [video for video in found if video is not None]


def _read_one(row: QuerySet[Video], key: Any) -> Video | None:
    try:
        return row.first()
    except Exception as error:
        if is_away(error, row.db):
            raise
    broken = [
        field.attname for field in Video._meta.concrete_fields if not _is_readable(row, field)
    ]
    message = "Of video %s these columns cannot be read: %s"
    warn_once(logger, ("reading", key, *broken), message, key, ", ".join(broken) or "all")
    video = row.defer(*broken).first() if broken else None
    if video is not None:
        # Looked up without the database: these would be read again, and raise again.
        vars(video).update(dict.fromkeys(broken))
    return video


def _is_readable(row: QuerySet[Video], field: Any) -> bool:
    deferred, is_deferred = row.query.deferred_loading
    if is_deferred and field.name in deferred:
        return True
    try:
        list(row.values_list(field.attname, flat=True))
    except Exception as error:
        if is_away(error, row.db):
            raise
        return False
    return True
