"""Times that the database writes: they are found and ordered as those that Python writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from seedance_celery.db import clock
from seedance_celery.models import AccountState
from tests.harness.databases import Database


@pytest.mark.parametrize("written", [clock.now, lambda: clock.after(5)], ids=["now", "after"])
def test_a_time_that_was_read_is_that_which_was_written(
    database: Database, written: Callable[[], Any]
) -> None:
    for _ in range(20):
        AccountState.objects.update_or_create(name="a", defaults={"hold_until": written()})
        read = AccountState.objects.get().hold_until
        assert AccountState.objects.filter(hold_until=read).exists()
        assert not AccountState.objects.filter(hold_until__lt=read).exists()
        assert not AccountState.objects.filter(hold_until__gt=read).exists()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("fraction", "stored"), [(".000", ""), (".120", ".120000"), (".007", ".007000")]
)
def test_sqlite_stores_a_time_as_django_does(
    database: Database, fraction: str, stored: str
) -> None:
    moment = "2026-01-01 10:00:00"
    sql, _ = AccountState.objects.annotate(at=clock.now()).values("at").query.sql_with_params()
    expression = sql.partition("SELECT ")[2].partition(" AS ")[0]
    assert "'NOW'" in expression
    expression = expression.replace("%%", "%").replace("'NOW'", f"'{moment}{fraction}'")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression}")
        assert cursor.fetchone() == (moment + stored,)
