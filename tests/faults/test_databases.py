"""Databases that are away, locked, or lose a race for a while."""

from __future__ import annotations

import sqlite3
from urllib.parse import urlsplit

import pytest

from tests.conftest import SiteFactory, matrix
from tests.faults import trouble
from tests.faults.conftest import NewFlight, NewPlace
from tests.faults.flight import SLOW

SERVERS = ("postgres", "mariadb")


@pytest.mark.parametrize("database", matrix(("postgres",), SERVERS))
def test_a_database_that_is_away(
    new_site: SiteFactory, new_flight: NewFlight, database: str
) -> None:
    site = new_site(database=database, speed=SLOW, results_in="none", proxied=["database"])
    site.worker()
    flight = new_flight(site).climb()
    site.proxies["database"].cut()
    site.wait_until(lambda: site.logs(400).count("database is away") > 5, 30, "it is noticed")
    site.proxies["database"].restore()
    flight.land()


@pytest.mark.parametrize("database", matrix(("postgres",), SERVERS))
def test_a_database_that_is_away_when_a_video_is_bought(
    new_site: SiteFactory, new_flight: NewFlight, database: str
) -> None:
    """The reply is money: the process that has it waits for the database."""
    site = new_site(database=database, speed=SLOW, results_in="none", proxied=["database"])
    site.worker(concurrency=4)
    app = site.simulator.app
    late = app.fault("late=1", routes=["create"])
    flight = new_flight(site, 4).take_off()
    site.wait_until(lambda: app.counts["create"] == 4, 30, "the POSTs are out")
    site.proxies["database"].cut()
    site.wait_until(lambda: site.logs(400).count("A write is tried again") > 5, 30, "replies wait")
    app.clear(late)
    site.proxies["database"].restore()
    flight.land()


def test_an_sqlite_that_is_locked(new_place: NewPlace, new_flight: NewFlight) -> None:
    site = new_place("embedded")
    site.worker(concurrency=1)
    flight = new_flight(site, 4).climb()
    app = site.simulator.app
    late = app.fault("late=1", routes=["retrieve"])
    asked, answered = app.counts["retrieve"], app.counts["retrieve 200"]
    site.wait_until(lambda: app.counts["retrieve"] > asked, 30, "a poll is under way")
    connection = sqlite3.connect(urlsplit(site.database.url).path[1:], isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    site.wait_until(lambda: app.counts["retrieve 200"] > answered, 30, "it has an answer to write")
    connection.execute("ROLLBACK")
    connection.close()
    app.clear(late)
    flight.land()


@pytest.mark.parametrize("kind", trouble.KINDS)
@pytest.mark.parametrize("database", matrix(("postgres",), SERVERS))
def test_a_step_that_fails_with(
    new_site: SiteFactory, new_flight: NewFlight, database: str, kind: str
) -> None:
    """Every third statement that changes a row fails, on the server, for a while."""
    site = new_site(database=database, speed=SLOW, results_in="none")
    site.worker()
    flight = new_flight(site)
    with trouble.caused(site.database, kind) as failures:
        flight.take_off()
        site.wait_until(lambda: failures() >= 20, 60, "steps fail")
    site.wait_until(flight.is_up, 60, "all videos are in flight")
    with trouble.caused(site.database, kind) as failures:
        site.simulator.app.advance(600)
        site.wait_until(lambda: failures() >= 10, 60, "ends fail")
    flight.land()


@pytest.mark.parametrize("level", matrix(("serializable",), ("repeatable read", "serializable")))
def test_isolation(new_site: SiteFactory, new_flight: NewFlight, level: str) -> None:
    """The server refuses what a stricter isolation does not allow; each refusal is a lost race."""
    site = new_site(speed=SLOW, results_in="none")
    options = f"-c default_transaction_isolation={level.replace(' ', chr(92) + ' ')}"
    site.worker(concurrency=4, env={"PGOPTIONS": options})
    flight = new_flight(site, 12).climb()
    site.broker.wipe()
    flight.land()
