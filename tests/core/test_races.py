"""Several processes at one row at once, on each database: exactly one wins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connections

from seedance_celery import accounts, clock, dispatch
from seedance_celery.models import AccountState, KeptTask, Video
from seedance_celery.orders import order
from seedance_celery.store import _claim
from seedance_celery.sweep import sweep
from tests.harness.databases import Database

THREADS = 6


def at_once(action: Callable[[], Any], count: int = THREADS) -> list[Any]:
    """Run an action in threads that start together; a deadlock means that it lost the race."""
    barrier = threading.Barrier(count)
    results: list[Any] = []

    def run() -> None:
        barrier.wait(10)
        try:
            results.append(action())
        except OperationalError:
            results.append(None)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == count
    return results


def a_video(**values: Any) -> Video:
    defaults = {"api_id": "task_1", "status": Video.Status.QUEUED, "poll_token": 1}
    return Video.objects.create(**{**defaults, **values}).current()


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sent: list[str] = []
    monkeypatch.setattr(dispatch, "_sent", lambda name, *_: sent.append(name) or True)
    return sent


def test_one_of_many_wins_a_transition(database: Database) -> None:
    video = a_video()
    wins = at_once(lambda: video.current().move(Video.POLLED, status="completed"))
    assert wins.count(True) == 1
    assert video.current().poll_token == 2


def test_one_of_many_claims_a_kept_task(database: Database) -> None:
    KeptTask.objects.create(celery_id="a", task=dispatch.POLL, video=a_video(), signature="{}")
    wins = at_once(lambda: KeptTask.objects.get().claim(60))
    assert wins.count(True) == 1


def test_one_of_many_stores_a_file(database: Database) -> None:
    video = a_video(status=Video.Status.COMPLETED)
    assert at_once(lambda: _claim(video)).count(True) == 1


def test_one_of_many_probes_a_refused_key(database: Database) -> None:
    AccountState.objects.create(name="default", strikes=1, hold_until=None)
    now = a_video().now
    waits = at_once(lambda: accounts.wait_for("default", now) is None)
    assert waits.count(True) == 1


@pytest.mark.parametrize("by", ["idempotency_key", "celery_id"])
def test_one_row_whoever_orders_at_once(database: Database, by: str) -> None:
    made = at_once(lambda: order("A kite", **{by: "order-7"})[1])  # type: ignore[arg-type]
    assert made.count(True) == 1
    assert Video.objects.count() == 1


def test_many_sweeps_at_once_send_each_row_once(database: Database, no_broker: list[str]) -> None:
    for number in range(20):
        video = a_video(api_id=f"task_{number}")
        text = dispatch.signature_text(dispatch.POLL, [], task_id=f"kept-{number}")
        KeptTask.objects.create(
            celery_id=f"kept-{number}", task=dispatch.POLL, video=video, signature=text
        )
    Video.objects.update(overdue_at=clock.after(-1))
    KeptTask.objects.update(due_at=clock.after(-1))
    at_once(sweep, 4)
    sweep()
    assert no_broker.count(dispatch.REFRESH) == 20
    assert no_broker.count(dispatch.POLL) == 20


def test_ids_are_compared_byte_for_byte(database: Database) -> None:
    a_video(api_id="task_a", idempotency_key="order")
    a_video(api_id="task_A", idempotency_key="Order")
    assert Video.objects.filter(api_id="task_A").count() == 1
