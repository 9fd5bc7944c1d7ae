"""What the batch poller does with rows, in one process and on the simulator's clock."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from celery import chain
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext, override_settings

from seedance_celery import sending, signals
from seedance_celery.conf import get_settings
from seedance_celery.lifecycle.sweep import sweep
from seedance_celery.models import AccountState, Poller, Video
from seedance_celery.polling import batch, poll
from seedance_celery.polling.bulk import claim, move_all
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import publish, refund


def buy(kit: Seedance, count: int, *scenarios: str) -> list[Video]:
    """Buy videos without running what polls them."""
    videos = []
    for _ in range(count):
        kit.next_video(*scenarios)
        videos.append(generate_video("A kite"))
    while any(message.task != sending.BATCH for message in kit.broker.fetch()):
        kit.run(take(kit, *(name for name in sending.__dict__.values() if name != sending.BATCH)))
    return [video.current() for video in videos]


def take(kit: Seedance, *names: Any) -> Any:
    """Take the first message of these tasks."""
    message = next(m for m in kit.broker.fetch() if m.task in names)
    kit.broker.messages.remove(message)
    return message


def asked(kit: Seedance) -> int:
    """Return how often any video was asked for."""
    return sum(len(video.asked_at) for video in kit.simulator.videos.values())


def sent(kit: Seedance, name: str) -> list[Any]:
    return [message for message in kit.broker.fetch() if message.task == name]


@contextmanager
def settings(**changes: Any) -> Iterator[None]:
    from django.conf import settings as django_settings

    with override_settings(SEEDANCE={**django_settings.SEEDANCE, **changes}):
        yield


def test_a_chain_goes_on_and_no_message_waits_for_a_video(kit: Seedance) -> None:
    for _ in range(20):
        kit.next_video("slow")
        chain(create_video.s("A kite"), poll_video.s(), publish.s()).apply_async()
    kit.advance(30)
    assert not sent(kit, sending.REFRESH)
    assert len(sent(kit, sending.BATCH)) == 1
    kit.run_until_done()
    assert canvas.names() == ["publish"] * 20
    assert kit.signals("video_completed") == ["video_completed"] * 20


def test_the_cadence_is_that_of_the_loop(kit: Seedance) -> None:
    buy(kit, 10, "slow")
    kit.run_until_done()
    for video in kit.simulator.videos.values():
        gaps = [later - earlier for earlier, later in pairwise(video.asked_at)]
        assert gaps
        assert all(10.0 <= gap <= 22.0 for gap in gaps), gaps


def test_a_poller_ends_with_the_last_video_and_begins_with_the_next(kit: Seedance) -> None:
    generate_video("A kite")
    kit.run_until_done()
    assert not kit.broker.fetch()
    assert Poller.objects.get().overdue_at is None
    generate_video("Another")
    kit.run_until_done()
    assert kit.signals("video_completed") == ["video_completed"] * 2


def test_a_hundred_due_videos_cost_a_few_statements(kit: Seedance) -> None:
    videos = buy(kit, 100, "stuck")
    kit.clock.advance(20)
    kit.run_due()  # each tells of a new status, which is a row's own affair
    kit.clock.advance(20)
    before = asked(kit)
    with CaptureQueriesContext(connection) as captured:
        kit.run_due()
    assert asked(kit) - before == len(videos)
    reads = [q["sql"] for q in captured if q["sql"].startswith("SELECT")]
    assert len(reads) < 20, reads


def test_progress_is_told_once_it_is_written(kit: Seedance) -> None:
    seen = []

    def receiver(video: Video, **kwargs: Any) -> None:
        assert (video.status, video.progress) == (video.current().status, video.current().progress)
        seen.append(video.progress)

    signals.video_progressed.connect(receiver)
    try:
        kit.next_video("slow")
        generate_video("A kite")
        kit.run_until_done()
    finally:
        signals.video_progressed.disconnect(receiver)
    assert seen == sorted(seen)
    assert len(seen) > 1


@pytest.mark.parametrize("scenario", ["failed", "error"])
def test_an_end_is_announced_by_a_task_of_its_own(kit: Seedance, scenario: str) -> None:
    kit.next_video(scenario)
    generate_video("A kite", link_error=refund.s())
    while not Video.objects.filter(status=scenario).exists():
        kit.clock.advance(5)
        while (message := kit.broker.take()) and message.task != sending.REFRESH:
            kit.run(message)
    assert kit.signals("video_finished") == []
    kit.run(message)
    assert kit.signals("video_finished") == ["video_finished"]
    kit.run_until_done()
    assert canvas.names() == ["refund"]


def test_what_a_poller_that_died_had_claimed_is_asked_for_again(kit: Seedance) -> None:
    buy(kit, 3, "stuck")
    kit.clock.advance(20)
    settings_ = get_settings()
    assert len(claim("default", 10, settings_.poll_limit)) == 3
    assert claim("default", 10, settings_.poll_limit) == []
    before = asked(kit)
    kit.advance(settings_.poll_limit + 5)
    assert asked(kit) - before >= 3


def test_a_lost_message_is_the_sweeps(kit: Seedance) -> None:
    generate_video("A kite", link=publish.s())
    kit.advance(15)
    kit.broker.fetch()
    kit.broker.messages.clear()
    kit.run_until_done()
    assert canvas.names() == ["publish"]


def test_an_overdue_poller_is_sent_more_and_more_rarely(kit: Seedance) -> None:
    buy(kit, 1)
    waits = []
    for _ in range(4):
        poller = Poller.objects.with_now().get()
        assert poller.overdue_at is not None
        waits.append((poller.overdue_at - poller.now).total_seconds())
        kit.clock.advance(waits[-1])
        assert sweep().loops == 1
        assert sweep().loops == 0
    assert [round(b / a, 1) for a, b in pairwise(waits[1:])] == [2.0, 2.0]
    # The oldest copy begins, and the others are stale: a long queue loses nothing.
    before = asked(kit)
    kit.run_due()
    assert asked(kit) - before == 1


def test_a_video_that_is_due_sooner_calls_the_poller(kit: Seedance) -> None:
    slow, other = buy(kit, 2, "stuck")
    kit.advance(25)
    rows = Video.objects.filter(pk=slow.pk)
    rows.update(next_poll_at=kit.clock.time + timedelta(seconds=18))
    Video.objects.filter(pk=other.pk).update(next_poll_at=kit.clock.time + timedelta(seconds=18))
    kit.broker.messages.clear()
    poller = Poller.objects.with_now().get()
    Poller.objects.update(next_at=kit.clock.time + timedelta(seconds=18))
    rows.update(asked_at=kit.clock.time - timedelta(seconds=11))
    assert slow.refresh()
    assert Poller.objects.get().token == poller.token
    before = asked(kit)
    kit.run_due()
    assert asked(kit) - before == 1


def test_a_copy_of_a_pollers_message_asks_for_nothing(kit: Seedance) -> None:
    buy(kit, 1)
    kit.clock.advance(20)
    message = take(kit, sending.BATCH)
    kit.run(message)
    before = asked(kit)
    kit.clock.advance(20)
    assert kit.run(message) is None
    assert asked(kit) == before


def test_a_limit_holds_all_videos_of_the_key_and_they_come_back_apart(kit: Seedance) -> None:
    videos = buy(kit, 40, "stuck")
    kit.simulator.fault("rate_limited_retry_after", routes=["retrieve"])
    kit.clock.advance(20)
    before = asked(kit)
    kit.run_due()
    # No more than were under way, and one strike for all of them.
    assert asked(kit) - before <= get_settings().batch_connections
    assert AccountState.objects.get().strikes == 1
    waits = sorted(v.current().next_poll_at - kit.clock.time for v in videos)
    assert waits[0] >= timedelta(seconds=10)
    assert waits[-1] - waits[0] > timedelta(seconds=5)


def test_one_at_a_time_tries_whether_a_key_works_again(kit: Seedance) -> None:
    buy(kit, 20, "stuck")
    kit.simulator.fault("key_refused", routes=["retrieve"])
    kit.clock.advance(20)
    kit.run_due()
    AccountState.objects.update(hold_until=None)
    Video.objects.update(next_poll_at=kit.clock.time)
    before = asked(kit)
    kit.clock.advance(40)
    kit.run_due()
    assert asked(kit) - before == 1
    assert kit.signals("account_refused") == ["account_refused"]


def test_a_refused_account_does_not_hold_up_another(kit: Seedance) -> None:
    url = get_settings().base_url
    accounts = {name: {"API_KEY": f"sk-{name}", "BASE_URL": url} for name in ("good", "bad")}
    with settings(ACCOUNTS=accounts):
        good = generate_video("A kite", account="good", link=publish.s())
        bad = generate_video("A kite", account="bad")
        kit.run_due()
        AccountState.objects.create(
            name="bad", strikes=1, hold_until=kit.clock.time + timedelta(days=1)
        )
        kit.advance(400)
        assert good.current().status == "completed"
        assert asked(kit) == len(kit.simulator.videos[good.current().api_id].asked_at)
        assert bad.current().status == "queued"
    assert canvas.names() == ["publish"]


def test_a_video_whose_request_breaks_holds_up_no_other(
    kit: Seedance, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asking(video: Video) -> Any:
        if video.pk == videos[0].pk:
            raise RuntimeError("the hook of an instrument")
        return ask(video)

    ask, videos = poll.ask, buy(kit, 2)
    monkeypatch.setattr(poll, "ask", asking)
    caplog.set_level(logging.ERROR, "seedance_celery")
    kit.advance(400)
    assert [video.current().status for video in videos] == ["queued", "completed"]
    assert "cannot be asked for (RuntimeError)" in caplog.text


def test_an_answer_to_a_row_that_moved_meanwhile_is_dropped(kit: Seedance) -> None:
    first, second = buy(kit, 2)
    kit.clock.advance(20)
    claimed = claim("default", 10, 60)
    assert Video.objects.filter(pk=first.pk).update(poll_token=99)
    won = move_all([(video, {"progress": 7}) for video in claimed])
    assert [video.pk for video in won] == [second.pk]
    assert (first.current().progress, second.current().progress) == (0, 7)
    assert second.current().poll_token == won[0].poll_token


def test_tracked_and_resumed_videos_are_asked_for_at_once(kit: Seedance) -> None:
    bought = create_video("A kite")["id"]
    kit.run_until_done()
    Video.objects.all().delete()
    video = track_video(bought)
    kit.run_due()
    assert video.current().status == "completed"


def test_two_pollers_of_an_account_share_its_rows(kit: Seedance) -> None:
    with settings(BATCH_TASKS=2):
        buy(kit, 10, "slow")
        kit.advance(5)
        assert len({m.body[0][1] for m in sent(kit, sending.BATCH)}) == 2
        kit.run_until_done()
    for video in kit.simulator.videos.values():
        assert all(later - earlier >= 10 for earlier, later in pairwise(video.asked_at))
    # A number that is no longer wanted ends by itself.
    generate_video("A kite")
    kit.run_until_done()
    assert not Poller.objects.filter(overdue_at__isnull=False).exists()


def test_eager_mode_polls_in_place(kit: Seedance) -> None:
    with settings(), _eager(kit):
        video = generate_video("A kite")
    assert video.current().status == "completed"


@contextmanager
def _eager(kit: Seedance) -> Iterator[None]:
    kit.app.conf.task_always_eager = True
    try:
        yield
    finally:
        kit.app.conf.task_always_eager = False


def test_a_direct_call_and_a_poller_share_a_video(kit: Seedance) -> None:
    result = poll_video(create_video("A kite"))
    assert result["status"] == "completed"
    kit.run_until_done()
    times = kit.simulator.videos[result["id"]].asked_at
    assert all(later - earlier >= 9 for earlier, later in pairwise(times))


def test_a_database_that_goes_away_brings_the_poller_back(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_video("A kite", link=publish.s())
    kit.advance(5)

    token = Poller.objects.get().token

    def gone(*args: Any) -> None:
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(lambda execute, *args: gone()):
        batch.act("default", 0, token)
    kit.run_until_done()
    assert canvas.names() == ["publish"]
