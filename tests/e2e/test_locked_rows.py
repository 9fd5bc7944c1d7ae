"""A session that has locked rows and stays idle, beside real workers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from tests.conftest import SiteFactory
from tests.e2e import orders
from tests.harness.databases import Database

RENDERING = 0.02
"""The simulator's speed: the videos end when the test says so."""
AT_ONCE = 5.0
"""Seconds in which a task of the project is run, by a worker that has a free process."""


@contextmanager
def locked(database: Database, *tables: str) -> Iterator[None]:
    """Hold all rows of these tables until the block ends."""
    with contextlib.closing(_session(database)) as session:
        cursor = session.cursor()
        for table in tables:
            cursor.execute(f"SELECT * FROM seedance_celery_{table} FOR UPDATE")
            assert cursor.fetchall()
        yield
        session.rollback()


def _session(database: Database) -> psycopg.Connection | pymysql.Connection:
    if database.kind == "postgres":
        return psycopg.connect(database.url)
    parts = urlsplit(database.url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username or "root",
        password=parts.password or "",
        database=parts.path.strip("/"),
    )


@pytest.mark.parametrize("poller", ["loop", "batch"])
@pytest.mark.parametrize("database", ["postgres", "mariadb"])
def test_an_unrelated_task_runs_at_once_while_rows_are_locked(
    new_site: SiteFactory, database: str, poller: str
) -> None:
    site = new_site(database=database, speed=RENDERING, seedance={"POLLER": poller})
    site.worker(concurrency=3)
    for number in range(4):
        site.call(orders.ours, "A kite", f"held-{number}")
    app = site.simulator.app
    site.wait_until(lambda: len(app.videos) == 4, 30, "all are bought")
    site.wait_until(lambda: app.counts["retrieve"] > 8, 30, "all are polled")
    with locked(site.database, "video", "kepttask", "upkeep"):
        # Long enough for the polls of all, and for some sweeps.
        ends_at = time.monotonic() + 6
        for number in range(1000):
            started = time.monotonic()
            site.call(orders.unrelated, f"unrelated-{number}")
            site.events.wait(1, AT_ONCE, event="task", tag=f"unrelated-{number}")
            assert time.monotonic() - started < AT_ONCE
            if started > ends_at:
                break
    app.advance(6000)
    for number in range(4):
        site.events.wait(1, 60, event="task", tag=f"held-{number}")
    site.wait_until(
        lambda: site.call(orders.unfinished) == {"videos": 0, "tasks": 0}, 60, "all is done"
    )
    assert all(site.events.count(event="task", tag=f"held-{n}") == 1 for n in range(4))
    assert len(app.videos) == 4
