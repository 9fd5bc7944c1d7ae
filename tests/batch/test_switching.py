"""From one way of polling to the other, with videos in flight and real workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest

from seedance_celery import sending
from seedance_celery.models import Poller, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance
from tests.batch.test_poller import settings
from tests.conftest import SiteFactory
from tests.core import canvas
from tests.core.canvas import publish
from tests.faults.conftest import NewFlight
from tests.faults.flight import SLOW
from tests.harness.site import Site
from tests.harness.worker import Worker

COUNTDOWN = [1.5, 2.0]
WAYS = [("loop", "batch"), ("batch", "loop")]


@pytest.fixture
def new_site() -> Iterator[SiteFactory]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Site(**options))


def worker_set_to(site: Site, poller: str) -> Worker:
    """Start a worker with a setting of its own, as in the middle of a deploy."""
    seedance = {**json.loads(site.env["TEST_SEEDANCE"]), "POLLER": poller}
    return site.worker(env={"TEST_SEEDANCE": json.dumps(seedance)})


def wait_for_polls(site: Site, times: int) -> None:
    """Wait until every video has been asked for so many times more."""
    before = {key: len(video.asked_at) for key, video in site.simulator.app.videos.items()}

    def all_asked() -> bool:
        videos = site.simulator.app.videos
        return all(len(videos[key].asked_at) >= count + times for key, count in before.items())

    site.wait_until(all_asked, 40, "every video is asked for again")


def gaps(site: Site) -> list[float]:
    videos = site.simulator.app.videos.values()
    return [later - earlier for video in videos for earlier, later in pairwise(video.asked_at)]


@pytest.mark.parametrize(("old", "new"), WAYS)
def test_a_rolling_deploy_changes_the_setting(
    new_site: SiteFactory, new_flight: NewFlight, old: str, new: str
) -> None:
    seedance = {"POLLER": old, "POLL_COUNTDOWN": COUNTDOWN}
    site = new_site(speed=SLOW, results_in="none", seedance=seedance)
    old_workers = [worker_set_to(site, old) for _ in range(2)]
    flight = new_flight(site, 12).climb()
    wait_for_polls(site, 1)
    worker_set_to(site, new)
    wait_for_polls(site, 2)
    assert old_workers[0].term() == 0
    wait_for_polls(site, 2)
    assert old_workers[1].term() == 0
    wait_for_polls(site, 2)
    assert min(gaps(site)) >= COUNTDOWN[0] - 0.1
    flight.land()


@pytest.mark.parametrize(("old", "new"), WAYS)
def test_messages_and_rows_of_the_old_way_are_taken_over(kit: Seedance, old: str, new: str) -> None:
    with settings(POLLER=old):
        for _ in range(5):
            kit.next_video("slow")
            generate_video("A kite", link=publish.s())
        kit.advance(40)
    with settings(POLLER=new):
        kit.advance(120)
        waiting = {message.task for message in kit.broker.fetch()}
        assert waiting <= {sending.REFRESH if new == "loop" else sending.BATCH}
        kit.run_until_done()
    assert canvas.names() == ["publish"] * 5
    assert all(
        later - earlier >= 9
        for video in kit.simulator.videos.values()
        for earlier, later in pairwise(video.asked_at)
    )
    assert not Poller.objects.filter(overdue_at__isnull=False).exists()


def test_a_loop_beside_a_poller_claims_a_row_before_it_asks(kit: Seedance) -> None:
    kit.next_video("slow")
    with settings(POLLER="loop"):
        generate_video("A kite")
        kit.run_due()
    Poller.objects.call("default", 60)
    kit.clock.advance(20)
    token = Video.objects.get().poll_token
    message = next(m for m in kit.broker.fetch() if m.task == sending.REFRESH)
    with settings(POLLER="loop"):
        kit.broker.messages.remove(message)
        kit.run(message)
    assert Video.objects.get().poll_token == token + 2
