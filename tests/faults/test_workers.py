"""Workers that are killed, stopped and replaced."""

from __future__ import annotations

import pytest

from tests.conftest import SiteFactory, matrix
from tests.faults import orders
from tests.faults.conftest import NewFlight
from tests.faults.flight import SLOW

BROKERS = ("redis", "rabbitmq", "rabbitmq-quorum", "sqla")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@pytest.mark.parametrize("broker", matrix(("redis",), BROKERS))
def test_a_killed_worker(new_site: SiteFactory, new_flight: NewFlight, broker: str) -> None:
    site = new_site(broker=broker, speed=SLOW, results_in="none")
    worker = site.worker()
    flight = new_flight(site).climb()
    worker.kill()
    site.worker()
    flight.land()


@pytest.mark.parametrize("broker", matrix(("rabbitmq",), BROKERS))
def test_a_stopped_worker(new_site: SiteFactory, new_flight: NewFlight, broker: str) -> None:
    site = new_site(broker=broker, speed=SLOW, results_in="none")
    worker = site.worker()
    flight = new_flight(site).climb()
    second = site.start_worker()
    assert worker.term() == 0
    second.wait_ready()
    flight.land()


@pytest.mark.parametrize("broker", matrix(("redis",), BROKERS))
def test_a_deploy(new_site: SiteFactory, new_flight: NewFlight, broker: str) -> None:
    site = new_site(broker=broker, speed=0.5, results_in="none")
    worker = site.worker()
    flight = new_flight(site, 20).take_off()
    for _ in range(6):
        new = site.worker()
        assert worker.term() == 0
        worker = new
    flight.land()


@pytest.mark.parametrize("pool", matrix(("threads", "gevent"), ("threads", "gevent", "solo")))
def test_lost_loops_without_beat(new_site: SiteFactory, new_flight: NewFlight, pool: str) -> None:
    site = new_site(speed=SLOW, results_in="none")
    worker = site.worker(pool=pool)
    flight = new_flight(site).climb()
    worker.kill()
    site.broker.wipe()
    site.worker(pool=pool)
    flight.land()


@pytest.mark.parametrize("offset", ["-5m", "+5m"])
def test_a_worker_with_a_wrong_clock(
    new_site: SiteFactory, new_flight: NewFlight, offset: str
) -> None:
    site = new_site(broker="rabbitmq", speed=SLOW, results_in="none")
    worker = site.worker()
    flight = new_flight(site, 4).climb()
    worker.kill()
    site.worker(env={"LD_PRELOAD": FAKETIME, "FAKETIME": offset}, pool="threads")
    assert site.call(orders.deadlines_ahead)
    flight.land()


pytestmark = pytest.mark.full
