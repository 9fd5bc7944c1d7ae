"""Brokers that lose, repeat or refuse messages."""

from __future__ import annotations

import pytest
import redis

from tests.conftest import SiteFactory, matrix
from tests.faults import orders
from tests.faults.conftest import NewFlight
from tests.faults.flight import LIMIT, SLOW
from tests.harness.site import Site

BROKERS = ("redis", "rabbitmq", "rabbitmq-quorum", "sqla")
SERVERS = ("redis", "rabbitmq", "rabbitmq-quorum")


def _cut(site: Site) -> None:
    site.proxies["broker"].cut()


@pytest.mark.parametrize("broker", matrix(("redis", "rabbitmq"), BROKERS))
def test_a_wiped_broker(new_site: SiteFactory, new_flight: NewFlight, broker: str) -> None:
    site = new_site(broker=broker, speed=SLOW, results_in="none")
    site.worker()
    flight = new_flight(site).climb()
    site.broker.wipe()
    flight.land()


@pytest.mark.parametrize("broker", matrix(("redis",), SERVERS))
def test_a_view_without_a_broker(new_site: SiteFactory, new_flight: NewFlight, broker: str) -> None:
    site = new_site(broker=broker, speed=SLOW, results_in="none", proxied=["broker"])
    site.worker()
    flight = new_flight(site, 3)
    _cut(site)
    assert site.call(orders.rows, flight.tags) < 10
    site.proxies["broker"].restore()
    site.wait_until(flight.is_up, LIMIT, "the sweep has sent what the view could not")
    flight.land()


@pytest.mark.parametrize("broker", matrix(("rabbitmq",), SERVERS))
def test_a_retry_without_a_broker(
    new_site: SiteFactory, new_flight: NewFlight, broker: str
) -> None:
    site = new_site(broker=broker, speed=SLOW, results_in="none", proxied=["broker"])
    site.worker()
    flight = new_flight(site).climb()
    app = site.simulator.app
    app.fault("late=1", routes=["retrieve"])
    asked = len(app.requests)
    site.wait_until(lambda: len(app.requests) > asked, 15, "a poll is under way")
    _cut(site)
    site.wait_until(lambda: not app.clear(), 1)
    site.proxies["broker"].restore()
    flight.land()


@pytest.mark.parametrize("broker", matrix(("redis",), SERVERS))
def test_a_chain_that_continues_without_a_broker(
    new_site: SiteFactory, new_flight: NewFlight, broker: str
) -> None:
    site = new_site(broker=broker, speed=SLOW, results_in="none", proxied=["broker"])
    site.worker()
    flight = new_flight(site, 1).climb()
    site.trap("publish.before.tests.keep", "sleep=1")
    site.simulator.app.advance(600)
    site.events.wait(event="trap", name="publish.before.tests.keep")
    _cut(site)
    site.wait_until(lambda: "goes on later" in site.logs(400), 20, "it could not be sent")
    site.proxies["broker"].restore()
    flight.land()


def test_messages_twice_at_once_and_much_later(
    new_site: SiteFactory, new_flight: NewFlight
) -> None:
    site = new_site(speed=SLOW, results_in="none")
    flight = new_flight(site).take_off()
    key = f"{site.broker.name}:{site.broker.queue}"
    with redis.Redis.from_url(site.broker.url) as client:
        messages = client.lrange(key, 0, -1)
        client.rpush(key, *messages)
        site.worker()
        site.wait_until(flight.is_up, 30, "all videos are in flight")
        flight.land()
        client.rpush(key, *messages)
    site.wait_until(lambda: not site.broker.depth(), 10, "the copies are consumed")
    flight.land()


def test_a_long_queue(new_site: SiteFactory, new_flight: NewFlight) -> None:
    site = new_site(speed=SLOW, results_in="none")
    site.worker()
    flight = new_flight(site).climb()
    site.call(orders.fill_queue, 30, 0.4)
    site.simulator.app.advance(600)
    site.events.wait(30, 30, event="task", name="slow-end")
    flight.land()


def test_a_revoked_task_stays_dropped(new_site: SiteFactory, new_flight: NewFlight) -> None:
    site = new_site(speed=SLOW, results_in="none")
    site.worker()
    flight = new_flight(site, 2).climb()
    site.call(orders.revoke, flight.celery_ids[0])
    flight.tags, dropped = flight.tags[1:], flight.tags[0]
    site.simulator.app.advance(600)
    site.events.wait(1, 20, event="task", tag=flight.tags[0])
    site.wait_until(lambda: not any(site.call(orders.left).values()), 20, "rows are settled")
    assert site.events.count(event="task", tag=dropped) == 0
    assert site.events.count(event="signal", name="video_completed") == 2


pytestmark = pytest.mark.full
