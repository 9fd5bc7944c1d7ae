"""What users' own tasks do under the kit: Celery's machinery, with time that passes at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from celery import chain, chord, group
from celery.result import AsyncResult
from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone
from kombu.exceptions import EncodeError

from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.signals import video_completed
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.kit import work


@contextmanager
def receiving(signal: Signal, receiver: Any) -> Iterator[None]:
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)


def test_a_retry_with_a_countdown_comes_back_after_it(seedance: Seedance) -> None:
    began = seedance.clock.time
    chain(create_video.s("A kite"), poll_video.s(), work.patient.s(), work.note.s()).apply_async()
    seedance.run_until_done()
    assert [value for name, value in work.ran if name == "patient"] == [0, 1, 2, 3]
    assert work.names()[-1] == "note"
    assert seedance.clock.time - began > timedelta(minutes=90)


def test_a_task_that_retries_by_itself_goes_on(seedance: Seedance) -> None:
    chain(work.shaky.s("x"), work.note.s()).apply_async()
    seedance.run_until_done()
    assert work.ran == [("shaky", "x")] * 3 + [("note", "x")]


def test_advance_stops_where_it_is_told_to(seedance: Seedance) -> None:
    work.note.apply_async(countdown=100)
    seedance.advance(99)
    assert work.names() == []
    seedance.advance(1)
    assert work.names() == ["note"]


def test_a_chord_of_videos_and_other_tasks_collects_them(seedance: Seedance) -> None:
    videos = [chain(create_video.s(f"Kite {n}"), poll_video.s()) for n in range(3)]
    chord([*videos, work.shaky.s("x")], work.note.s(tag="all")).apply_async()
    seedance.run_until_done()
    results = work.ran[-1][1]
    assert [r if r == "x" else r["status"] for r in results] == ["completed"] * 3 + ["x"]
    seedance.assert_charged(3)


def test_a_group_within_a_chain_goes_on(seedance: Seedance) -> None:
    poll = poll_video.s(seedance.buy())
    chain(poll, group(work.note.s(tag="a"), work.note.s(tag="b")), work.note.s()).apply_async()
    seedance.run_until_done()
    assert sorted(work.names()) == ["a", "b", "note"]


def test_both_kinds_of_errbacks_run(seedance: Seedance) -> None:
    poll = poll_video.s(seedance.buy("failed"))
    poll = poll.on_error(work.cleanup.s()).on_error(work.note.si("refund", tag="refund"))
    chain(poll, work.note.s()).apply_async()
    seedance.run_until_done()
    assert sorted(work.names()) == ["cleanup", "refund"]
    assert [raised.task for raised in seedance.raised] == ["seedance_celery.tasks.poll_video"]


def test_link_error_of_a_task_of_ones_own_runs(seedance: Seedance) -> None:
    work.wrong.apply_async(link_error=work.cleanup.s())
    seedance.run_until_done()
    assert work.ran == [("cleanup", "LookupError")]
    assert str(seedance.raised[0]) == "tests.kit.work.wrong raised LookupError"


def test_tasks_of_other_queues_and_with_rate_limits_run(seedance: Seedance) -> None:
    for number in range(3):
        work.elsewhere.apply_async((number,), queue="slow lane")
    assert {m.queue for m in seedance.broker.fetch()} == {"slow lane"}
    seedance.run_until_done()
    assert work.ran == [("elsewhere", 0), ("elsewhere", 1), ("elsewhere", 2)]


def test_what_a_receiver_sends_runs(seedance: Seedance) -> None:
    def receiver(sender: Any, video: Video, **kwargs: Any) -> None:
        work.note.delay(str(video.pk), tag="sent")
        transaction.on_commit(partial(work.note.delay, str(video.pk), tag="on commit"))

    with receiving(video_completed, receiver):
        video = generate_video("A kite")
        seedance.run_until_done()
    assert sorted(work.ran) == [("on commit", str(video.pk)), ("sent", str(video.pk))]


def test_what_a_task_sends_on_commit_runs(seedance: Seedance) -> None:
    work.careful.delay()
    seedance.run_until_done()
    assert work.names() == ["committed"]


def test_a_rejected_message_comes_again(seedance: Seedance) -> None:
    work.picky.delay()
    seedance.run_until_done()
    assert work.ran == [("picky", False), ("picky", True)]


def test_an_expired_message_is_revoked(seedance: Seedance) -> None:
    kept = work.note.apply_async(countdown=60, expires=120)
    late = work.note.apply_async(countdown=60, expires=30)
    seedance.run_until_done()
    assert work.names() == ["note"]
    assert (kept.state, late.state) == ("SUCCESS", "REVOKED")


def test_a_revoked_task_is_dropped(seedance: Seedance) -> None:
    result: AsyncResult[Any] = work.note.apply_async(countdown=60)
    result.revoke()
    seedance.run_until_done()
    assert work.names() == []
    assert result.state == "REVOKED"


def test_a_revoked_poll_is_not_sent_again(seedance: Seedance) -> None:
    result = chain(poll_video.s(seedance.buy("slow")), work.note.s()).apply_async()
    assert result.parent is not None
    seedance.run_due()
    result.parent.revoke()
    seedance.run_until_done()
    assert work.names() == []
    assert KeptTask.objects.get().finished_at is not None
    seedance.assert_fired("video_completed")


def test_an_eta_by_the_real_clock_is_near(seedance: Seedance) -> None:
    began = seedance.clock.time
    work.note.apply_async(eta=timezone.now() + timedelta(minutes=10))
    seedance.run_until_done()
    assert work.names() == ["note"]
    assert timedelta(minutes=9) < seedance.clock.time - began < timedelta(minutes=11)


def test_a_project_that_runs_its_tests_eagerly_does_not_here(seedance: Seedance) -> None:
    assert seedance.app.conf.task_always_eager is False
    seedance.app.conf.task_always_eager = True
    try:
        with Seedance() as inner:
            work.note.delay()
            assert work.names() == []
            inner.run_until_done()
            assert work.names() == ["note"]
        assert seedance.app.conf.task_always_eager is True
    finally:
        seedance.app.conf.task_always_eager = False


def test_a_result_can_be_had_once_it_is_there(seedance: Seedance) -> None:
    result = chain(poll_video.s(seedance.buy()), work.note.s()).apply_async()
    seedance.run_until_done()
    assert result.get(timeout=1)["status"] == "completed"


def test_arguments_that_json_cannot_carry_fail_as_in_production(seedance: Seedance) -> None:
    with pytest.raises(EncodeError):
        work.note.delay(object())


# What a test is told.


def test_an_unregistered_task_is_named(seedance: Seedance) -> None:
    seedance.app.send_task("films.tasks.publsh")
    with pytest.raises(AssertionError, match=r"films\.tasks\.publsh.*autodiscover_tasks"):
        seedance.run_until_done()


def test_tasks_that_never_end_are_named(
    seedance: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seedance_celery.testing.kit.MOST_AT_ONCE", 50)
    work.again.delay()
    with pytest.raises(AssertionError, match=r"50 tasks ran and no time passed.*work\.again"):
        seedance.run_until_done()


def test_what_is_left_is_named(seedance: Seedance) -> None:
    work.note.apply_async(countdown=86400)
    with pytest.raises(AssertionError, match=r"After 600 simulated seconds.*\.kit\.work\.note"):
        seedance.run_until_done(within=600)


def test_a_call_inside_atomic_is_refused(seedance: Seedance) -> None:
    with transaction.atomic():
        track_video(seedance.buy())
        with pytest.raises(AssertionError, match=r"inside transaction\.atomic"):
            seedance.run_until_done()
    seedance.run_until_done()
    seedance.assert_fired("video_completed")


def test_a_rolled_back_block_sends_nothing(seedance: Seedance) -> None:
    with transaction.atomic():
        generate_video("A kite", link=work.note.s())
        transaction.set_rollback(True)
    seedance.run_until_done()
    seedance.assert_charged(0)
    assert work.names() == []
