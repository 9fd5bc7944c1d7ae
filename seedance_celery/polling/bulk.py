"""Guarded updates of many videos in few statements, for those who ask for many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, connections, models, transaction

from ..conf import get_settings
from ..db import clock, locks
from ..db.row_errors import is_about_row, is_lost_race, savepoint
from ..models import walk
from ..models.video import Video, VideoQuerySet

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


def claim(account: str, limit: int, lease: float, passed: set[Any] | None = None) -> list[Video]:
    """Take up to so many videos of an account that are due, the longest due first.

    Nobody else asks for them during `lease` seconds; a video that is not written back by then is
    due again. Videos that cannot be taken are left out, and are added to those `passed` over.
    """
    passed = set() if passed is None else passed
    due = Video.objects.primary().polled().filter(account=account, next_poll_at__lte=clock.now())
    found: list[Video] = []
    while len(found) < limit and len(passed) < walk.MOST:
        rows = due.exclude(pk__in=passed) if passed else due
        room = limit - len(found)
        try:
            return found + _claim_together(rows, room, lease)
        except (DatabaseError, OverflowError, ValueError) as error:
            if not (is_about_row(error) or is_lost_race(error)):
                raise
        keys = next(walk.pages(rows, "next_poll_at", room))
        found += _claim_each(keys, lease, passed)
        if len(keys) < room:
            break
    return found


def _claim_together(due: VideoQuerySet, limit: int, lease: float) -> list[Video]:
    rows = due.for_poll().defer(*UNREAD).order_by("next_poll_at")
    can_skip = connections[due.db].features.has_select_for_update_skip_locked
    with transaction.atomic(using=due.db) if can_skip else locks.short(due.db):
        # Where rows cannot be locked (SQLite), nobody else writes before this ends.
        found = list(locks.skipping(rows)[:limit])
        Video.objects.using(due.db).filter(pk__in=[video.pk for video in found]).update(
            poll_token=models.F("poll_token") + 1,
            asked_at=clock.now(),
            next_poll_at=clock.after(lease),
            overdue_at=clock.after(lease + get_settings().resend_after),
        )
    for video in found:
        video.poll_token += 1
    return found


def _claim_each(keys: Sequence[Any], lease: float, passed: set[Any]) -> list[Video]:
    """Take videos one by one: among them is one that the database refuses to change."""
    found = []
    passed.update(keys)
    for video in walk.read(Video.objects.primary().for_poll().defer(*UNREAD), keys):
        until = video.now + timedelta(seconds=lease)
        overdue_at = until + timedelta(seconds=get_settings().resend_after)
        taken = {"asked_at": video.now, "next_poll_at": until, "overdue_at": overdue_at}
        with walk.alone(video), locks.brief(0.0):
            if video.move(Video.POLLED, **taken):
                passed.discard(video.pk)
                found.append(video)
    return found


def move_all(moves: Sequence[Move]) -> list[Video]:
    """Make many updates, each guarded as `Video.move()` is; return the videos that won.

    One that somebody has locked loses, as one that is no longer as it was read. So does one that
    the database refuses: that is told of in the log.
    """
    if not moves:
        return []
    connection = connections[Video.objects.primary().db]
    names = sorted({name for _, changes in moves for name in changes})
    write = _at_once if connection.vendor == "postgresql" else _one_by_one
    try:
        with savepoint(connection.alias):
            won = write(connection, names, moves)
    except (DatabaseError, OverflowError) as error:
        if not (is_about_row(error) or is_lost_race(error)):
            raise
        return _each_alone(moves)
    found = []
    for video, changes in moves:
        if video.pk in won:
            for name, value in {**changes, "poll_token": video.poll_token + 1}.items():
                setattr(video, name, value)
            found.append(video)
    return found


def _each_alone(moves: Sequence[Move]) -> list[Video]:
    found = []
    for video, changes in moves:
        with walk.alone(video), locks.brief(0.0):
            if video.move(Video.POLLED, **changes):
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
        f" WHERE t.id = v.id AND t.poll_token = v.poll_token AND t.status = ANY(%s)"
        f" AND t.id = ANY(ARRAY(SELECT id FROM {quote(Video._meta.db_table)}"
        f" WHERE id = ANY(%s){locks.SKIP}))"
        " RETURNING t.id"
    )
    rows = [
        [video.pk, video.poll_token, *_values(connection, fields, video, changed)]
        for video, changed in moves
    ]
    with connection.cursor() as cursor:
        values = list(map(list, zip(*rows, strict=True)))
        cursor.execute(sql, [*values, list(map(str, Video.POLLED)), values[0]])
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
            params = [*values, key, video.poll_token, *map(str, Video.POLLED)]
            cursor.execute(locks.prefixed(connection, sql), params)
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
