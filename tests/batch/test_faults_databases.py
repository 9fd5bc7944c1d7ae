"""`tests/faults/test_databases.py` again, with batch pollers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.conftest import SiteFactory
from tests.faults.conftest import NewFlight
from tests.faults.flight import SLOW
from tests.faults.test_databases import test_a_database_that_is_away

__all__ = ["test_a_database_that_is_away"]

pytestmark = pytest.mark.full


def test_an_sqlite_that_is_locked(new_site: SiteFactory, new_flight: NewFlight) -> None:
    # A poller claims before it asks: the lock must come between the two.
    site = new_site(database="sqlite", broker="sqla", speed=SLOW, results_in="none")
    worker = site.worker(concurrency=1)
    flight = new_flight(site, 4).climb()
    app = site.simulator.app
    late = app.fault("late=1", routes=["retrieve"])
    asked = app.counts["retrieve"]
    site.wait_until(lambda: app.counts["retrieve"] > asked, 30, "a poller waits for an answer")
    path = urlsplit(site.database.url).path[1:]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        site.wait_until(lambda: "the database is away" in worker.log(), 60, "a poller gives up")
        connection.execute("ROLLBACK")
    app.clear(late)
    flight.land()
