"""What a database's error is about: the database itself, or one row.

A database that is away is away for all rows, and whoever meets that comes back later. A row that
it refuses (a value out of range, a CHECK, a trigger that raises) costs itself alone: the others are
handled, and the log names the one. Such a row cannot remember that it failed, so only the log does.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Hashable, Iterator

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction

__all__ = [
    "RowLockedError",
    "alone",
    "error_code",
    "is_about_row",
    "is_lock",
    "is_lost_race",
    "savepoint",
    "tell",
]

logger = logging.getLogger(__name__)

AGAIN = 600.0
"""Seconds after which a row that still fails is told of again."""
MOST_TOLD = 10_000
"""How many rows are remembered as told of."""

# MySQL's client libraries call every error that they do not know operational: a trigger's SIGNAL
# (1644), a CHECK (3819, 4025), an expression out of range (1690). These are about the server.
# https://mariadb.com/kb/en/mariadb-error-codes/
_SERVER_ERRORS = frozenset(
    {
        *(1020, 1021, 1037, 1038, 1040, 1041, 1042, 1043, 1044, 1045, 1047, 1049, 1053, 1114),
        *(1129, 1130, 1142, 1143, 1152, 1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161),
        *(1184, 1203, 1205, 1206, 1213, 1226, 1290, 1317, 1568, 1792, 1836, 1927, 1969, 3024),
        *(3572, 4031),
    }
)
_CLIENT_ERRORS = range(2000, 3000)

_LOCKS = {"55P03", 1205, 3572}
_LOST_RACES = {"40001", "40P01", 1020, 1213}


class RowLockedError(OperationalError):
    """Somebody has locked the row: nothing has happened to it, and it can be tried later."""


def error_code(error: BaseException) -> str | int | None:
    """Return PostgreSQL's SQLSTATE, or the number of MariaDB and MySQL."""
    if error.args and isinstance(error.args[0], int):
        return error.args[0]
    cause = error.__cause__ or error
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def is_lock(error: BaseException) -> bool:
    """Tell whether a statement failed because somebody has locked the row."""
    return error_code(error) in _LOCKS


def is_lost_race(error: BaseException) -> bool:
    """Tell whether a statement failed because others were at the row at the same time."""
    return isinstance(error, RowLockedError) or is_lock(error) or error_code(error) in _LOST_RACES


def is_about_row(error: BaseException) -> bool:
    """Tell whether an error is about the row, and would not meet another one."""
    if isinstance(error, InterfaceError):
        return False
    if not isinstance(error, OperationalError):
        # SQLite's driver raises Python's own error for a number that is too large.
        return isinstance(error, (DatabaseError, OverflowError, ValueError))
    code = error_code(error)
    return isinstance(code, int) and code not in _SERVER_ERRORS and code not in _CLIENT_ERRORS


@contextlib.contextmanager
def alone(name: str, using: str, mark: Hashable = None) -> Iterator[None]:
    """Let what goes wrong with one row end this block, and nothing after it.

    Raises what tells that the database is away. `name` is for the log, and holds the row's id;
    `mark` tells rows of one name apart.
    """
    try:
        with savepoint(using):
            yield
    except (OperationalError, InterfaceError) as error:
        if is_about_row(error):
            tell(name, error, mark)
        elif is_lost_race(error):
            logger.debug("%s is passed over: others are at it (%s)", name, type(error).__name__)
        else:
            raise
    except Exception as error:  # noqa: BLE001  (whatever one row holds is not to stop the others)
        tell(name, error, mark)


def savepoint(using: str) -> contextlib.AbstractContextManager[object]:
    """Let what the block does be undone alone, where it is part of a transaction."""
    # Within a transaction, PostgreSQL takes no statement after one that it refused.
    if connections[using].in_atomic_block:
        return transaction.atomic(using=using)
    return contextlib.nullcontext()


_told: dict[Hashable, float] = {}


def tell(name: str, error: BaseException, mark: Hashable = None) -> None:
    """Log that a row fails: the first time, and then every ten minutes in each process.

    The error's words stay out of it, as they may quote what the row holds.
    """
    now = time.monotonic()
    key = (name, mark, type(error))
    if now - _told.get(key, now - AGAIN) < AGAIN:
        return
    if len(_told) >= MOST_TOLD:
        del _told[next(iter(_told))]
    _told[key] = now
    logger.warning(
        "%s cannot be handled (%s%s), and is passed over: correct its row. The database's log "
        "tells why.",
        name,
        type(error).__name__,
        f" {code}" if (code := error_code(error)) else "",
    )
