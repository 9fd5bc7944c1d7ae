"""A broker that cannot be reached, at each moment at which something is sent."""

from __future__ import annotations

from tests.faults import orders
from tests.faults.conftest import NewFlight
from tests.faults.flight import LIMIT
from tests.harness.site import Site

UNSENT = "waits for the sweep: the broker is away"
UNPUBLISHED = "goes on later: the broker is away"
LOST = "onnection to broker lost"


def said(site: Site, words: str) -> int:
    """Return how often the workers have logged these words, those that have ended included."""
    return sum(path.read_text(errors="replace").count(words) for path in site.folder.glob("w*.log"))


def test_a_view_without_a_broker(cut_site: Site, new_flight: NewFlight) -> None:
    flight = new_flight(cut_site, 3)
    cut_site.proxies["broker"].cut()
    assert cut_site.call(orders.rows, flight.tags) < 10
    cut_site.proxies["broker"].restore()
    cut_site.wait_until(flight.is_up, 2 * LIMIT, "the sweep has sent what the view could not")
    flight.land()


def test_a_retry_without_a_broker(cut_site: Site, new_flight: NewFlight) -> None:
    flight = new_flight(cut_site).climb()
    app = cut_site.simulator.app
    late = app.fault("late=1", routes=["retrieve"])
    asked, before = len(app.requests), said(cut_site, UNSENT)
    cut_site.wait_until(lambda: len(app.requests) > asked, 30, "a poll is under way")
    cut_site.proxies["broker"].cut()
    cut_site.wait_until(lambda: said(cut_site, UNSENT) > before, 30, "it could not be sent")
    app.clear(late)
    cut_site.proxies["broker"].restore()
    flight.land()


def test_a_chain_that_continues_without_a_broker(cut_site: Site, new_flight: NewFlight) -> None:
    flight = new_flight(cut_site, 1).climb()
    cut_site.trap("publish.before.tests.keep", "sleep=1")
    traps, before = cut_site.events.count(event="trap"), said(cut_site, UNPUBLISHED)
    cut_site.simulator.app.advance(600)
    cut_site.events.wait(traps + 1, event="trap")
    cut_site.proxies["broker"].cut()
    cut_site.wait_until(lambda: said(cut_site, UNPUBLISHED) > before, 40, "it could not be sent")
    cut_site.proxies["broker"].restore()
    flight.land()


def test_sweeps_go_on_after_a_worker_reconnects(cut_site: Site, new_flight: NewFlight) -> None:
    before = said(cut_site, LOST)
    cut_site.proxies["broker"].cut()
    cut_site.wait_until(lambda: said(cut_site, LOST) > before, 30, "the worker notices")
    cut_site.proxies["broker"].restore()
    flight = new_flight(cut_site).climb()
    cut_site.broker.wipe()
    flight.land()
