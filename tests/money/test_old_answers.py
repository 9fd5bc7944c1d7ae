"""An answer that is older than what is known by now changes nothing about a key."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from seedance_celery.accounts import health
from seedance_celery.db import clock
from seedance_celery.exceptions import (
    ApiError,
    KeyRefused,
    QuotaExceeded,
    RateLimited,
    ServerError,
)
from seedance_celery.models import AccountState, Video
from seedance_celery.protocol import VideoTask
from seedance_celery.testing import Seedance

from .test_keys import follow


def troubled(name: str = "default") -> Video:
    """Return a video that is to find out whether a refused key works again."""
    past = {"hold_until": clock.after(-9), "refused_at": clock.after(-9)}
    AccountState.objects.create(name=name, strikes=1, **past)
    Video.objects.create(api_id="task_1", status="queued", poll_token=1)
    video = Video.objects.get().current()
    assert health.wait_for(video) is None
    return video


TAKEN = VideoTask("task_1", "queued", "queued")


@pytest.mark.parametrize("error", [KeyRefused("…", http_status=401), RateLimited("…")])
def test_an_old_answer_wipes_no_newer_trouble_of_the_key(kit: Seedance, error: ApiError) -> None:
    video = troubled()
    health.learn(Video.objects.get().current(), error)
    newer = AccountState.objects.get()
    assert newer.strikes == 2
    health.learn(video, TAKEN)
    after = AccountState.objects.get()
    assert (after.strikes, after.hold_until) == (2, newer.hold_until)
    assert after.refused_at is not None
    assert kit.signals() == []


def test_a_request_that_was_not_to_find_out_ends_no_trouble(kit: Seedance) -> None:
    troubled()
    health.learn(Video.objects.get().current(), TAKEN)  # it was sent before the trouble began
    assert AccountState.objects.get().strikes == 1


def test_the_same_number_of_strikes_is_another_incident(kit: Seedance) -> None:
    video = troubled()
    health.learn(video, TAKEN)
    assert AccountState.objects.get().strikes == 0
    health.learn(Video.objects.get().current(), KeyRefused("…", http_status=401))
    health.learn(video, TAKEN)
    assert AccountState.objects.get().strikes == 1
    assert kit.signals() == ["account_restored", "account_refused"]


def test_a_create_that_tells_nothing_leaves_another_s_question_alone(kit: Seedance) -> None:
    video = troubled()
    later = clock.after(500)
    AccountState.objects.update(probe_until=later)
    asked = AccountState.objects.get().probe_until
    health.learn_create(video, ServerError("…"))
    assert AccountState.objects.get().probe_until == asked


def test_an_old_purchase_ends_no_newer_pause_of_the_balance(kit: Seedance) -> None:
    follow(kit, 1)
    video = Video.objects.get().current()
    health.learn_create(video.current(), QuotaExceeded("…", http_status=402))
    paused = AccountState.objects.get().creates_hold_until
    health.learn_create(video, TAKEN)
    assert paused is not None
    assert AccountState.objects.get().creates_hold_until == paused


def test_a_refusal_that_a_newer_answer_has_overtaken_is_not_announced(kit: Seedance) -> None:
    video = troubled()
    AccountState.objects.update(refused_at=None)

    def restore(execute: Any, sql: str, *rest: Any) -> Any:
        # Another process restores the key between the strike and the refusal.
        if "refused_at" in sql.partition("WHERE")[0] and sql.startswith("UPDATE") and not done:
            done.append(True)
            AccountState.objects.update(strikes=0, hold_until=None)
        return execute(sql, *rest)

    done: list[bool] = []
    with connection.execute_wrapper(restore):
        health.learn(video, KeyRefused("…", http_status=401))
    assert done
    assert AccountState.objects.get().refused_at is None
    assert kit.signals() == []
