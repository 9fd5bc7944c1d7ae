"""What all workers know about a key: cool-downs, refusals, and a balance that is used up."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from seedance_celery.accounts import health
from seedance_celery.conf import get_settings
from seedance_celery.exceptions import (
    ConnectFailed,
    InvalidRequest,
    KeyRefused,
    QuotaExceeded,
    RateLimited,
)
from seedance_celery.models import AccountState, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance
from tests.core.test_money import NOT_YET
from tests.core.test_races import at_once
from tests.harness.databases import Database


def follow(kit: Seedance, count: int) -> list[Video]:
    """Have so many videos polled."""
    kit.simulator.next("slow", n=count)
    videos = [generate_video("A kite") for _ in range(count)]
    kit.run_due()
    return videos


def asked(kit: Seedance, route: str = "") -> int:
    return sum(route in ("", seen.route) for seen in kit.simulator.requests)


def state() -> AccountState:
    return AccountState.objects.get()


# 429.


def test_one_429_holds_back_everything_on_the_key_creates_included(kit: Seedance) -> None:
    follow(kit, 10)
    kit.simulator.fault("rate_limited_retry_after=120", seconds=1e6)
    kit.advance(25)
    refused = asked(kit)
    generate_video("A kite")
    kit.advance(90)
    assert asked(kit) == refused
    assert state().strikes == 1


def test_after_the_cool_down_one_request_at_a_time_asks(kit: Seedance) -> None:
    follow(kit, 10)
    kit.simulator.fault("rate_limited", seconds=300)
    before = asked(kit)
    kit.advance(300)
    # 10, 20, 40, 60, 60, … s of cool-down, up to 20 s until somebody asks.
    assert 4 <= asked(kit) - before <= 14
    kit.run_until_done()
    assert state().strikes == 0
    assert state().probe_until is None


def test_what_was_held_back_does_not_come_back_in_one_second(kit: Seedance) -> None:
    follow(kit, 40)
    kit.simulator.fault("rate_limited_retry_after=60", seconds=20)
    kit.advance(25)
    before = asked(kit)
    kit.advance(120)
    seconds = Counter(int(seen.at) for seen in list(kit.simulator.requests)[before:])
    assert sum(seconds.values()) >= 40
    assert max(seconds.values()) <= 10


@pytest.mark.parametrize(
    ("header", "at_least", "at_most"),
    [("0", 7.5, 10), ("-5", 7.5, 10), ("soon", 7.5, 10), ("100", 100, 100), ("86400", 900, 900)],
)
def test_what_retry_after_says_is_believed_within_reason(
    kit: Seedance, header: str, at_least: float, at_most: float
) -> None:
    (video,) = follow(kit, 1)
    kit.simulator.fault(f"rate_limited_retry_after={header}", seconds=21)
    for _ in range(21):
        if not AccountState.objects.exists():
            kit.advance(1)
    held = (state().hold_until - kit.clock.time).total_seconds()  # type: ignore[operator]
    assert at_least - 1 <= held <= at_most
    kit.run_until_done()
    assert video.current().status == "completed"


def test_a_date_that_is_past_is_no_reason_to_hammer(kit: Seedance) -> None:
    follow(kit, 1)
    kit.simulator.fault("rate_limited_date=-3600", seconds=1e6)
    before = asked(kit)
    kit.advance(300)
    assert asked(kit) - before <= 14


def test_many_429s_of_one_moment_are_one_strike(database: Database) -> None:
    at_once(lambda: health.hold("default", RateLimited("…", http_status=429)))
    assert state().strikes == 1


def test_a_longer_retry_after_prolongs_a_cool_down(kit: Seedance) -> None:
    health.hold("default", RateLimited("…", retry_after=10.0))
    health.hold("default", RateLimited("…", retry_after=300.0))
    health.hold("default", RateLimited("…", retry_after=20.0))
    held = (state().hold_until - kit.clock.time).total_seconds()  # type: ignore[operator]
    assert (held, state().strikes) == (300.0, 1)


def test_the_time_of_a_held_video_is_no_longer_than_its_deadline_allows(kit: Seedance) -> None:
    (video,) = follow(kit, 1)
    kit.simulator.fault("rate_limited", seconds=600)
    kit.run_until_done()
    assert video.current().status == "completed"


def test_a_late_poll_is_held_back_as_well(kit: Seedance) -> None:
    video = generate_video("A kite", timeout=30)
    kit.simulator.fault("http_503", seconds=3700, routes=["retrieve"])
    kit.advance(3700)
    kit.run_until_done(within=20000)
    assert video.current().status in ("timed_out", "completed")
    Video.objects.update(status="timed_out", late_polls=0, video_url="", announced_at=None)
    health.hold("default", RateLimited("…", retry_after=900.0))
    before = asked(kit)
    row = video.current()
    row.finished_at = kit.clock.time
    row.move(("timed_out",), finished_at=kit.clock.time, announced_at=kit.clock.time)
    row.move(("timed_out",), overdue_at=kit.clock.time)
    kit.advance(890)
    assert asked(kit) == before
    kit.advance(2000)
    assert video.current().status == "completed"


def test_a_healthy_poll_asks_the_database_nothing_more(kit: Seedance) -> None:
    (video,) = follow(kit, 1)
    counts = []
    for _ in range(2):
        message = kit.broker.fetch().pop()
        kit.clock.time = message.due
        with CaptureQueriesContext(connection) as captured:
            kit.run(message)
        counts.append(len(captured))
        AccountState.objects.get_or_create(name="default")  # a row that is well changes nothing
    assert counts == [2, 2]
    assert video.current().status in ("queued", "in_progress")


# 401 and 403.


@pytest.mark.parametrize("fault", ["key_refused", "key_forbidden"])
def test_a_refused_key_is_told_once_an_incident_and_fails_no_video(
    kit: Seedance, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    videos = []
    for _ in range(2):
        videos += follow(kit, 10)
        kit.simulator.fault(fault, seconds=200)
        before = asked(kit)
        kit.advance(200)
        assert asked(kit) - before <= 12
        assert AccountState.objects.get().refused_at is not None
        kit.advance(100)
        assert AccountState.objects.get().refused_at is None
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 2
    told = [name for name in kit.signals() if name.startswith("account")]
    assert told == ["account_refused", "account_restored"] * 2
    kit.run_until_done()
    assert {video.current().status for video in videos} == {"completed"}


def test_a_create_restores_a_key_as_a_poll_does(kit: Seedance) -> None:
    kit.simulator.fault("key_refused", seconds=10)
    generate_video("A kite")
    kit.run_due()
    kit.advance(60)
    assert kit.charges == 1
    assert kit.signals("account_restored") == ["account_restored"]


def test_a_create_that_tells_nothing_leaves_the_question_to_the_next(kit: Seedance) -> None:
    follow(kit, 1)
    health.learn(Video.objects.get().current(), KeyRefused("…", http_status=401))
    kit.clock.advance(30)
    row = Video.objects.get().current()
    assert health.wait_to_create(row) is None
    assert health.wait_for(Video.objects.get().current()) is not None
    from seedance_celery.exceptions import ReplyLost

    health.learn_create(row, ReplyLost("…"))
    assert health.wait_for(Video.objects.get().current()) is None


def test_creates_are_checked_against_the_models_of_now() -> None:
    here = {"API_KEY": "sk-a", "BASE_URL": "http://127.0.0.1:9"}
    for longest, error in ((4, InvalidRequest), (9, ConnectFailed)):
        models = {"new": {"seconds": (1, longest)}}
        with override_settings(SEEDANCE={**here, "MODELS": models}), pytest.raises(error):
            health.client_of("default").create("x", model="new", seconds=5)


def test_keys_are_asked_for_at_each_request_so_they_rotate(kit: Seedance) -> None:
    keys = ["sk-old"]
    settings = {"API_KEY": lambda: keys[-1], "BASE_URL": kit.url}
    with override_settings(SEEDANCE=settings):
        generate_video("A kite")
        kit.run_due()
        keys.append("sk-new")
        kit.run_until_done()
    used = {seen.route: seen.key for seen in kit.simulator.requests}
    assert (used["create"], used["retrieve"]) == ("sk-old", "sk-new")


# The balance.


@pytest.mark.parametrize("scenario", ["create_402", "create_403_quota"])
def test_a_used_up_balance_rejects_one_create_and_pauses_the_others(
    kit: Seedance, scenario: str, caplog: pytest.LogCaptureFixture
) -> None:
    follow(kit, 1)
    polls = asked(kit, "retrieve")
    kit.simulator.fault(scenario, seconds=500)
    for _ in range(5):
        generate_video("A kite")
        kit.clock.advance(0.01)
    before = asked(kit, "create")
    kit.advance(250)
    assert asked(kit, "create") - before == 1
    assert asked(kit, "retrieve") - polls >= 3
    kit.advance(250)
    assert asked(kit, "create") - before == 2
    kit.run_until_done()
    statuses = Counter(Video.objects.values_list("status", flat=True))
    assert statuses == {"completed": 4, "rejected": 2}
    assert "no balance" in caplog.text
    assert not kit.signals("account_refused")
    assert state().creates_hold_until is None


def test_a_hold_on_creates_ends_whatever_they_are_answered(kit: Seedance) -> None:
    balance, lost = ["create_402", "create_403_quota"], ["create_dropped", "create_garbled"]
    for number, answer in enumerate([*balance, *NOT_YET, "create_400", *lost, "create_wrapped"]):
        generate_video(f"{number} [{answer}*1]")
    kit.run_until_done()
    statuses = Counter(Video.objects.values_list("status", flat=True))
    assert statuses == {"rejected": 3, "create_unknown": 2, "completed": len(NOT_YET) + 1}
    assert kit.charges == statuses["create_unknown"] + statuses["completed"]
    kit.advance(health.NO_QUOTA_PAUSE)  # the last of all may have been told of the balance
    held = state().creates_hold_until
    assert held is None or held <= kit.clock.time, "none would have to wait"
    assert state().strikes == 0


@pytest.mark.parametrize("answer", ["create_400", "create_502", "create_dropped"])
def test_a_create_that_was_to_find_out_and_did_not_lets_the_next_one(
    kit: Seedance, answer: str
) -> None:
    generate_video("A kite [create_402*1]")
    kit.run_until_done()
    kit.advance(310)
    generate_video(f"A kite [{answer}*1]")
    kit.run_due()
    next_one = generate_video("A kite")
    kit.run_due()
    assert next_one.current().status == "queued"


def test_a_create_that_dies_as_it_finds_out_holds_no_other_longer_than_its_post(
    kit: Seedance,
) -> None:
    kit.next_video("create_402")
    generate_video("A kite")
    kit.run_due()
    kit.clock.advance(health.NO_QUOTA_PAUSE)
    video = Video.objects.create(status="creating", prompt="Another")
    assert health.wait_to_create(video.current()) is None  # and then it dies
    generate_video("A third")
    kit.run_due()
    assert kit.charges == 0
    kit.advance(get_settings().create_timeout + 30)
    assert kit.charges == 1


def test_one_create_at_a_time_finds_out_whether_the_balance_is_back(database: Database) -> None:
    video = Video.objects.create(status="creating")
    health.learn_create(video.current(), QuotaExceeded("…", http_status=402))
    AccountState.objects.update(creates_hold_until=video.current().now)
    waits: list[Any] = at_once(lambda: health.wait_to_create(video.current()))
    assert waits.count(None) == 1


@pytest.mark.parametrize("poller", ["loop", "batch"])
def test_videos_of_a_refused_key_end_an_hour_after_their_deadline(
    transactional_db: None, poller: str
) -> None:
    with Seedance(http=True, TIMEOUT=600, POLLER=poller) as kit:
        follow(kit, 30)
        kit.simulator.fault("key_refused", routes=["retrieve"])
        kit.advance(30)
        kit.clock.advance(600 + 3600)
        kit.advance(120)
        assert not Video.objects.unfinished().exists()
        assert set(Video.objects.values_list("status", flat=True)) == {"timed_out"}


# A key that is refused for one create alone.


def test_a_401_that_only_creates_get_is_the_refusal_of_that_create(
    kit: Seedance, caplog: pytest.LogCaptureFixture
) -> None:
    follow(kit, 1)
    kit.run_due()
    kit.simulator.fault("key_refused", routes=["create"])
    video = generate_video("A kite")
    with caplog.at_level(logging.WARNING):
        kit.advance(120)
    row = video.current()
    assert (row.status, row.reason) == ("rejected", "Invalid token")
    assert row.evidence["create"]["http_status"] == 401
    assert asked(kit, "create") <= 1 + 3
    assert not kit.signals("account_refused")
    assert not caplog.records


def test_a_key_that_is_refused_for_creates_and_polls_is_an_incident(kit: Seedance) -> None:
    follow(kit, 1)
    kit.run_due()
    fault = kit.simulator.fault("key_refused")
    video = generate_video("A kite")
    kit.advance(300)
    assert video.current().status == "creating"
    assert kit.signals("account_refused") == ["account_refused"]
    kit.simulator.clear(fault)
    kit.run_until_done()
    assert video.current().status == "completed"


def test_a_balance_that_stays_used_up_is_told_once(
    kit: Seedance, caplog: pytest.LogCaptureFixture
) -> None:
    fault = kit.simulator.fault("create_402")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            generate_video("A kite")
            kit.advance(health.NO_QUOTA_PAUSE + 60)
        assert caplog.text.count("no balance") == 1
        kit.simulator.clear(fault)
        generate_video("A kite")
        kit.run_until_done()
        kit.simulator.fault("create_402")
        generate_video("A kite")
        kit.run_until_done()
    assert caplog.text.count("no balance") == 2
