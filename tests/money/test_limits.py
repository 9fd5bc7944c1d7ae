"""`MAX_IN_FLIGHT` and `MAX_CREATES`: how many videos an account has at once, and buys a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from celery import chain
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.test import override_settings

from seedance_celery import sending
from seedance_celery.accounts import limits
from seedance_celery.accounts.limits import Verdict
from seedance_celery.buying.create import _right
from seedance_celery.conf import Account, get_settings
from seedance_celery.exceptions import CreateRejected
from seedance_celery.models import AccountState, KeptTask, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import publish, refund
from tests.core.test_once import failing
from tests.core.test_races import at_once
from tests.harness.databases import Database


@pytest.fixture
def limited(kit: Seedance) -> Iterator[Seedance]:
    """A kit whose account may have two videos at a time."""
    with override_settings(SEEDANCE={**_settings(), "MAX_IN_FLIGHT": 2}):
        yield kit


def _settings() -> dict[str, Any]:
    from django.conf import settings

    return dict(settings.SEEDANCE)


def rendering() -> int:
    return Video.objects.filter(status__in=Video.POLLED).count()


def waiting() -> int:
    return limits.in_line("default").count()


def busiest(kit: Seedance) -> int:
    """Return how many renders overlapped at most, as the API saw them."""
    changes = [(v.created_at, 1) for v in kit.simulator.videos.values()]
    changes += [(v.ended_at, -1) for v in kit.simulator.videos.values()]
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def bought_order(kit: Seedance) -> list[str]:
    bought = sorted(kit.simulator.videos.values(), key=lambda video: video.created_at)
    prompts = dict(Video.objects.values_list("api_id", "prompt"))
    return [prompts[video.api_id] for video in bought]


def test_creates_beyond_the_limit_wait_their_turn_and_all_are_bought(limited: Seedance) -> None:
    for number in range(7):
        generate_video(f"{number}", link=publish.s())
        limited.clock.advance(0.01)
    limited.run_due()
    assert (rendering(), waiting()) == (2, 5)
    limited.run_until_done()
    assert busiest(limited) == 2
    assert bought_order(limited) == [str(number) for number in range(7)]
    assert canvas.names() == ["publish"] * 7


@pytest.mark.parametrize("scenario", ["normal", "failed", "create_400", "create_dropped"])
def test_the_next_goes_at_once_when_one_ends(limited: Seedance, scenario: str) -> None:
    limited.next_video(scenario)
    limited.next_video("slow")
    for number in range(4):
        chain(create_video.s(f"{number}"), poll_video.s(), publish.s()).apply_async()
    limited.run_due()
    while Video.objects.filter(finished_at=None).exclude(status="create_unknown").count() == 4:
        limited._pass(limited.clock.time + timedelta(days=1))
    limited.run_due()
    assert rendering() == 2
    assert waiting() in (0, 1)


def test_waiting_for_its_turn_uses_up_no_timeout(limited: Seedance) -> None:
    for number in range(3):
        generate_video(f"{number}", timeout=7200 if number < 2 else 60)
        limited.clock.advance(0.01)
    limited.simulator.fault("http_503", seconds=3600, routes=["retrieve"])
    limited.advance(3500)
    assert (rendering(), waiting()) == (2, 1)
    limited.run_until_done()
    assert set(Video.objects.values_list("status", flat=True)) == {"completed"}


def test_after_its_turn_has_come_the_timeout_counts(limited: Seedance) -> None:
    for _ in range(2):
        generate_video("first")
    limited.clock.advance(0.01)
    late = generate_video("late", timeout=60)
    limited.run_due()
    assert late.current().in_line_since is not None
    Video.objects.exclude(pk=late.pk).update(status="failed", finished_at=limited.clock.time)
    limits.call_next("default")
    limited.simulator.fault("key_refused", seconds=600)
    limited.run_due()
    assert late.current().in_line_since is None
    limited.advance(200)
    assert late.current().status == "rejected"


def test_what_nobody_called_is_called_by_the_sweep(limited: Seedance) -> None:
    for number in range(3):
        generate_video(f"{number}")
        limited.clock.advance(0.01)
    limited.run_due()
    # The process that saw these two end died before it called the next.
    Video.objects.filter(status__in=Video.POLLED).update(
        status="failed", finished_at=limited.clock.time, overdue_at=None
    )
    limited.broker.messages.clear()
    limited.advance(35)
    assert rendering() + Video.objects.filter(status="completed").count() == 1


def test_a_create_whose_sender_is_gone_does_not_hold_up_the_line(limited: Seedance) -> None:
    videos = []
    for number in range(4):
        videos.append(generate_video(f"{number}"))
        limited.clock.advance(0.01)
    limited.run_due()
    KeptTask.objects.filter(video=videos[2]).finish()
    limited.run_until_done()
    assert [video.current().status for video in videos] == [
        "completed",
        "completed",
        "rejected",
        "completed",
    ]


def test_a_direct_call_waits_its_turn(limited: Seedance) -> None:
    for _ in range(2):
        Video.objects.create(
            status="queued", api_id=None, deadline_at=None, created_at=limited.clock.time
        )
    ends_at = limited.clock.time + timedelta(seconds=50)
    sleep = limited.clock.sleep

    def pass_time(seconds: float) -> None:
        sleep(seconds)
        if limited.clock.time > ends_at:
            Video.objects.filter(status="queued", api_id=None).update(
                status="failed", finished_at=limited.clock.time
            )

    limited.clock.sleep = pass_time  # type: ignore[method-assign]
    reply = create_video("A kite")
    assert limited.clock.time > ends_at
    assert (limited.charges, reply["status"]) == (1, "queued")


def test_bought_again_a_create_waits_its_turn_as_well(limited: Seedance) -> None:
    limited.next_video("create_dropped")
    unknown = generate_video("unknown")
    limited.run_due()
    for number in range(2):
        generate_video(f"{number}")
    limited.run_due()
    assert unknown.buy_again()
    limited.run_due()
    assert (unknown.current().status, rendering()) == ("creating", 2)
    limited.run_until_done()
    assert unknown.current().status == "completed"
    assert limited.charges == 4


def test_a_canvas_that_cannot_be_kept_waits_its_turn_by_retrying(
    limited: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = limited.app
    before = app.conf.accept_content
    app.conf.accept_content = ["pickle", "json"]
    for task in (create_video, publish):
        monkeypatch.setattr(task, "serializer", "pickle")
        monkeypatch.setattr(task, "_exec_options", None)
    try:
        for number in range(4):
            details = {1, 2} if number == 3 else number
            chain(create_video.s(f"{number}"), publish.s(details)).apply_async()
            limited.clock.advance(0.01)
        limited.run_until_done()
    finally:
        app.conf.accept_content = before
        for task in (create_video, publish):
            task._exec_options = None
    assert limited.charges == 4
    assert busiest(limited) == 2
    assert canvas.names() == ["publish"] * 4


# MAX_CREATES.


def with_creates(number: int, **more: Any) -> Any:
    return override_settings(SEEDANCE={**_settings(), "MAX_CREATES": number, **more})


def test_beyond_the_days_limit_a_create_is_rejected_before_any_request(kit: Seedance) -> None:
    with with_creates(2):
        for number in range(3):
            create = create_video.s(f"{number}").on_error(refund.s())
            chain(create, poll_video.s(), publish.s()).apply_async()
            kit.run_due()
        kit.run_until_done()
        assert (kit.charges, kit.simulator.counts["create"]) == (2, 2)
        refused = Video.objects.get(status="rejected")
        assert "MAX_CREATES" in refused.reason
        assert sorted(canvas.names()) == ["publish", "publish", "refund"]
        error = next(value for name, value in canvas.ran if name == "refund")
        assert isinstance(error, CreateRejected)


def test_the_days_limit_ends_with_the_day_utc(kit: Seedance) -> None:
    kit.clock.time = datetime(2026, 1, 1, 23, 59, tzinfo=timezone.utc)
    with with_creates(1):
        for _ in range(2):
            generate_video("today")
        kit.run_due()
        kit.clock.advance(61)
        generate_video("tomorrow")
        kit.run_until_done()
    assert kit.charges == 2
    assert Video.objects.filter(prompt="tomorrow").get().status == "completed"


@pytest.mark.parametrize("scenario", ["create_400", "create_429", "create_402"])
def test_what_bought_nothing_is_not_counted(kit: Seedance, scenario: str) -> None:
    kit.next_video(scenario)
    with with_creates(1):
        generate_video("refused")
        kit.run_until_done()
        generate_video("bought")
        kit.run_until_done()
    assert kit.charges == 1


def test_what_may_be_bought_is_counted_and_so_is_buying_again(kit: Seedance) -> None:
    kit.next_video("create_dropped")
    with with_creates(1):
        unknown = generate_video("unknown")
        kit.run_until_done()
        assert unknown.buy_again()
        kit.run_until_done()
    assert (unknown.current().status, kit.charges) == ("rejected", 1)


def test_a_limit_of_none_a_day_buys_nothing(kit: Seedance) -> None:
    with with_creates(0):
        generate_video("A kite")
        kit.run_until_done()
    assert kit.simulator.counts["create"] == 0


def test_accounts_have_limits_of_their_own(kit: Seedance) -> None:
    accounts = {
        name: {"API_KEY": f"sk-{name}", "BASE_URL": kit.url, "MAX_CREATES": number}
        for name, number in (("eu", 1), ("us", 2))
    }
    with override_settings(SEEDANCE={"ACCOUNTS": accounts}):
        for name in ("eu", "us"):
            for _ in range(2):
                generate_video("A kite", account=name)
        kit.run_until_done()
    rejected = Video.objects.filter(status="rejected").values_list("account", flat=True)
    assert list(rejected) == ["eu"]


def test_an_account_that_is_unknown_is_an_error_before_anything_is_sent(kit: Seedance) -> None:
    with pytest.raises(ImproperlyConfigured, match="no account 'us'"):
        generate_video("A kite", account="us")
    with pytest.raises(ImproperlyConfigured, match="no account 'us'"):
        create_video("A kite", account="us")
    assert not Video.objects.exists()
    assert not kit.simulator.requests


def test_an_account_that_the_settings_lost_holds_its_creates_back(kit: Seedance) -> None:
    accounts = {"eu": {"API_KEY": "sk-eu", "BASE_URL": kit.url}}
    with override_settings(SEEDANCE={**_settings(), "ACCOUNTS": accounts}):
        video = generate_video("A kite", account="eu")
    kit.advance(100)
    assert video.current().status == "creating"
    assert kit.signals("account_refused") == ["account_refused"]
    with override_settings(SEEDANCE={**_settings(), "ACCOUNTS": accounts}):
        kit.run_until_done()
    assert (video.current().status, kit.charges) == ("completed", 1)


# Races.


def _unsent(count: int) -> list[Video]:
    return [Video.objects.create(status="creating") for _ in range(count)]


def _won(account: Account, *videos: Video) -> int:
    """Let one thread for each row try to take the right to POST; return how many did."""
    rows = list(videos)

    def take() -> bool:
        row = rows.pop().current()
        return limits.win(row, account, **_right(row)) is Verdict.GO

    return at_once(take, len(videos)).count(True)


@pytest.mark.parametrize("round_", range(3))
def test_many_at_once_never_take_more_places_than_there_are(
    database: Database, round_: int
) -> None:
    account = Account("default", max_in_flight=3)
    assert _won(account, *_unsent(8)) <= 3
    sent = Video.objects.filter(post_started_at__isnull=False)
    # Who came before an older one was through has to look again; the oldest three get there.
    for video in limits.in_line("default").order_by("created_at", "pk"):
        row = video.current()
        limits.win(row, account, **_right(row))
    assert sent.count() == 3


@pytest.mark.parametrize("round_", range(3))
def test_many_at_once_never_buy_more_than_a_days_creates(database: Database, round_: int) -> None:
    assert _won(Account("default", max_creates=3), *_unsent(8)) == 3
    assert AccountState.objects.get().creates == 3


def test_one_account_waits_for_no_other(database: Database) -> None:
    eu, us = Account("eu", max_in_flight=1), Account("us", max_in_flight=1)
    for account in (eu, us):
        row = Video.objects.create(status="creating", account=account.name).current()
        assert limits.win(row, account, **_right(row)) is Verdict.GO
    assert get_settings().account().max_in_flight is None


def test_the_first_of_a_line_does_not_wait_for_itself(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_sent", lambda *_: True)
    account = Account("default", max_in_flight=1)
    rows = [generate_video(prompt) for prompt in "ab"]
    second, first = (row.current() for row in reversed(rows))
    assert limits.win(second, account, **_right(second)) is not Verdict.GO
    assert limits.win(first, account, **_right(first)) is Verdict.GO


def test_a_create_that_is_taken_off_the_count_is_taken_off_once(
    transactional_db: None,
) -> None:
    with Seedance(http=True, MAX_CREATES=5) as kit:
        for _ in range(2):
            generate_video("bought")
        kit.run_due()
        kit.simulator.fault("rate_limited", routes=["create"], seconds=60)
        generate_video("limited")
        with failing(OperationalError("gone"), '"create_tries" =', 1) as failed:
            kit.run_due()
        assert len(failed) == 1
        assert AccountState.objects.get().creates == 2
        kit.run_until_done()
        assert AccountState.objects.get().creates == 3
