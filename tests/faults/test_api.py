"""The API answers with anything but videos for a while."""

from __future__ import annotations

import pytest

from tests.faults.conftest import NewFlight
from tests.faults.flight import LIMIT
from tests.harness.site import Site

FAULTS = ("http_503", "reset", "trickle", "rate_limited_retry_after=2", "key_refused", "html")
COOL_DOWN = 4.0
"""Seconds that the API asks for, and that one probe of the key takes, on top of the limit."""


@pytest.mark.parametrize("fault", FAULTS)
def test_an_api_that_answers(shared_site: Site, new_flight: NewFlight, fault: str) -> None:
    flight = new_flight(shared_site, 5).climb()
    app = shared_site.simulator.app
    asked = len(app.requests)
    trouble = app.fault(fault, routes=["retrieve"])
    shared_site.wait_until(lambda: len(app.requests) >= asked + 3, 20, "it answered so")
    app.clear(trouble)
    flight.land(within=LIMIT + COOL_DOWN)


pytestmark = pytest.mark.full
