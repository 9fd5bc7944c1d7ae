"""A child that is killed at each moment of a failed video's end."""

from __future__ import annotations

import pytest

from tests.faults import orders
from tests.faults.conftest import NewFlight
from tests.harness.site import Site

# How many of the videos a documented window allows twice, for each point.
POINTS = {
    "sql.ended": 0,
    "video_failed": 1,
    "sql.decided": 0,
    "errback": 1,
    "sql.raised": 0,
    "publish.before.tests.old_errback": 0,
    "publish.after.tests.old_errback": 1,
    "sql.published": 0,
}


@pytest.mark.parametrize("point", POINTS)
def test_a_failed_videos_child_killed_at(
    shared_site: Site, new_flight: NewFlight, point: str
) -> None:
    flight = new_flight(shared_site, 4, status="failed").climb(orders.both_errbacks)
    killed = shared_site.events.count(event="trap", name=point)
    shared_site.trap(point, "kill")
    flight.land(twice=POINTS[point])
    assert shared_site.events.count(event="trap", name=point) == killed + 1

    def sent() -> list[int]:
        counts = shared_site.events.counts("tag", name="old_errback")
        return [counts[tag] for tag in flight.tags]

    # They are messages of their own, and may come after the row is settled.
    shared_site.wait_until(lambda: all(sent()), 90, "every errback that is a task has run")
    assert max(sent()) <= 1 + POINTS[point]
