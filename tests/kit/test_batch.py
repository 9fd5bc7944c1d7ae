"""The kit with the poller that asks for many videos in one task."""

from __future__ import annotations

import pytest
from celery import chain

from seedance_celery.shortcuts import generate_video
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.kit import work

pytestmark = pytest.mark.seedance(POLLER="batch")


def test_chains_and_rows_go_on(seedance: Seedance) -> None:
    chain(create_video.s("A kite"), poll_video.s(), work.note.s(tag="chain")).apply_async()
    generate_video("A kite", link=work.note.s(tag="link"))
    poll_video.apply_async((seedance.buy("slow"),), link=work.note.s(tag="bought"))
    seedance.run_until_done()
    assert sorted(work.names()) == ["bought", "chain", "link"]
    seedance.assert_charged(3)
    seedance.assert_polite()


def test_errbacks_run(seedance: Seedance) -> None:
    seedance.next_video("failed")
    generate_video("A kite", link_error=work.cleanup.s())
    seedance.run_until_done()
    assert work.names() == ["cleanup"]
    seedance.assert_fired("video_failed")


def test_time_passes_without_videos(seedance: Seedance) -> None:
    work.note.apply_async(countdown=300)
    seedance.run_until_done()
    assert work.names() == ["note"]


def test_advance_stops_in_the_middle(seedance: Seedance) -> None:
    seedance.next_video("stuck")
    video = generate_video("A kite")
    seedance.advance(120)
    assert video.current().status == "in_progress"
    assert 5 <= len(seedance.simulator.videos[str(video.current().api_id)].asked_at) <= 13
