"""Flights, and the table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import SiteFactory, matrix
from tests.faults import places
from tests.faults.flight import SLOW, Flight
from tests.faults.table import pytest_terminal_summary
from tests.harness.site import Site

__all__ = ["pytest_terminal_summary"]

NewFlight = Callable[..., Flight]
NewPlace = Callable[..., Site]

WATCHED = {"TEST_INSTALLED_APPS": '["tests.faults.app.FaultsConfig"]'}


@pytest.fixture
def new_flight(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> NewFlight:
    """Make the videos of this test: `new_flight(site, count)`."""
    scenario = request.node.name.removeprefix("test_")
    return lambda site, count=6, **more: Flight(site, scenario, count, record_property, **more)


@pytest.fixture
def new_place(new_site: SiteFactory) -> NewPlace:
    """Make a site at a place, whose renders end when the test says so."""

    def make(place: str = "redis", **more: Any) -> Site:
        return new_site(**places.options(place, **{"speed": SLOW, **more}))

    return make


@pytest.fixture(scope="module", params=matrix(("redis",), tuple(places.PLACES)))
def shared_site(request: pytest.FixtureRequest, new_shared_site: SiteFactory) -> Iterator[Site]:
    """A site with a prefork worker, for faults that leave it whole."""
    site = new_shared_site(**places.options(request.param, speed=SLOW, env=WATCHED))
    # Only kombu's SQLAlchemy transport does not outlive every child's end.
    start = site.supervised_worker if request.param == "embedded" else site.worker
    start()
    yield site
    site.close()


@pytest.fixture(scope="module", params=matrix(("redis",), places.SERVERS))
def cut_site(request: pytest.FixtureRequest, new_shared_site: SiteFactory) -> Iterator[Site]:
    """A site with a prefork worker, whose broker can be cut off."""
    site = new_shared_site(**places.options(request.param, speed=SLOW, proxied=["broker"]))
    site.supervised_worker()
    yield site
    site.close()
