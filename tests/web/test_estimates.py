"""Time left, told from history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from seedance_celery.models import Video
from seedance_celery.polling.estimates import ENOUGH, estimate, shown_progress
from tests.web.rows import make, past, read

pytestmark = pytest.mark.django_db


def aged(video: Video, seconds: float) -> Video:
    row = read(video)
    row.now += timedelta(seconds=seconds)
    return row


def test_median_and_ninetieth_percentile_of_the_time_left() -> None:
    past(*range(100, 200, 5))
    found = estimate(read(make(age=60)))
    assert found is not None
    assert (found.median_seconds_left, found.p90_seconds_left) == (90, 135)


def test_there_is_no_estimate_before_there_is_enough_history() -> None:
    past(*[90] * (ENOUGH - 1))
    assert estimate(read(make(age=10))) is None


@pytest.mark.parametrize("other", [{"model": "seedance-2-5"}, {"seconds": 10}])
def test_only_videos_of_the_same_model_and_length_count(other: dict[str, Any]) -> None:
    past(*[90] * ENOUGH, **other)
    assert estimate(read(make(age=10))) is None


@pytest.mark.parametrize("other", [{"late": True}, {"post_started_at": None}])
def test_late_and_tracked_videos_tell_nothing(other: dict[str, Any]) -> None:
    past(*[90] * ENOUGH, **other)
    assert estimate(read(make(age=10))) is None


def test_a_video_that_takes_longer_than_any_before_has_no_estimate() -> None:
    past(*range(60, 90))
    assert estimate(read(make(age=600))) is None


@pytest.mark.parametrize("status", ["completed", "failed", "create_unknown", "creating"])
def test_only_what_renders_has_an_estimate(status: str) -> None:
    past(*range(60, 90))
    assert estimate(read(make(status, age=10))) is None


def test_progress_follows_the_time_where_the_api_stands_still_and_says_so() -> None:
    past(*[100] * ENOUGH)
    assert shown_progress(read(make(age=60, progress=30))) == (57, True)
    assert shown_progress(read(make(age=60, progress=70))) == (70, False)


def test_shown_progress_never_goes_back_nor_reaches_100() -> None:
    past(*range(60, 160, 5))
    video = make(age=1, progress=0)
    seen = [shown_progress(aged(video, seconds))[0] for seconds in range(0, 4000, 7)]
    rendering = seen[: 5000 // 7]
    assert rendering == sorted(rendering)
    assert max(rendering) < 100


def test_what_ends_meanwhile_does_not_move_a_running_bar_back() -> None:
    past(*[100] * ENOUGH)
    video = make(age=60, progress=0)
    before = shown_progress(read(video))
    past(*[1000] * 50, finished_at=timezone.now())
    cache.clear()
    assert shown_progress(read(video))[0] >= before[0]


def test_a_history_is_read_once(django_assert_num_queries: Any) -> None:
    past(*[100] * ENOUGH)
    videos = [read(make(age=60)) for _ in range(3)]
    estimate(videos[0])
    with django_assert_num_queries(0):
        assert all(estimate(video) for video in videos)
