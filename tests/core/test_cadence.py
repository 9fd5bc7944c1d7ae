"""The history of polls, and what it changes: the real rows, read by the sweep."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from seedance_celery.models import Video
from seedance_celery.polling import timings
from seedance_celery.polling.plans import ENOUGH
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.testing import Seedance

MODEL = "doubao-seedance-2-0"


def past(*rendering: float, queued: float = 5.0, **changes: Any) -> None:
    """Insert videos, created a while ago, that were in progress for so many seconds."""
    rows = []
    for number, seconds in enumerate(rendering):
        begun = timezone.now() - timedelta(hours=1, seconds=number)
        since = begun + timedelta(seconds=queued)
        values: dict[str, Any] = {
            "model": MODEL,
            "seconds": 5,
            "status": "completed",
            "created_at": begun,
            "post_started_at": begun,
            "rendering_since": since,
            "finished_at": since + timedelta(seconds=seconds),
            "polls": int(seconds / 15) + 1,
        }
        rows.append(Video(**{**values, **changes}))
    Video.objects.bulk_create(rows)


def asked(age: float, **changes: Any) -> float:
    """Return the mean of many countdowns of a video that has been in progress for so long."""
    now = timezone.now()
    begun = now - timedelta(seconds=age + 5)
    values = {"model": MODEL, "seconds": 5, "status": "in_progress", "polls": int(age / 15) - 1}
    times = {
        "created_at": begun,
        "post_started_at": begun,
        "rendering_since": begun + timedelta(seconds=5),
        "answered_at": now - timedelta(seconds=15),
    }
    video = Video(**{**values, **times, **changes})
    return sum(timings.countdown(video, now, {}) for _ in range(100)) / 100


@pytest.fixture(autouse=True)
def fresh() -> Any:
    """Begin and end as a process that has read nothing."""
    timings.forget()
    yield
    timings.forget()


USUAL = [100 + n for n in range(2 * ENOUGH)]


@pytest.mark.django_db
def test_polls_are_rare_where_no_past_video_ended_and_frequent_where_many_did() -> None:
    past(*USUAL)
    timings.refresh()
    assert asked(30) > 17
    assert asked(115) < 12


@pytest.mark.django_db
def test_without_enough_history_polls_are_drawn_evenly() -> None:
    past(*USUAL[: ENOUGH - 1])
    timings.refresh()
    assert 14 < asked(30) < 16


@pytest.mark.django_db
def test_another_length_of_the_model_counts_until_its_own_is_known() -> None:
    past(*USUAL, seconds=10)
    timings.refresh()
    assert asked(55) > 17
    past(*[60 + n / 10 for n in range(2 * ENOUGH)])
    timings.forget()
    timings.refresh()
    assert asked(55) < 13


@pytest.mark.django_db
@pytest.mark.parametrize(
    "other",
    [
        {"model": "seedance-2-5"},
        {"late": True},
        {"status": "rejected"},
        {"status": "completed", "created_at": timezone.now()},  # known long after its create
        {"polls": 1},  # an outage, or resumed
    ],
    ids=["model", "late", "rejected", "tracked", "unwatched"],
)
def test_videos_that_tell_nothing_do_not_count(other: dict[str, Any]) -> None:
    past(*USUAL, **other)
    timings.refresh()
    assert 14 < asked(30) < 16


@pytest.mark.django_db
def test_history_is_read_once_by_one_query_and_a_poll_reads_nothing(
    django_assert_num_queries: Any,
) -> None:
    past(*USUAL)
    with django_assert_num_queries(1):
        timings.refresh()
        timings.refresh()
    with django_assert_num_queries(0):
        assert asked(30) > 17


@pytest.mark.django_db
def test_a_database_that_fails_changes_nothing() -> None:
    past(*USUAL)
    timings.refresh()
    timings._read_at = None  # ten minutes later

    def fail(*args: Any) -> Any:
        raise OperationalError("the database is away")

    with connection.execute_wrapper(fail):
        timings.refresh()
    assert asked(30) > 17


@pytest.mark.parametrize("said", [None, 0, -5, 1, 10**15])
def test_an_odd_time_of_the_api_does_no_harm(said: int | None) -> None:
    video = Video(api_created_at=said, rendering_since=None, polls=3)
    assert video.begun_at <= video.created_at
    assert 10 <= timings.countdown(video, timezone.now(), {}) <= 20


def test_the_sweep_reads_the_history(kit: Seedance) -> None:
    ago = kit.clock.time - timedelta(hours=1)
    past(*USUAL)
    Video.objects.update(created_at=ago, post_started_at=ago)
    for video in Video.objects.all():
        video.finished_at = ago + (video.finished_at - video.rendering_since)
        video.rendering_since = ago
        video.announced_at, video.overdue_at = video.finished_at, None
        video.save()
    assert 14 < asked(30) < 16
    kit.advance(31)
    assert asked(30) > 17


def test_polls_are_counted_and_the_start_of_the_rendering_is_kept(kit: Seedance) -> None:
    kit.next_video("slow")
    video = generate_video("A kite", seconds=5)
    asked_at = []
    for _ in range(600):
        kit.advance(1)
        row = video.current()
        if row.is_finished:
            break
        if row.polls > len(asked_at):
            asked_at.append(row.asked_at)
            assert row.rendering_since is None or row.begun_at <= row.rendering_since <= row.now
    assert len(asked_at) >= 3
    assert video.current().rendering_since is not None
    waits = [(later - sooner).total_seconds() for sooner, later in pairwise(asked_at)]
    assert all(9 <= wait <= 22 for wait in waits)


def test_the_poll_that_sees_the_end_counts(kit: Seedance) -> None:
    video = generate_video("A kite", seconds=5)
    kit.run_until_done()
    assert video.current().polls == kit.simulator.counts["retrieve"]


def test_a_resumed_video_counts_its_polls_anew(kit: Seedance) -> None:
    kit.next_video("stuck")
    video = track_video("task_unknown", timeout=60)
    kit.run_until_done()
    row = video.current()
    assert row.polls > 0
    assert row.resume()
    assert video.current().polls == 0
