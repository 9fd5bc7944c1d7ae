"""The API answers with anything but videos for a while."""

from __future__ import annotations

import pytest

from tests.faults.conftest import NewFlight
from tests.faults.flight import LIMIT
from tests.harness.site import Site

FAULTS = {
    "unwell": ("http_500", "http_502", "http_503", "http_524", "closed", "reset"),
    "broken-off": ("reset_mid_body", "truncated", "hang", "trickle", "huge_body"),
    "no-api": ("html", "html_403", "garbage", "empty", "redirect", "wrong_content_type"),
    "limits": (
        "rate_limited_retry_after=2",
        "rate_limited_date=2",
        "key_refused",
        "key_forbidden",
        "quota",
    ),
    "unknown": ("task_not_exist", "model_not_found", "invalid_request", "http_404"),
}
COOL_DOWN = 15.0
"""Seconds that the API asks for, and that probing a refused key takes, on top of the limit."""


@pytest.mark.parametrize("kind", FAULTS)
def test_an_api_that_is(shared_site: Site, new_flight: NewFlight, kind: str) -> None:
    flight = new_flight(shared_site, 4).climb()
    app = shared_site.simulator.app
    for fault in FAULTS[kind]:
        trouble = app.fault(fault, routes=["retrieve"])
        asked = app.counts["retrieve"]
        shared_site.wait_until(lambda n=asked: app.counts["retrieve"] > n, 40, f"it met {fault}")
        app.clear(trouble)
    flight.land(within=LIMIT + COOL_DOWN)


def test_an_api_whose_key_is_refused_for_a_while(shared_site: Site, new_flight: NewFlight) -> None:
    """It is said once, however many videos wait for the key."""
    told = shared_site.events.count(event="signal", name="account_refused")
    flight = new_flight(shared_site, 4).climb()
    app = shared_site.simulator.app
    trouble = app.fault("key_refused", routes=["retrieve"])
    asked = app.counts["retrieve"]
    shared_site.wait_until(lambda: app.counts["retrieve"] > asked + 4, 60, "it was refused often")
    app.clear(trouble)
    flight.land(within=LIMIT + COOL_DOWN)
    assert shared_site.events.count(event="signal", name="account_refused") == told + 1
    assert shared_site.events.count(event="signal", name="account_restored") == told + 1
