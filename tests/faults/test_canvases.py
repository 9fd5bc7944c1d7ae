"""Every kind of canvas goes on as it was sent, after everything but the database was lost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import SiteFactory
from tests.faults import orders
from tests.faults.flight import SLOW
from tests.faults.places import PLACES, everywhere
from tests.harness.site import Site


def _is_up(site: Site) -> bool:
    return site.call(orders.parked) == site.call(orders.followed) == orders.CANVASES


@everywhere("redis")
def test_every_canvas_goes_on(new_site: SiteFactory, place: str) -> None:
    broker, database = PLACES[place]
    results = "sqlite" if place == "embedded" else "redis"
    site = new_site(broker=broker, database=database, results_in=results, speed=SLOW)
    worker = site.worker()
    wanted: dict[str, Any] = site.call(orders.canvases, ["all"])
    if place == "embedded":
        # This result backend counts no parts. A message of Celery's own, `celery.chord_unlock`,
        # waits for them: the broker loses it, and nobody else knows which parts there are.
        del wanted["all-chord"]
    site.wait_until(lambda: _is_up(site), 60, "all videos are in flight")
    worker.kill()
    site.broker.wipe()
    site.worker()
    site.simulator.app.advance(600)
    site.wait_until(lambda: _ran(site) >= wanted.keys(), 60, "every step has run")
    site.wait_until(lambda: not any(site.call(orders.left).values()), 30, "rows are settled")
    assert site.events.counts("tag", event="task") == wanted
    assert site.simulator.app.charges == orders.CANVASES
    assert site.events.count(event="errback") == 0


def _ran(site: Site) -> set[str]:
    return set(site.events.counts("tag", event="task"))


@pytest.mark.parametrize("results", ["redis"])
def test_the_same_celery_id_with_another_video(new_site: SiteFactory, results: str) -> None:
    """A user's own create ran twice: both videos are followed, the canvas goes on once."""
    site = new_site(results_in=results, speed=SLOW)
    site.worker()
    site.call(orders.one_id_for_two, "one-id")
    site.wait_until(lambda: site.call(orders.followed) == 2, 30, "both are followed")
    site.simulator.app.advance(600)
    site.wait_until(lambda: not any(site.call(orders.left).values()), 30, "rows are settled")
    site.events.wait(1, 30, event="task", tag="one-id")
    assert site.events.count(event="task", tag="one-id") == 1
    assert site.events.count(event="signal", name="video_completed") == 2
