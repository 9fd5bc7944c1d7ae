"""Messages that come twice, late, never, or without the row they are about."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from celery import chain, current_app
from celery.signals import task_revoked
from django.db import OperationalError, connection, models
from kombu.exceptions import OperationalError as BrokerDown

from seedance_celery import sending
from seedance_celery.lifecycle.pruning import count, prune
from seedance_celery.lifecycle.sweep import sweep
from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import collect, publish, refund


def the_video() -> Video:
    return Video.objects.get()


def start(kit: Seedance, *scenarios: str) -> None:
    if scenarios:
        kit.next_video(*scenarios)
    chain(create_video.s("A kite"), poll_video.s().on_error(refund.s()), publish.s()).apply_async()


def lose_messages(kit: Seedance) -> None:
    kit.broker.fetch()
    kit.broker.messages.clear()


@contextmanager
def broker_down(times: float = float("inf"), only: str = "") -> Iterator[list[str]]:
    """Let publishing fail, so many times, for tasks whose name has `only` in it."""
    app = current_app._get_current_object()
    real, failed = app.amqp.send_task_message, []

    def publish_message(producer: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if len(failed) < times and only in name:
            failed.append(name)
            raise BrokerDown("the broker is away")
        return real(producer, name, *args, **kwargs)

    app.amqp.send_task_message = publish_message
    try:
        yield failed
    finally:
        app.amqp.send_task_message = real


def test_every_message_lost_again_and_again_loses_no_video(kit: Seedance) -> None:
    start(kit)
    for _ in range(12):
        kit.advance(25)
        lose_messages(kit)
    kit.run_until_done()
    assert (the_video().status, canvas.names(), kit.charges) == ("completed", ["publish"], 1)


def test_every_message_delivered_twice_doubles_nothing(kit: Seedance) -> None:
    class Doubling(list[Any]):
        def append(self, message: Any) -> None:
            super().append(message)
            super().append(message)

    kit.broker.messages = Doubling()
    start(kit)
    kit.run_until_done()
    assert canvas.names().count("publish") in (1, 2)  # the user's own message doubles, too
    assert kit.charges == 1
    assert kit.signals("video_completed") == ["video_completed"]


def test_a_copy_that_comes_after_the_canvas_went_on_ends_silently(kit: Seedance) -> None:
    start(kit)
    first = kit.broker.fetch()[0]
    seen: list[Any] = [first]
    while not the_video_ended():
        kit.advance(5)
        seen += kit.broker.fetch()
    kit.run_until_done()
    before = len(kit.simulator.requests)
    for message in seen:
        kit.run(message)
    kit.run_until_done()
    assert canvas.names().count("publish") <= 2
    ours = [m for m in seen if m.task.startswith("seedance_celery")]
    assert ours
    assert len(kit.simulator.requests) == before
    assert kit.signals("video_finished") == ["video_finished"]


def the_video_ended() -> bool:
    return Video.objects.filter(finished_at__isnull=False).exists()


def test_a_stale_loop_and_the_one_that_replaced_it_do_not_both_ask(kit: Seedance) -> None:
    start(kit, "slow=50")
    kit.advance(30)
    stale = [m for m in kit.broker.fetch() if m.task == sending.REFRESH]
    Video.objects.update(overdue_at=kit.clock.time - timedelta(seconds=1))
    sweep()
    kit.broker.messages += stale
    kit.advance(120)
    assert len([m for m in kit.broker.fetch() if m.task == sending.REFRESH]) == 1
    times = kit.simulator.videos[the_video().api_id].asked_at
    assert all(b - a >= 9 for a, b in pairwise(times)), times


def test_refresh_asks_no_sooner_than_ten_seconds_after_the_last_time(kit: Seedance) -> None:
    start(kit, "slow=50")
    kit.advance(60)
    for _ in range(60):
        the_video().refresh()
        kit.advance(1)
    times = kit.simulator.videos[the_video().api_id].asked_at
    assert all(b - a >= 9 for a, b in pairwise(times)), times


def test_many_sweeps_at_once_send_each_row_once(kit: Seedance) -> None:
    for number in range(5):
        track_video(f"task_{number}")
    lose_messages(kit)
    kit.clock.advance(100)
    assert [sweep().loops for _ in range(3)] == [5, 0, 0]


def test_what_stays_unheard_is_sent_ever_less_often(kit: Seedance) -> None:
    track_video("task_1")
    lose_messages(kit)
    sent = []
    for _ in range(240):
        kit.clock.advance(30)
        sent.append(sweep().loops)
        lose_messages(kit)
    assert 8 <= sum(sent) <= 14


def test_a_broker_that_is_away_does_not_double_the_wait(kit: Seedance) -> None:
    with broker_down():
        video = generate_video("A kite", link=publish.s())
        for _ in range(20):
            kit.clock.advance(30)
            assert sweep().tasks == 0
    kit.advance(31)
    assert video.current().api_id
    kit.run_until_done()
    assert canvas.names() == ["publish"]


@pytest.mark.parametrize("only", ["refresh_video", "poll_video", "publish", "create_video"])
def test_a_broker_that_is_away_at_one_moment_loses_nothing(kit: Seedance, only: str) -> None:
    start(kit)
    with broker_down(times=4, only=only) as failed:
        kit.run_until_done()
    assert failed or only == "create_video"
    assert (the_video().status, canvas.names(), kit.charges) == ("completed", ["publish"], 1)


def test_a_database_error_in_a_step_means_to_try_again(kit: Seedance) -> None:
    failures = iter([3, 9, 14, 22, 35, 41])
    count, at = 0, next(failures)

    def flaky(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal count, at
        if not sql.startswith(("SELECT", "UPDATE", "INSERT")):
            return execute(sql, *rest)
        count += 1
        if count == at:
            at = next(failures, 0)
            raise OperationalError("deadlock detected")
        return execute(sql, *rest)

    start(kit)
    kit.broker.fetch()
    with connection.execute_wrapper(flaky):
        for _ in range(40):
            try:
                kit.advance(5)
            except OperationalError:
                continue
    kit.run_until_done()
    assert count > 45
    assert (the_video().status, canvas.names(), kit.charges) == ("completed", ["publish"], 1)


def test_a_revoked_task_stays_dropped(kit: Seedance) -> None:
    api_id = create_video("A kite")["id"]
    result = chain(poll_video.s(api_id), publish.s()).apply_async()
    kit.run_due()
    poll_id = KeptTask.objects.get().celery_id
    assert result.parent.id == poll_id
    request = type("Request", (), {"id": poll_id})
    task_revoked.send(sender=poll_video, request=request, terminated=False)
    kit.run_until_done()
    assert the_video().status == "completed"
    assert canvas.names() == []


def test_stop_waiting_before_the_create_still_buys_the_video(kit: Seedance) -> None:
    video = generate_video("A kite", link=canvas.publish.s())
    assert video.stop_waiting() == 1
    kit.run_until_done()
    assert video.current().status == "completed"
    assert canvas.ran == []


def test_stop_waiting_drops_the_tasks_and_follows_the_video(kit: Seedance) -> None:
    video = generate_video("A kite", link=publish.s(), link_error=refund.s())
    kit.advance(3)
    assert video.stop_waiting() >= 1
    kit.run_until_done()
    assert video.current().status == "completed"
    assert canvas.names() == []


def test_a_video_cannot_be_deleted_while_it_renders_or_tasks_wait(kit: Seedance) -> None:
    video = generate_video("A kite", link=publish.s())
    with pytest.raises(models.ProtectedError):
        video.delete()
    kit.run_until_done()
    video.current().delete()
    assert not KeptTask.objects.exists()


def test_arguments_that_are_no_json_wait_by_retrying_with_a_warning(
    kit: Seedance, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = current_app._get_current_object()
    app.conf.accept_content = ["pickle", "json"]
    for name in (sending.POLL, publish.name):
        monkeypatch.setattr(app.tasks[name], "serializer", "pickle")
        monkeypatch.setattr(app.tasks[name], "_exec_options", None)
    try:
        api_id = create_video("A kite")["id"]
        chain(poll_video.s(api_id), publish.s({1, 2})).apply_async()
        kit.run_until_done()
    finally:
        app.conf.accept_content = ["json"]
        for name in (sending.POLL, publish.name):
            app.tasks[name]._exec_options = None
    assert canvas.names() == ["publish"]
    assert "waits by retrying" in caplog.text


@pytest.mark.parametrize("depth", [40, 100, 240])
def test_a_canvas_however_deep_goes_on_and_refunds_nothing(
    kit: Seedance, caplog: pytest.LogCaptureFixture, depth: int
) -> None:
    """One that is too deep to be kept waits by retrying, with one warning."""
    step: Any = publish.si("the end")
    for _ in range(depth):
        before: Any = publish.si("a step")
        before.link(step)
        step = before
    poll_video.s(kit.buy()).on_error(refund.s()).apply_async(link=step)
    kit.run_until_done()
    assert canvas.names() == ["publish"] * (depth + 1)
    assert caplog.text.count("waits by retrying") == (depth > 60)
    assert kit.raised == []


def test_an_expired_message_is_sent_again_without_its_expiry(kit: Seedance) -> None:
    api_id = create_video("A kite")["id"]
    poll = poll_video.s(api_id).set(expires=30)
    chain(poll, publish.s()).apply_async()
    kit.run_until_done()
    assert canvas.names() == ["publish"]


def test_a_timed_out_video_that_ends_late_is_collected_and_told_as_late(kit: Seedance) -> None:
    kit.next_video("stuck=4500")
    video = generate_video("A kite", link=publish.s(), link_error=refund.s(), store=True)
    kit.advance(3700)
    assert video.current().status == "timed_out"
    assert canvas.names() == ["refund"]
    kit.advance(4 * 3600)
    assert video.current().status == "completed"
    assert video.current().late
    completed = [f for f in kit.fired if f.name == "video_completed"]
    assert [f.details for f in completed] == [{"late": True}]
    assert kit.signals("video_finished") == ["video_finished"] * 2


def test_a_timed_out_video_is_asked_for_four_more_times_in_a_day(kit: Seedance) -> None:
    kit.next_video("stuck")
    video = generate_video("A kite")
    kit.advance(3700)
    assert video.current().status == "timed_out"
    before = kit.simulator.counts["retrieve"]
    kit.advance(48 * 3600)
    assert kit.simulator.counts["retrieve"] - before == 4
    ended = video.current().finished_at.timestamp()
    asked = kit.simulator.videos[video.current().api_id].asked_at[-4:]
    waits = [round(at - ended) for at in asked]
    wanted = [600, 3600, 21600, 86400]
    assert all(0 <= wait - want <= 95 for wait, want in zip(waits, wanted, strict=True)), waits


def test_workers_that_were_down_past_the_deadline_ask_before_they_time_out(kit: Seedance) -> None:
    start(kit)
    kit.advance(2)
    kit.clock.advance(2 * 3600)
    kit.run_until_done()
    assert (the_video().status, canvas.names()) == ("completed", ["publish"])


def test_without_any_answer_a_video_times_out_an_hour_after_its_deadline(kit: Seedance) -> None:
    kit.next_video("stuck")
    video = generate_video("A kite", timeout=600)
    kit.advance(20)
    kit.simulator.fault("http_502", routes=["retrieve"])
    kit.advance(600 + 3500)
    assert not video.current().is_finished
    kit.advance(200)
    assert video.current().status == "timed_out"


def test_resume_waits_again_with_a_new_deadline_and_signals_of_its_own(kit: Seedance) -> None:
    kit.next_video("stuck=4500")
    video = generate_video("A kite")
    kit.advance(3700)
    assert video.resume(timeout=3600)
    assert not video.resume()
    kit.run_until_done()
    assert video.current().status == "completed"
    assert not video.current().late
    names = [n for n in kit.signals() if n != "video_progressed"]
    assert names[1:] == [
        "video_timed_out",
        "video_finished",
        "video_completed",
        "video_finished",
    ]


def test_only_finished_and_forgotten_videos_are_pruned(kit: Seedance) -> None:
    done = generate_video("A kite", link=publish.s())
    kit.run_until_done()
    kit.next_video("stuck")
    waiting = generate_video("Another", timeout=10**8)
    kit.advance(60)
    assert not prune(3600).videos
    kit.clock.advance(8 * 86400)
    assert count(3600).videos == [done.pk]
    assert prune(3600).videos == [done.pk]
    assert list(Video.objects.all()) == [waiting]
    assert not Video.objects.filter(pk=done.pk).exists()


def test_logs_and_messages_hold_no_prompt_key_or_signature(
    kit: Seedance, caplog: pytest.LogCaptureFixture
) -> None:
    # Celery logs what a task of the project's returns: this one returns nothing.
    seen: list[str] = []
    with caplog.at_level(logging.DEBUG):
        generate_video("A secret kite", link=collect.s(), link_error=refund.s(), store=True)
        while not the_video_ended() or kit.broker.fetch():
            for message in kit.broker.fetch():
                if message.task != collect.name:
                    seen.append(f"{message.headers} {message.body}")
            kit.advance(1)
    everything = caplog.text + "".join(seen)
    for secret in ("secret kite", "sk-simulator", "signature="):
        assert secret not in everything


@pytest.mark.parametrize(
    ("scenario", "event"),
    [
        ("create_dropped", "the create's outcome is unknown"),
        ("stuck", "timed_out"),
        ("slow", None),
    ],
)
def test_what_may_have_cost_money_and_brought_nothing_is_a_warning(
    kit: Seedance, caplog: pytest.LogCaptureFixture, scenario: str, event: str | None
) -> None:
    kit.next_video(scenario)
    video = generate_video("A kite", timeout=60)
    kit.run_until_done()
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert bool(warnings) is bool(event)
    assert not event or f"Video {video.current()}: {event}" in warnings
