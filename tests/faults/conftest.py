"""Flights, and the table at the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import SiteFactory
from tests.faults.flight import SLOW, Flight
from tests.faults.table import pytest_terminal_summary
from tests.harness.site import Site

__all__ = ["pytest_terminal_summary"]

NewFlight = Callable[..., Flight]


@pytest.fixture
def new_flight(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> NewFlight:
    """Make the videos of this test: `new_flight(site, count)`."""
    scenario = request.node.name.removeprefix("test_")
    return lambda site, count=8: Flight(site, scenario, count, record_property)


@pytest.fixture(scope="module")
def shared_site(new_shared_site: SiteFactory) -> Site:
    """A site on Redis and PostgreSQL with a prefork worker, for faults that leave it whole."""
    site = new_shared_site(
        speed=SLOW,
        env={"TEST_INSTALLED_APPS": '["tests.faults.app.FaultsConfig"]'},
        results_in="none",
    )
    site.worker()
    return site
