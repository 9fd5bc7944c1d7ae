"""Several processes at one row at once, on each database: exactly one wins."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from celery import signature
from celery.exceptions import Ignore
from django.db import OperationalError, connections, transaction

from seedance_celery import sending
from seedance_celery.accounts import health
from seedance_celery.api.arguments import MAX_LEVELS
from seedance_celery.api.catalog import MAX_SECONDS, MAX_SIZE
from seedance_celery.buying.orders import order
from seedance_celery.canvas import keeping
from seedance_celery.db import clock
from seedance_celery.exceptions import InvalidRequest
from seedance_celery.lifecycle import endings
from seedance_celery.lifecycle.pruning import prune
from seedance_celery.lifecycle.sweep import sweep
from seedance_celery.models import AccountState, KeptTask, UsedKey, Video
from seedance_celery.shortcuts import track_video
from seedance_celery.storing.lease import StoreLease
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
    monkeypatch.setattr(sending, "_sent", lambda name, *_: sent.append(name) or True)
    return sent


def test_one_of_many_wins_a_transition(database: Database) -> None:
    video = a_video()
    wins = at_once(lambda: video.current().move(Video.POLLED, status="completed"))
    assert wins.count(True) == 1
    assert video.current().poll_token == 2


def test_one_of_many_claims_a_kept_task(database: Database) -> None:
    KeptTask.objects.create(celery_id="a", task=sending.POLL, video=a_video(), signature="{}")
    wins = at_once(lambda: KeptTask.objects.get().claim(60))
    assert wins.count(True) == 1


@pytest.mark.parametrize("database", ["postgres", "mariadb"], indirect=True)
def test_a_video_does_not_end_while_a_task_is_being_parked(database: Database) -> None:
    KeptTask.objects.create(celery_id="a", task=sending.POLL, video=a_video(), signature="{}")
    kept = KeptTask.objects.get()
    seen: list[list[Any]] = []

    def lock() -> int:
        with transaction.atomic():
            return len(Video.objects.select_for_update(nowait=True))

    def watch(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            seen.append(at_once(lock, 1))
        return execute(sql, *rest)

    with connections["default"].execute_wrapper(watch):
        assert keeping.park(kept, Video.objects.unfinished())
    assert seen == [[None]]
    assert lock() == 1


def test_parking_loses_to_a_video_that_has_ended_and_to_another_copy(database: Database) -> None:
    KeptTask.objects.create(celery_id="a", task=sending.POLL, video=a_video(), signature="{}")
    kept, copy = KeptTask.objects.get(), KeptTask.objects.get()
    assert copy.claim(60)
    with pytest.raises(Ignore):
        keeping.park(kept, Video.objects.unfinished())
    Video.objects.update(finished_at=clock.now())
    assert keeping.park(copy, Video.objects.unfinished()) is False


def test_a_video_that_ends_before_the_link_is_committed_is_not_missed(
    database: Database, no_broker: list[str]
) -> None:
    video = a_video(announced_at=None)
    ended = []

    def end_elsewhere() -> None:
        row = video.current()
        assert endings.end(row, "completed", status="completed", finished_at=row.now)
        ended.append(True)

    with transaction.atomic():
        track_video("task_1", link=signature("publish"))
        # Elsewhere the row that refers to the video locks it until the commit.
        if database.kind == "postgres":
            at_once(end_elsewhere, 1)
    if not ended:
        end_elsewhere()
    kept = KeptTask.objects.get()
    assert kept.due_at is not None
    assert no_broker.count(sending.POLL) == 1


def test_one_of_many_stores_a_file(database: Database) -> None:
    video = a_video(status=Video.Status.COMPLETED)
    assert at_once(lambda: StoreLease(Video.objects.filter(pk=video.pk)).take()).count(True) == 1


def test_one_of_many_probes_a_refused_key(database: Database) -> None:
    AccountState.objects.create(name="default", strikes=1, hold_until=None)
    video = a_video()
    waits = at_once(lambda: health.wait_for(video.current()) is None)
    assert waits.count(True) == 1


@pytest.mark.parametrize("by", ["idempotency_key", "create_key"])
def test_one_row_whoever_orders_at_once(database: Database, by: str) -> None:
    made = at_once(lambda: order("A kite", **{by: "order-7"})[1])  # type: ignore[arg-type]
    assert made.count(True) == 1
    assert Video.objects.count() == 1


def outcome_of(prompt: str) -> str:
    """Order with one key, and say what came of it."""
    try:
        return "bought" if order(prompt, idempotency_key="form-1")[1] else "found"
    except InvalidRequest as error:
        return "refused" if error.field == "idempotency_key" else str(error)


def test_each_order_but_one_is_refused_where_different_ones_come_at_once(
    database: Database,
) -> None:
    prompts = iter([f"Kite {number}" for number in range(THREADS)])
    made = at_once(lambda: outcome_of(next(prompts)))
    assert Counter(filter(None, made)) == {
        "bought": 1,
        "refused": len(list(filter(None, made))) - 1,
    }
    assert Video.objects.count() == 1


def test_no_order_buys_again_while_the_row_of_its_key_is_pruned(database: Database) -> None:
    turns = itertools.count()
    for _ in range(5):
        assert outcome_of("A kite") == "bought"
        past = clock.after(-7200)
        ended = {"finished_at": past, "announced_at": past, "overdue_at": None}
        Video.objects.update(status="completed", **ended)
        made = at_once(lambda: prune(3600) if next(turns) % THREADS == 3 else outcome_of("A kite"))
        assert "bought" not in made
        prune(3600)
        assert (outcome_of("A kite"), Video.objects.count()) == ("refused", 0)
        UsedKey.objects.all().delete()


@pytest.mark.parametrize(("look", "outcome"), [(1, "refused"), (2, "found")])
def test_a_row_that_is_pruned_between_two_looks_is_not_bought_again(
    database: Database, look: int, outcome: str
) -> None:
    outcome_of("A kite")
    past = clock.after(-7200)
    ended = {"finished_at": past, "announced_at": past, "overdue_at": None}
    Video.objects.update(status="completed", **ended)
    looked: list[str] = []

    def prune_before_one(run: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("SELECT") and "idempotency_key" in sql:
            looked.append(sql)
            if len(looked) == look:
                at_once(lambda: prune(3600), 1)
        return run(sql, *rest)

    with connections["default"].execute_wrapper(prune_before_one):
        assert outcome_of("A kite") == outcome
    assert looked


def test_many_sweeps_at_once_send_each_row_once(database: Database, no_broker: list[str]) -> None:
    for number in range(20):
        video = a_video(api_id=f"task_{number}")
        text = sending.signature_text(sending.POLL, [], task_id=f"kept-{number}")
        KeptTask.objects.create(
            celery_id=f"kept-{number}", task=sending.POLL, video=video, signature=text
        )
    Video.objects.update(overdue_at=clock.after(-1))
    KeptTask.objects.update(due_at=clock.after(-1))
    at_once(sweep, 4)
    sweep()
    assert no_broker.count(sending.REFRESH) == 20
    assert no_broker.count(sending.POLL) == 20


def test_ids_are_compared_byte_for_byte(database: Database) -> None:
    a_video(api_id="task_a", idempotency_key="order")
    a_video(api_id="task_A", idempotency_key="Order")
    assert Video.objects.filter(api_id="task_A").count() == 1


def test_what_an_order_may_hold_is_kept_as_it_is(database: Database) -> None:
    deepest: Any = "a\x01b\N{KITE}\uffff"
    for _ in range(MAX_LEVELS):
        deepest = [deepest]
    values = {"seconds": MAX_SECONDS, "size": "1" * MAX_SIZE, "metadata": deepest}
    video, _ = order("A kite", model="new", idempotency_key="k" * 255, **values)
    row = video.current()
    assert {name: getattr(row, name) for name in values} == values
