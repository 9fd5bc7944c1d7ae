"""A child that is killed at each moment of a completed video's end."""

from __future__ import annotations

import pytest

from tests.faults.conftest import NewFlight
from tests.harness.site import Site

POLL = "seedance_celery.tasks.poll_video"
# How many of the videos a documented window allows twice, for each point.
POINTS = {
    "sql.ended": 0,
    "video_completed": 1,
    "video_finished": 1,
    "sql.announced": 0,
    f"publish.before.{POLL}": 0,
    f"publish.after.{POLL}": 0,
    f"task.{POLL}": 0,
    "publish.before.tests.keep": 0,
    "publish.after.tests.keep": 1,
    "sql.published": 0,
}


@pytest.mark.parametrize("point", POINTS)
def test_a_child_killed_at(shared_site: Site, new_flight: NewFlight, point: str) -> None:
    flight = new_flight(shared_site, 4).climb()
    killed = shared_site.events.count(event="trap", name=point)
    shared_site.trap(point, "kill")
    flight.land(twice=POINTS[point])
    assert shared_site.events.count(event="trap", name=point) == killed + 1


def test_a_child_killed_while_it_asks(shared_site: Site, new_flight: NewFlight) -> None:
    flight = new_flight(shared_site, 4).climb()
    app = shared_site.simulator.app
    hang = app.fault("hang", routes=["retrieve"])
    asked = len(app.requests)
    shared_site.wait_until(lambda: len(app.requests) > asked + 1, 30, "children wait for the API")
    (worker,) = shared_site.workers
    assert worker.kill_children_at_work()
    app.clear(hang)
    flight.land()
