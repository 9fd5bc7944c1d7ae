"""Passing over rows that somebody has locked.

A project may hold a row for as long as it likes: `select_for_update()` in a slow view, a session
that somebody left open. Whatever a worker does with many rows must not stand still meanwhile, and
neither must a poll keep its worker. So such statements do not wait for locks:

* PostgreSQL locks the row in the statement itself, with `SKIP LOCKED`. A session's `lock_timeout`
  would do as well, but behind a connection pooler it would reach other people's statements.
* MariaDB and MySQL do the same for one row. For many, and in versions before `SKIP LOCKED`, they
  wait no longer than the one statement says.
* SQLite locks no rows: there the whole database has one writer at a time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import DatabaseError, connections, models, transaction
from django.db.models.expressions import RawSQL

from .row_errors import RowLockedError, is_lock

__all__ = [
    *(
        "PATIENCE",
        "SKIP",
        "brief",
        "change",
        "patience",
        "patient",
        "prefixed",
        "short",
        "skipping",
        "tried",
    ),
    *("update", "locks_told"),
]

T = TypeVar("T")
M = TypeVar("M", bound=models.Model)

PATIENCE = 0.25
"""Seconds that a poll waits for a row: another process may be at it, which takes milliseconds.
A transaction of the project may hold hundreds of rows, and each of them costs a worker so much."""
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.2

SKIP = " FOR NO KEY UPDATE SKIP LOCKED"
"""How PostgreSQL locks a row that is to be updated, unless somebody has it. A row of the project
that points at it, and is not committed yet, is no obstacle."""


def only_free(connection: Any, find: str) -> str | None:
    """Return a subquery for the key that `find` finds, and for none where its row is locked.

    None where the database has no such thing.
    """
    if not connection.features.has_select_for_update_skip_locked:
        return None
    if connection.vendor == "postgresql":
        return f"({find}{SKIP})"
    if connection.vendor == "mysql":
        # MySQL takes the table that is updated in a subquery that it makes a table of first.
        return f"(SELECT * FROM ({find} LIMIT 1 FOR UPDATE SKIP LOCKED) AS free_row)"  # noqa: S608
    return None


SHORTEST = 0.05
"""Seconds that a statement waits on PostgreSQL where it cannot pass over rows."""


_patience: ContextVar[float | None] = ContextVar("seedance_patience", default=None)


def patience() -> float | None:
    """Return for how many seconds a row's update may wait for a lock; None for as long as needed.

    A view that changes a video, and a create that has a reply to record, wait as long as it takes.
    """
    return _patience.get()


@contextlib.contextmanager
def brief(seconds: float = PATIENCE) -> Iterator[None]:
    """Let updates of videos in the block give up after so many seconds, by `RowLockedError`."""
    before = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(before)


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """Let updates wait again: for code of the project that is called within a `brief()` block."""
    before = _patience.set(None)
    try:
        yield
    finally:
        _patience.reset(before)


def tried(attempt: Callable[[], T], seconds: float) -> T:
    """Return what `attempt` returns, tried for so many seconds while it raises `RowLockedError`."""
    ends_at = time.monotonic() + seconds
    pause = FIRST_PAUSE
    while True:
        try:
            return attempt()
        except RowLockedError:
            left = ends_at - time.monotonic()
            if left <= 0:
                raise
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)


def prefixed(connection: Any, sql: str, seconds: float = 0.0) -> str:
    """Return a statement that waits no longer for a lock, where MariaDB or MySQL is to run it."""
    if connection.vendor != "mysql":
        return sql
    if connection.mysql_is_mariadb:
        return f"SET STATEMENT innodb_lock_wait_timeout={int(seconds)} FOR {sql}"
    verb, _, rest = sql.partition(" ")
    limit = max(1, int(seconds))  # MySQL takes no shorter time
    return f"{verb} /*+ SET_VAR(innodb_lock_wait_timeout={limit}) */ {rest}"


WRITES = ("UPDATE", "DELETE", "INSERT")


@contextlib.contextmanager
def _impatient(connection: Any, seconds: float = 0.0) -> Iterator[None]:
    """Let no statement of the ORM wait longer for a lock in the block, on MariaDB and MySQL."""

    def run(execute: Any, sql: str, *rest: Any) -> Any:
        # MariaDB 10.11 fails where a statement with SKIP LOCKED, which waits for nothing, has the
        # limit as well.
        may_wait = sql.startswith(WRITES) or sql.endswith(" FOR UPDATE")
        return execute(prefixed(connection, sql, seconds) if may_wait else sql, *rest)

    with connection.execute_wrapper(run):
        yield


@contextlib.contextmanager
def locks_told() -> Iterator[None]:
    """Turn the database's error for a row that is locked into `RowLockedError`."""
    try:
        yield
    except DatabaseError as error:
        if is_lock(error) and not isinstance(error, RowLockedError):
            raise RowLockedError(*error.args) from error
        raise


