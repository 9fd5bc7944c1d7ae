"""Workers that are killed, stopped and replaced, and workers whose clock is wrong."""

from __future__ import annotations

import pytest

from tests.conftest import matrix
from tests.faults import orders
from tests.faults.conftest import NewFlight, NewPlace
from tests.faults.flight import LIMIT
from tests.faults.places import everywhere


@everywhere("redis")
def test_a_killed_worker(new_place: NewPlace, new_flight: NewFlight, place: str) -> None:
    site = new_place(place)
    worker = site.worker()
    flight = new_flight(site).climb()
    worker.kill()
    site.worker()
    flight.land()


@everywhere("rabbitmq")
def test_a_stopped_worker(new_place: NewPlace, new_flight: NewFlight, place: str) -> None:
    site = new_place(place)
    worker = site.worker()
    flight = new_flight(site).climb()
    second = site.start_worker()
    assert worker.term() == 0
    second.wait_ready()
    flight.land()


@everywhere("redis")
def test_a_deploy(new_place: NewPlace, new_flight: NewFlight, place: str) -> None:
    site = new_place(place, speed=0.5)
    worker = site.worker()
    flight = new_flight(site, 20).take_off()
    for _ in range(3):
        new = site.worker()
        assert worker.term() == 0
        worker = new
    flight.land()


@pytest.mark.parametrize("pool", matrix(("threads", "gevent"), ("threads", "gevent", "solo")))
def test_lost_loops_without_beat(new_place: NewPlace, new_flight: NewFlight, pool: str) -> None:
    site = new_place()
    worker = site.worker(pool=pool)
    flight = new_flight(site).climb()
    worker.kill()
    site.broker.wipe()
    site.worker(pool=pool)
    flight.land()


@everywhere("rabbitmq")
def test_workers_with_wrong_clocks(new_place: NewPlace, new_flight: NewFlight, place: str) -> None:
    """One is five minutes ahead, the other behind: each holds what the other sent too long."""
    site = new_place(place)
    # One after the other: kombu's SQLAlchemy transport fails where two make the queue at once.
    for skew in (300, -300):
        site.worker(skew=skew, concurrency=1)
    flight = new_flight(site, 4).climb()
    assert site.call(orders.deadlines_ahead)
    # What the one behind holds for five minutes, the sweep sends again.
    flight.land(within=2 * LIMIT)
