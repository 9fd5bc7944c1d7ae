"""Rows that a project has locked: they hold up nobody but themselves.

A session locks a row and stays idle. Each test takes its time: what waits for the lock would wait
until the test ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, models, transaction

from seedance_celery import sending
from seedance_celery.accounts import limits
from seedance_celery.conf import get_settings
from seedance_celery.db import clock, locks
from seedance_celery.db.row_errors import RowLockedError
from seedance_celery.lifecycle import endings
from seedance_celery.lifecycle.pruning import prune, prune_all
from seedance_celery.lifecycle.sweep import sweep
from seedance_celery.models import AccountState, KeptTask, Poller, Upkeep, Video
from seedance_celery.polling.bulk import claim, move_all
from seedance_celery.shortcuts import track_video
from seedance_celery.testing import Seedance
from tests.harness.databases import Database

pytestmark = pytest.mark.parametrize("database", ["postgres", "mariadb"], indirect=True)

AT_ONCE = 1.0
"""Seconds within which what does not wait is done, on a busy machine."""
SOON = 4.0
"""Seconds within which a poll gives its worker back."""


@contextmanager
def locked(*rows: models.Model) -> Iterator[None]:
    """Hold rows as an idle session does that has selected them for update."""
    session = connections["default"].copy()
    try:
        session.set_autocommit(False)
        with session.cursor() as cursor:
            for row in rows:
                key = row._meta.pk.get_db_prep_value(row.pk, session)  # type: ignore[union-attr]
                table, column = row._meta.db_table, row._meta.pk.column  # type: ignore[union-attr]
                cursor.execute(f"SELECT 1 FROM {table} WHERE {column} = %s FOR UPDATE", [key])
                assert cursor.fetchone()
        yield
    finally:
        session.close()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(sending, "_sent", lambda name, *_: names.append(name) or True)
    return names


def a_video(api_id: str, **values: Any) -> Video:
    past = clock.after(-100)
    values = {"next_poll_at": past, "overdue_at": past, "poll_token": 1, **values}
    return Video.objects.create(api_id=api_id, status="queued", **values).current()


def a_task(video: Video, celery_id: str, **values: Any) -> KeptTask:
    text = sending.signature_text(sending.POLL, [{"video_pk": str(video.pk)}], task_id=celery_id)
    values = {"task": sending.POLL, "signature": text, **values}
    return KeptTask.objects.create(key=celery_id, celery_id=celery_id, video=video, **values)


def an_old(api_id: str) -> Video:
    ended = {"finished_at": clock.after(-9e6), "announced_at": clock.after(-9e6)}
    video = a_video(api_id, overdue_at=None, next_poll_at=None, **ended)
    Video.objects.filter(pk=video.pk).update(status="failed")
    return video


def test_a_sweep_sends_all_but_the_locked(database: Database, sent: list[str]) -> None:
    held, free = a_video("task_1"), a_video("task_2")
    held_task = a_task(held, "kept-1", due_at=clock.after(-100))
    a_task(free, "kept-2", due_at=clock.after(-100))
    with locked(held, held_task), within(AT_ONCE):
        swept = sweep()
    assert (swept.loops, swept.tasks) == (1, 1)
    assert Video.objects.get(pk=held.pk).resends == 0
    assert (sweep().loops, sent.count(sending.REFRESH)) == (1, 2)


def test_a_sweep_goes_past_more_locked_rows_than_it_sends(
    database: Database, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seedance_celery.models.walk.PAGE", 5)
    monkeypatch.setattr("seedance_celery.lifecycle.sweep.BATCH", 5)
    held = [a_video(f"task_{n}", overdue_at=clock.after(-200 + n)) for n in range(12)]
    a_video("task_free")
    with locked(*held), within(AT_ONCE):
        assert sweep().loops == 1


def test_a_locked_row_of_upkeep_stops_no_sweep(database: Database, sent: list[str]) -> None:
    sweep()
    a_video("task_1")
    with locked(Upkeep.objects.get()), within(AT_ONCE):
        assert sweep().loops == 1


@pytest.mark.usefixtures("sent")
def test_a_locked_poller_leaves_its_videos_to_the_loops(database: Database) -> None:
    with Seedance(POLLER="batch"):
        a_video("task_1")
        poller = Poller.objects.create(account="default", number=0, overdue_at=clock.after(-1))
        with locked(poller), within(AT_ONCE):
            assert sweep().loops == 1
        assert Poller.objects.get().sends == 0


def test_pruning_leaves_what_is_locked(database: Database) -> None:
    held, free, held_by_task = an_old("task_1"), an_old("task_2"), an_old("task_3")
    task = a_task(held_by_task, "kept-1", finished_at=clock.after(-9e6))
    with locked(held, task), within(AT_ONCE):
        assert len(prune(100).videos) == 1
    assert not Video.objects.filter(pk=free.pk).exists()
    assert len(prune_all(100).videos) == 2


def test_a_batch_claim_leaves_what_is_locked(database: Database) -> None:
    held, free = a_video("task_1"), a_video("task_2")
    with locked(held), within(AT_ONCE):
        assert claim("default", 10, 30) == [free]


def test_answers_of_a_batch_are_written_but_for_the_locked(database: Database) -> None:
    held, free = a_video("task_1"), a_video("task_2")
    with locked(held), within(AT_ONCE):
        assert move_all([(held, {"progress": 5}), (free, {"progress": 7})]) == [free]
    assert [row.progress for row in Video.objects.order_by("api_id")] == [0, 7]


def test_a_locked_task_is_released_later_and_the_others_at_once(
    database: Database, sent: list[str]
) -> None:
    video = a_video("task_1", finished_at=clock.now())
    Video.objects.filter(pk=video.pk).update(status="failed")
    held, free = a_task(video, "kept-1"), a_task(video, "kept-2")
    video = video.current()
    with locked(held), within(AT_ONCE):
        endings.settle(video)
    assert sent == [sending.POLL]
    free.refresh_from_db()
    assert free.due_at is not None
    video.refresh_from_db()
    assert video.overdue_at is not None, "nobody would release the other one"
    endings.settle(video.current())
    held.refresh_from_db()
    assert held.due_at is not None


def test_a_locked_account_holds_up_no_poll_and_no_sweep(database: Database) -> None:
    with Seedance() as kit:
        state = AccountState.objects.create(name="default", strikes=1, hold_until=clock.after(-5))
        video = track_video(kit.buy())
        with locked(state), within(SOON):
            kit.run_due()
            sweep()
        kit.run_until_done()
        assert video.current().status == "completed"


def test_a_locked_account_gives_a_create_its_worker_back(database: Database) -> None:
    with Seedance(MAX_IN_FLIGHT=1):
        AccountState.objects.create(name="default")
        video = Video.objects.create(prompt="A kite", poll_token=1).current()
        account = get_settings().account("default")
        with locked(AccountState.objects.get()), within(10), pytest.raises(RowLockedError):
            limits.win(video, account, post_started_at=video.now)
        assert limits.win(video, account, post_started_at=video.now) is limits.Verdict.GO


def test_a_create_that_is_locked_for_long_leaves_its_place_to_the_next(
    database: Database, sent: list[str]
) -> None:
    with Seedance(MAX_IN_FLIGHT=1):
        for number in (1, 2):
            video = Video.objects.create(prompt="A kite", in_line_since=clock.now())
            task = a_task(video, f"kept-{number}", due_at=clock.after(900))
            KeptTask.objects.filter(pk=task.pk).update(task=sending.SUBMIT)
        first, second = Video.objects.order_by("created_at").with_now()
        account = get_settings().account("default")
        with locked(KeptTask.objects.get(celery_id="kept-1")), within(AT_ONCE):
            limits.call_next("default")
            assert limits.look(second, account) is limits.Verdict.WAIT
            assert not sent
        Video.objects.filter(pk=first.pk).update(overdue_at=clock.after(-1000))
        with locked(first), within(AT_ONCE):
            sweep()
            assert limits.look(second, account) is limits.Verdict.GO
        assert len(sent) == 1


@pytest.mark.parametrize("scenario", ["stuck", "normal", "failed"])
def test_a_poll_of_a_locked_row_comes_back_and_loses_nothing(
    database: Database, scenario: str
) -> None:
    with Seedance() as kit:
        held = track_video(kit.buy(scenario))
        free = track_video(kit.buy())
        with locked(held):
            for _ in range(3):
                with within(SOON):
                    kit.advance(12)
            free.refresh_from_db()
            assert free.polls > 0
            waiting = [message.body[0][0] for message in kit.broker.fetch()]
            assert str(held.pk) in waiting, "its message waits"
        if scenario == "stuck":
            kit.advance(40)
        else:
            kit.run_until_done()
            assert kit.signals("video_finished") == ["video_finished"] * 2
        held.refresh_from_db()
        assert held.polls > 0
        for video in kit.simulator.videos.values():
            gaps = [b - a for a, b in zip(video.asked_at, video.asked_at[1:], strict=False)]
            assert all(gap >= 10 for gap in gaps), gaps


def test_a_lock_that_is_soon_gone_costs_a_poll_no_answer(database: Database) -> None:
    with Seedance() as kit:
        video = track_video(kit.buy("stuck"))
        holding, released = threading.Event(), threading.Event()

        def hold() -> None:
            with locked(video):
                holding.set()
                released.wait(locks.PATIENCE / 3)

        thread = threading.Thread(target=hold)
        thread.start()
        assert holding.wait(10)
        kit.advance(0)
        thread.join()
        assert video.current().polls == 1


def held_by_new_row(video: Video) -> Any:
    """Insert a row that points at a video, without committing it; return the session."""
    session = connections["default"].copy()
    session.set_autocommit(False)
    with session.cursor() as cursor:
        cursor.execute(
            "INSERT INTO seedance_celery_kepttask (celery_id, key, argument, task, video_id, "
            "signature, created_at, claim_token, sends, published) "
            "VALUES ('other', 'other', '', 'x', %s, '', now(), 1, 0, 0)",
            [Video._meta.pk.get_db_prep_value(video.pk, session)],
        )
    return session


@pytest.mark.parametrize(
    "step",
    [
        lambda video: sweep().loops == 1,
        lambda video: claim("default", 10, 30) == [video],
        lambda video: move_all([(video, {"progress": 5})]) == [video],
        lambda video: video.move(Video.POLLED, progress=5),
    ],
    ids=["sweep", "claim", "answers of a batch", "poll"],
)
@pytest.mark.usefixtures("sent")
def test_on_postgres_a_new_row_that_points_at_a_video_locks_nobody_out(
    database: Database, step: Callable[[Video], bool]
) -> None:
    if database.kind != "postgres":
        pytest.skip("InnoDB locks the row that a foreign key points at")
    video = a_video("task_1")
    session = held_by_new_row(video)
    try:
        with within(AT_ONCE), locks.brief(0.0):
            assert step(video)
    finally:
        session.close()


def test_on_postgres_our_locks_do_not_lock_out_a_new_row(database: Database) -> None:
    if database.kind != "postgres":
        pytest.skip("InnoDB locks the row that a foreign key points at")
    video = a_video("task_1")
    with transaction.atomic(), within(AT_ONCE):
        assert list(locks.skipping(Video.objects.all())) == [video]
        other = connections["default"].copy()
        with other.cursor() as cursor:
            cursor.execute("SET lock_timeout = '500ms'")
        other.close()
        held_by_new_row(video).close()


def test_no_limit_of_ours_outlives_its_statements(database: Database) -> None:
    name = {"postgres": "lock_timeout", "mariadb": "innodb_lock_wait_timeout"}[database.kind]
    sql = {"postgres": f"SHOW {name}", "mariadb": f"SELECT @@{name}"}[database.kind]

    def limit() -> Any:
        with connections["default"].cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]

    before = limit()
    a_video("task_1")
    with locks.short("default"):
        pass
    assert limit() == before
    with transaction.atomic():
        with locks.short("default"):
            assert database.kind == "mariadb" or limit() == "50ms"
        assert limit() == before
    sweep()
    assert limit() == before


def test_a_view_waits_for_a_lock_as_ever(database: Database) -> None:
    video = a_video("task_1")
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(video):
            holding.set()
            done.wait(2 * locks.PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(10)
    assert video.move(Video.POLLED, progress=5)
    thread.join()
