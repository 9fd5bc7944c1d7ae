"""A clock that a test moves."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from django.db.models import DateTimeField, Value

from ..db.clock import Clock

__all__ = ["FakeClock"]


class _Moment(Value):
    # MySQL would give a bare parameter back as text.
    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        sql, params = self.as_sql(compiler, connection, **context)
        return f"CAST({sql} AS DATETIME(6))", params


class FakeClock(Clock):
    """Stands still until it is advanced. `time` is an aware datetime, at first the real one."""

    def __init__(self, time: datetime | None = None) -> None:
        self.time = time or datetime.now(timezone.utc)

    def now(self) -> Any:
        """Return the time as an expression."""
        return _Moment(self.time, output_field=DateTimeField())

    def after(self, seconds: float) -> Any:
        """Return the time in so many seconds as an expression."""
        then = self.time + timedelta(seconds=seconds)
        return _Moment(then, output_field=DateTimeField())

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        self.time += timedelta(seconds=seconds)

    def unix(self) -> float:
        """Return the time in Unix seconds: a clock for the simulator."""
        return self.time.timestamp()
