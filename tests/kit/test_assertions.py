"""Assertions, and what they tell when they do not hold."""

from __future__ import annotations

import pytest
from celery import chain

from seedance_celery.shortcuts import generate_video
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.kit import work


def test_what_happened_passes(seedance: Seedance) -> None:
    seedance.next_video("slow")
    video = generate_video("A kite")
    seedance.run_until_done()
    seedance.assert_charged(1)
    seedance.assert_requested(create=1, file=0)
    seedance.assert_fired("video_completed", video=video, late=False)
    seedance.assert_fired("video_failed", times=0)
    seedance.assert_polite()
    seedance.assert_nothing_raised()
    assert seedance.requests[0].route == "create"


def test_money_that_was_not_to_be_spent_is_listed(seedance: Seedance) -> None:
    generate_video("A red kite")
    generate_video("A blue kite")
    seedance.run_until_done()
    with pytest.raises(AssertionError) as caught:
        seedance.assert_charged(1)
    told = str(caught.value)
    assert "2 videos were bought, not 1" in told
    assert "A red kite" in told
    assert "A blue kite" in told


def test_requests_that_were_not_to_be_made_are_listed(seedance: Seedance) -> None:
    generate_video("A kite")
    seedance.run_until_done()
    with pytest.raises(AssertionError, match=r"asked 1 times, not 2\.\n  POST /v1/videos: 200"):
        seedance.assert_requested(create=2)
    with pytest.raises(ValueError, match="none of create"):
        seedance.assert_requested(created=1)


def test_a_signal_that_did_not_fire_names_those_that_did(seedance: Seedance) -> None:
    seedance.next_video("failed")
    generate_video("A kite")
    seedance.run_until_done()
    with pytest.raises(AssertionError, match=r"completed was fired 0 times(.|\n)*video_failed"):
        seedance.assert_fired("video_completed")
    with pytest.raises(AssertionError, match=r"video_failed, late=True was fired 0 times"):
        seedance.assert_fired("video_failed", late=True)
    with pytest.raises(ValueError, match="Did you mean video_completed"):
        seedance.assert_fired("video_complete")
    with pytest.raises(ValueError, match="no signal video_done"):
        seedance.signals("video_done")


def test_asking_too_often_is_told(seedance: Seedance) -> None:
    api_id = seedance.buy("slow")
    for _ in range(2):
        seedance.simulator.videos[api_id].asked_at.append(seedance.simulator.now())
        seedance.clock.advance(3)
    with pytest.raises(AssertionError, match=r"asked for again after 3\.0 s"):
        seedance.assert_polite()


def test_a_failed_assertion_names_the_tasks_that_raised(seedance: Seedance) -> None:
    chain(create_video.s("A kite"), poll_video.s(), work.wrong.si()).apply_async()
    seedance.run_until_done()
    with pytest.raises(AssertionError, match=r"Tasks that raised:\n  tests\.kit\.work\.wrong"):
        seedance.assert_fired("video_stored")
    with pytest.raises(AssertionError, match="1 tasks raised"):
        seedance.assert_nothing_raised()
