"""Guarded updates of many videos in few statements, for those who ask for many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connections, models, transaction

from ..conf import get_settings
from ..db import clock
from .video import Video

__all__ = ["Move", "claim", "move_all"]

Move = tuple[Video, Mapping[str, Any]]
"""A video as it was claimed, and the columns to change."""

# What asking needs nothing of. It stays unread, and `raw` is large.
UNREAD = (
    *("prompt", "images", "metadata", "raw", "create_reply", "history", "reason", "video_url"),
    *("file", "file_size", "sha256", "size", "store_error", "idempotency_key", "create_key"),
    "order_digest",
    "store_tries",
)


def claim(account: str, limit: int, lease: float) -> list[Video]:
    """Take up to so many videos of an account that are due, the longest due first.

    Nobody else asks for them during `lease` seconds; a video that is not written back by then is
    due again.
    """
    due = Video.objects.primary().polled().filter(account=account, next_poll_at__lte=clock.now())
    features = connections[due.db].features
    rows = due.for_poll().defer(*UNREAD).order_by("next_poll_at")
    with transaction.atomic(using=due.db):
        # Where rows cannot be locked (SQLite), nobody else writes before this ends.
        skip = bool(features.has_select_for_update_skip_locked)
        found = list(rows.select_for_update(skip_locked=skip, of=())[:limit])
        Video.objects.using(due.db).filter(pk__in=[video.pk for video in found]).update(
            poll_token=models.F("poll_token") + 1,
            asked_at=clock.now(),
            next_poll_at=clock.after(lease),
            overdue_at=clock.after(lease + get_settings().resend_after),
        )
    for video in found:
        video.poll_token += 1
    return found


def move_all(moves: Sequence[Move]) -> list[Video]:
    """Make many updates, each guarded as `Video.move()` is; return the videos that won."""
    if not moves:
        return []
    connection = connections[Video.objects.primary().db]
    names = sorted({name for _, changes in moves for name in changes})
    write = _at_once if connection.vendor == "postgresql" else _one_by_one
    won = write(connection, names, moves)
    found = []
    for video, changes in moves:
        if video.pk in won:
            for name, value in {**changes, "poll_token": video.poll_token + 1}.items():
                setattr(video, name, value)
            found.append(video)
    return found


def _at_once(connection: Any, names: Sequence[str], moves: Sequence[Move]) -> set[Any]:
    quote, fields = connection.ops.quote_name, _fields(names)
    columns = [quote(field.column) for field in fields]
    # A column that was not read keeps what it has where a row does not change it.
    changes = ", ".join(
        f"{c} = COALESCE(v.{c}, t.{c})" if f.name in UNREAD else f"{c} = v.{c}"
        for f, c in zip(fields, columns, strict=True)
    )
    keys = _fields(["id", "poll_token"])
    arrays = ", ".join(f"%s::{field.db_type(connection)}[]" for field in [*keys, *fields])
    sql = (
        f"UPDATE {quote(Video._meta.db_table)} AS t SET poll_token = t.poll_token + 1, {changes}"  # noqa: S608
        f" FROM unnest({arrays}) AS v (id, poll_token, {', '.join(columns)})"
        f" WHERE t.id = v.id AND t.poll_token = v.poll_token AND t.status = ANY(%s) RETURNING t.id"
    )
    rows = [
        [video.pk, video.poll_token, *_values(connection, fields, video, changed)]
        for video, changed in moves
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*map(list, zip(*rows, strict=True)), list(map(str, Video.POLLED))])
        return {pk for (pk,) in cursor.fetchall()}


def _one_by_one(connection: Any, names: Sequence[str], moves: Sequence[Move]) -> set[Any]:
    quote = connection.ops.quote_name
    won = set()
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for video, changed in moves:
            fields = _fields(changed)
            changes = "".join(f", {quote(field.column)} = %s" for field in fields)
            sql = (
                f"UPDATE {quote(Video._meta.db_table)} SET poll_token = poll_token + 1{changes}"  # noqa: S608
                " WHERE id = %s AND poll_token = %s AND status IN (%s, %s)"
            )
            values = _values(connection, fields, video, changed)
            key = Video._meta.pk.get_db_prep_value(video.pk, connection)
            cursor.execute(sql, [*values, key, video.poll_token, *map(str, Video.POLLED)])
            if cursor.rowcount:
                won.add(video.pk)
    return won


def _fields(names: Iterable[str]) -> list[Any]:
    return [Video._meta.get_field(name) for name in names]


def _values(
    connection: Any, fields: Sequence[Any], video: Video, changes: Mapping[str, Any]
) -> list[Any]:
    known = vars(video)
    return [
        None if value is None else field.get_db_prep_save(value, connection)
        for field in fields
        for value in [changes.get(field.name, known.get(field.name))]
    ]
