"""Brokers that lose and repeat messages, and queues that are deep."""

from __future__ import annotations

from tests.faults import orders
from tests.faults.conftest import NewFlight, NewPlace
from tests.faults.places import PLACES, everywhere


@everywhere("redis", "rabbitmq")
def test_a_wiped_broker(new_place: NewPlace, new_flight: NewFlight, place: str) -> None:
    site = new_place(place)
    site.worker()
    flight = new_flight(site).climb()
    site.broker.wipe()
    flight.land()


@everywhere("rabbitmq")
def test_messages_twice_at_once_and_much_later(
    new_place: NewPlace, new_flight: NewFlight, place: str
) -> None:
    site = new_place(place)
    flight = new_flight(site).take_off()
    messages = site.broker.take_all()
    assert len(messages) == len(flight.tags)
    site.broker.give_back(messages)
    site.broker.give_back(messages)
    site.worker()
    site.wait_until(flight.is_up, 60, "all videos are in flight")
    site.broker.give_back(messages)
    flight.land()
    # And again, after the canvas has gone on.
    site.broker.give_back(messages)
    site.wait_until(lambda: not site.broker.depth(), 30, "the copies are consumed")
    flight.land()


@everywhere("redis")
def test_a_deep_queue_while_sweeps_run(
    new_place: NewPlace, new_flight: NewFlight, place: str
) -> None:
    site = new_place(place)
    site.worker()
    flight = new_flight(site).climb()
    site.call(orders.fill_queue, 30, 0.5)
    site.simulator.app.advance(600)
    site.events.wait(30, 60, event="task", name="slow-end")
    assert site.broker.depth() < 100, "sweeps do not lengthen the queue without end"
    flight.land()


# The embedded broker has no broadcast, which is how workers learn what is revoked.
@everywhere("redis", of=tuple(p for p in PLACES if p != "embedded"))
def test_a_revoked_task_stays_dropped(
    new_place: NewPlace, new_flight: NewFlight, place: str
) -> None:
    site = new_place(place)
    site.worker()
    flight = new_flight(site, 3).climb()
    site.call(orders.revoke, flight.celery_ids[0])
    flight.tags, dropped = flight.tags[1:], flight.tags[0]
    site.simulator.app.advance(600)
    site.events.wait(2, 30, event="task", name="keep")
    site.wait_until(lambda: not any(site.call(orders.left).values()), 30, "rows are settled")
    assert site.events.count(event="task", tag=dropped) == 0
    assert site.events.count(event="errback", tag=dropped) == 0
    assert site.events.count(event="signal", name="video_completed") == 3


@everywhere("redis")
def test_an_expired_canvas_buys_nothing(
    new_place: NewPlace, new_flight: NewFlight, place: str
) -> None:
    """Its time is over before a worker comes; one that has begun is not held to its time."""
    site = new_place(place)
    site.call(orders.expiring, "expired", 0.5)
    site.wait_until(lambda: site.call(orders.seconds_pass, 0.6), 10)
    site.worker()
    flight = new_flight(site, 2).climb(orders.expiring_soon)
    site.wait_until(lambda: site.call(orders.seconds_pass, 5.5), 20)
    flight.land()
    assert site.events.count(tag="expired") == 0
