"""A process whose claim was lost takes no step more: another one takes those that are left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import chain, shared_task
from celery.signals import before_task_publish
from django.db.models import F

from seedance_celery import sending
from seedance_celery.db import clock
from seedance_celery.db.leases import Heartbeat
from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.signals import video_completed
from seedance_celery.tasks import poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import collect, old_refund, publish
from tests.harness.waiting import wait_until


@shared_task
def another_refund(celery_id: str) -> None:
    canvas.ran.append(("another_refund", celery_id))


@contextmanager
def when_published(name: str, action: Callable[[], Any]) -> Iterator[None]:
    """Act once, as soon as a task is with the broker."""
    left = [action]

    def look(sender: Any = None, **kwargs: Any) -> None:
        if sender == name and left:
            left.pop()()

    before_task_publish.connect(look, weak=False, dispatch_uid="tests.claims")
    try:
        yield
    finally:
        before_task_publish.disconnect(dispatch_uid="tests.claims")


def take_over() -> None:
    """Claim the task of `poll_video` as another process does that finds its lease expired."""
    kept = KeptTask.objects.filter(task=sending.POLL)
    until = clock.after(60)
    assert kept.update(claim_token=F("claim_token") + 1, lease_until=until, due_at=until)


def finish() -> None:
    """Say that nobody waits any more."""
    assert Video.objects.get().stop_waiting() == 1


LINKS = (publish.name, ["publish", "publish", "collect"], ["publish"])
ERRBACKS = (old_refund.name, ["old_refund", "old_refund", "another_refund"], ["old_refund"])
LAST_LINK = (collect.name, ["publish", "collect", "collect"], ["publish", "collect"])


def send(kit: Seedance, kind: str) -> None:
    api_id = kit.buy("failed" if kind == "errbacks" else "normal")
    poll = poll_video.s(api_id)
    poll.on_error(old_refund.s()).on_error(another_refund.s())
    poll.link(publish.s())
    poll.link(collect.s())
    poll.apply_async()


@pytest.mark.parametrize(
    ("kind", "first", "taken", "stopped"),
    [("links", *LINKS), ("errbacks", *ERRBACKS), ("links", *LAST_LINK)],
    ids=["between two links", "between two errbacks", "after the last link"],
)
@pytest.mark.parametrize("how", [take_over, finish])
def test_a_claim_that_is_lost_between_two_steps(
    kit: Seedance, kind: str, first: str, taken: list[str], stopped: list[str], how: Any
) -> None:
    """The step that was on its way goes out twice; the next one is taken by the new owner alone."""
    send(kit, kind)
    with when_published(first, how):
        kit.run_until_done()
    wanted = taken if how is take_over else stopped
    assert sorted(canvas.names()) == sorted(wanted)
    assert not KeptTask.objects.unfinished().exists()


def test_a_claim_that_is_lost_before_the_chain_goes_on(kit: Seedance) -> None:
    poll = poll_video.s(kit.buy()).on_error(old_refund.s())
    poll.link(publish.s())
    chain(poll, collect.s()).apply_async()
    with when_published(publish.name, take_over):
        kit.run_until_done()
    assert sorted(canvas.names()) == ["collect", "publish", "publish"]


def test_errbacks_in_the_worker_leave_the_others_to_the_process_that_took_over(
    kit: Seedance,
) -> None:
    kit.next_video("failed")
    generate_video("A kite", link_error=[taking_over.s(), old_refund.s()])
    kit.run_until_done()
    assert canvas.names() == ["taking_over", "taking_over", "old_refund"]


@shared_task
def taking_over(request: Any, exc: Exception, traceback: Any) -> None:
    if not canvas.ran:
        take_over()
    canvas.ran.append(("taking_over", exc))


def test_an_announcement_that_lost_its_lease_leaves_the_next_signal_to_another(
    transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[Video] = []

    def slow(video: Video, **kwargs: Any) -> None:
        if not taken:
            taken.append(video)
            token = F("poll_token") + 1
            Video.objects.update(poll_token=token, overdue_at=clock.after(60))
            wait_until(lambda: "A lease was lost" in caplog.text, 30)

    caplog.set_level("INFO")
    video_completed.connect(slow)
    try:
        with Seedance(RESEND_AFTER=3, REQUEST_TIMEOUT=(1, 1)) as kit:
            generate_video("A kite")
            kit.run_until_done()
            assert len(kit.signals("video_completed")) == 2
            assert len(kit.signals("video_finished")) == 1
    finally:
        video_completed.disconnect(slow)


def test_a_lease_that_is_lost_is_renewed_no_more() -> None:
    asked: list[str] = []
    before = threading.active_count()
    with Heartbeat(lambda: bool(asked.append("renew")), every=0.01) as heartbeat:
        wait_until(lambda: threading.active_count() == before, 10)
        assert not heartbeat.is_held()
    assert asked == ["renew"]


def test_a_process_that_was_suspended_asks_before_it_goes_on() -> None:
    heartbeat = Heartbeat(lambda: False, every=0.001)
    wait_until(lambda: not heartbeat.is_held(), 10)


def test_a_lease_that_is_fresh_is_not_asked_for() -> None:
    with Heartbeat(lambda: pytest.fail("asked"), every=60) as heartbeat:
        assert heartbeat.is_held()