@contextlib.contextmanager
def short(using: str, seconds: float = SHORTEST) -> Iterator[None]:
    """Run the block in a transaction none of whose statements waits longer for a lock.

    Raises `RowLockedError`, and nothing has happened then.
    """
    connection = connections[using]
    with locks_told(), transaction.atomic(using=using):
        if connection.vendor == "mysql":
            with _impatient(connection, seconds):
                yield
        elif connection.vendor == "postgresql":
            with _lock_timeout(connection, seconds):
                yield
        else:
            yield


@contextlib.contextmanager
def _lock_timeout(connection: Any, seconds: float) -> Iterator[None]:
    # For this transaction only. An outer one gets back what it had; after an error, by the
    # rollback to where this block began.
    sql = "SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, true)"
    with connection.cursor() as cursor:
        cursor.execute(sql, [f"{int(seconds * 1000)}ms"])
        before = cursor.fetchone()[0]
    yield
    if len(connection.atomic_blocks) > 1:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])


def skipping(rows: models.QuerySet[M], *, to_delete: bool = False) -> models.QuerySet[M]:
    """Return the rows with those left out that somebody has locked. For a transaction.

    Where the database cannot leave rows out, it takes them all, or raises.
    """
    features = connections[rows.db].features
    skip = bool(features.has_select_for_update_skip_locked)
    no_key = bool(features.has_select_for_no_key_update) and not to_delete
    return rows.select_for_update(skip_locked=skip, no_key=no_key, of=())


def update(rows: models.QuerySet[Any], **changes: Any) -> int:
    """Update rows, and pass over those that somebody has locked; return how many were updated."""
    connection = connections[rows.db]
    if connection.vendor == "postgresql":
        return _free_on_postgres(rows).update(**changes)
    if connection.vendor != "mysql":
        return rows.update(**changes)
    try:
        return _update_at_once(rows, changes)
    except RowLockedError:
        return sum(_update_alone(rows.filter(pk=pk), changes) for pk in _keys(rows))


def _free_on_postgres(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    # In one statement, which Django does not offer outside a transaction.
    found = rows.order_by().values("pk").query
    sql, params = found.get_compiler(using=rows.db).as_sql()
    return rows.filter(pk__in=RawSQL(sql + SKIP, params))  # noqa: S611  (the ORM's own SQL)


def _update_at_once(rows: models.QuerySet[Any], changes: dict[str, Any]) -> int:
    with locks_told(), _impatient(connections[rows.db]):
        return rows.update(**changes)


def _update_alone(rows: models.QuerySet[Any], changes: dict[str, Any]) -> int:
    try:
        return _update_at_once(rows, changes)
    except RowLockedError:
        return 0


def _keys(rows: models.QuerySet[Any]) -> list[Any]:
    return list(rows.values_list("pk", flat=True))


def change(rows: models.QuerySet[Any], seconds: float | None = None, **changes: Any) -> bool:
    """Make a guarded update of one row; return whether the row was as `rows` say.

    Raises `RowLockedError` where it still is, and somebody holds it for longer than so many
    seconds: by default for as long as the block around may wait, and a moment without one.
    """

    def attempt() -> bool:
        if update(rows, **changes):
            return True
        if rows.exists():
            raise RowLockedError("the row is locked by somebody else")
        return False

    if seconds is None:
        seconds = PATIENCE if (wait := patience()) is None else wait
    return tried(attempt, seconds)
