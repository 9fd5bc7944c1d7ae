"""Databases that are away or locked for a while."""

from __future__ import annotations

import sqlite3
from urllib.parse import urlsplit

import pytest

from tests.conftest import SiteFactory, matrix
from tests.faults.conftest import NewFlight
from tests.faults.flight import SLOW


@pytest.mark.parametrize("database", matrix(("postgres",), ("postgres", "mariadb")))
def test_a_database_that_is_away(
    new_site: SiteFactory, new_flight: NewFlight, database: str
) -> None:
    site = new_site(database=database, speed=SLOW, results_in="none", proxied=["database"])
    site.worker()
    flight = new_flight(site).climb()
    site.proxies["database"].cut()
    site.wait_until(lambda: site.logs(400).count("database is away") > 5, 15, "it is noticed")
    site.proxies["database"].restore()
    flight.land()


def test_an_sqlite_that_is_locked(new_site: SiteFactory, new_flight: NewFlight) -> None:
    site = new_site(database="sqlite", broker="sqla", speed=SLOW, results_in="none")
    site.worker(concurrency=1)
    flight = new_flight(site, 4).climb()
    connection = sqlite3.connect(urlsplit(site.database.url).path[1:], isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    app = site.simulator.app
    asked = len(app.requests)
    site.wait_until(lambda: len(app.requests) > asked, 15, "a worker has an answer to write")
    connection.execute("ROLLBACK")
    connection.close()
    flight.land()


pytestmark = pytest.mark.full
