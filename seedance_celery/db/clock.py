"""The database's clock, which is the only clock that decides anything.

A worker whose own clock is wrong therefore changes nothing. Times go into statements as SQL
expressions and come back with a row (`Video.now`). Tests install a clock of their own (see
`seedance_celery.testing`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.functions import Now


class _UtcNow(Now):
    # CURRENT_TIMESTAMP of MySQL and MariaDB is in the session's time zone, which Django never sets.
    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        template = "UTC_TIMESTAMP(6)" if connection.timezone_name == "UTC" else None
        if template is None:
            return super().as_mysql(compiler, connection, **context)
        return self.as_sql(compiler, connection, template=template, **context)

    # SQLite keeps times as text and compares them as text. This text must therefore have the form
    # in which Django writes a datetime: with six digits of a second, or with none.
    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        template = (
            "REPLACE(STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f000', 'NOW'), '.000000', '')"
        )
        return self.as_sql(compiler, connection, template=template, **context)


class Clock:
    """The database's clock, and the process's sleep."""

    def now(self) -> Any:
        """Return the time as an expression."""
        return _UtcNow()

    def after(self, seconds: float) -> Any:
        """Return the time `seconds` from now, or ago if they are negative, as an expression."""
        then = _UtcNow() + timedelta(seconds=seconds)
        return ExpressionWrapper(then, output_field=DateTimeField())

    def sleep(self, seconds: float) -> None:
        """Wait in this process."""
        time.sleep(seconds)


_clock = Clock()


def now() -> Any:
    """Return the time as an expression."""
    return _clock.now()


def after(seconds: float) -> Any:
    """Return the time `seconds` from now, or ago if they are negative, as an expression."""
    return _clock.after(seconds)


def sleep(seconds: float) -> None:
    """Wait in this process. Use it only if there is no broker that a message could wait in."""
    _clock.sleep(max(0.0, seconds))


def is_real() -> bool:
    """Tell whether the database's own clock is in use, and not a test's."""
    return type(_clock) is Clock


@contextlib.contextmanager
def installed(clock: Clock) -> Iterator[Clock]:
    """Use another clock in this process until the block ends, for a test."""
    global _clock
    previous, _clock = _clock, clock
    try:
        yield clock
    finally:
        _clock = previous
