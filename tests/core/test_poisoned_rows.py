"""A row whose change the database refuses, or that cannot be read, costs itself alone.

A table: what is wrong with the row, where it is met, and on which database. Such a row cannot
remember that it failed, so the log names it, and many of them in front starve nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from seedance_celery import sending
from seedance_celery.accounts import limits
from seedance_celery.db import clock, row_errors
from seedance_celery.lifecycle import endings, pruning
from seedance_celery.lifecycle.sweep import BATCH, sweep
from seedance_celery.models import KeptTask, Poller, Upkeep, Video
from seedance_celery.polling import timings
from seedance_celery.polling.bulk import claim, move_all
from seedance_celery.testing import Seedance
from tests.core import refusals
from tests.harness.databases import Database


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_errors, "_told", {})
    monkeypatch.setattr(pruning, "_place", None)
    monkeypatch.setattr(pruning, "_resting", {})


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(sending, "_sent", lambda name, *_: names.append(name) or True)
    return names


@pytest.fixture(params=["trigger", "check"])
def refused(database: Database, request: pytest.FixtureRequest) -> str:
    """How the database refuses to change a row whose mark begins with `bad`."""
    if (database.kind, request.param) == ("sqlite", "check"):
        pytest.skip("SQLite adds no CHECK to a table that is there")
    return str(request.param)


def videos(count: int, model: str = "good", **values: Any) -> list[Video]:
    past = timezone.now() - timedelta(minutes=20 if model == "bad" else 10)
    values = {"next_poll_at": past, "overdue_at": past, "poll_token": 1, **values}
    values = {"status": "queued", "created_at": past, **values}
    rows = [Video(api_id=f"task_{model}_{n}", model=model, **values) for n in range(count)]
    return Video.objects.bulk_create(rows)


def tasks(count: int, video: Video, mark: str, **values: Any) -> list[KeptTask]:
    past = timezone.now() - timedelta(minutes=20 if mark == "bad" else 10)
    text = sending.signature_text(sending.POLL, [{"video_pk": str(video.pk)}])
    values = {"task": sending.POLL, "signature": text, "due_at": past, **values}
    rows = [
        KeptTask(key=f"{mark}-{n}", celery_id=f"{mark}-{n}", video=video, **values)
        for n in range(count)
    ]
    KeptTask.objects.bulk_create(rows)
    return list(KeptTask.objects.filter(celery_id__startswith=mark))


def named(caplog: pytest.LogCaptureFixture, row: Any) -> bool:
    """Tell whether a warning names a row, and none says that the database is away."""
    assert "away" not in caplog.text
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    return any(f" {row.pk} " in line for line in lines)


# The table: what is met first is refused, and what comes after it goes on.


def in_loops(n: int, sent: list[str]) -> tuple[list[Any], Callable[[], bool]]:
    bad = videos(n, "bad")
    [good] = videos(1)
    return bad, lambda: sweep().loops == 1 and good.current().resends == 1


def in_tasks(n: int, sent: list[str]) -> tuple[list[Any], Callable[[], bool]]:
    [video] = videos(1, overdue_at=None, next_poll_at=None)
    bad = tasks(n, video, "bad")
    tasks(1, video, "good")
    return bad, lambda: sweep().tasks == 1 and KeptTask.objects.get(celery_id="good-0").sends == 1


def in_pollers(n: int, sent: list[str]) -> tuple[list[Any], Callable[[], bool]]:
    past = timezone.now() - timedelta(minutes=20)
    rows = [Poller(account=f"bad-{k}", number=0, overdue_at=past) for k in range(n)]
    Poller.objects.bulk_create(rows)
    good = Poller.objects.create(
        account="default", number=0, overdue_at=past + timedelta(minutes=9)
    )

    def goes_on() -> bool:
        with Seedance(POLLER="batch"):
            sweep()
        return Poller.objects.get(pk=good.pk).sends == 1

    return list(Poller.objects.filter(account__startswith="bad")), goes_on


def in_claims(n: int, sent: list[str]) -> tuple[list[Any], Callable[[], bool]]:
    bad = videos(n, "bad")
    good = videos(1)
    return bad, lambda: claim("default", 100, 30) == good


def in_answers(n: int, sent: list[str]) -> tuple[list[Any], Callable[[], bool]]:
    bad, good = videos(n, "bad"), videos(1)
    return bad, lambda: move_all([(v, {"progress": 7}) for v in (*bad, *good)]) == good


def in_settling(n: int, sent: list[str]) -> tuple[list[Any], Callable[[], bool]]:
    ended = timezone.now()
    [video] = videos(1, status="failed", finished_at=ended, announced_at=ended, overdue_at=ended)
    bad = tasks(n, video, "bad", due_at=None)
    tasks(1, video, "good", due_at=None)

    def goes_on() -> bool:
        endings.settle(video.current())
        # It is looked at again: the one that is still parked may be released some day.
        return sent == [sending.POLL] and video.current().overdue_at is not None

    return bad, goes_on


def in_calls(n: int, sent: list[str]) -> tuple[list[Any], Callable[[], bool]]:
    video = Video.objects.create(in_line_since=timezone.now())
    parked = {"task": sending.SUBMIT, "due_at": timezone.now() + timedelta(seconds=900)}
    bad = tasks(n, video, "bad", **parked)
    tasks(1, video, "good", **parked)

    def goes_on() -> bool:
        with Seedance(MAX_IN_FLIGHT=1):
            limits.call_next("default")
        return len(sent) == 1

    return bad, goes_on


def in_pruning(n: int, sent: list[str]) -> tuple[list[Any], Callable[[], bool]]:
    ended = timezone.now() - timedelta(days=100)
    old = {"status": "failed", "finished_at": ended, "announced_at": ended, "overdue_at": None}
    bad = videos(n, "bad", **{**old, "finished_at": ended - timedelta(days=1)})
    [good] = videos(1, **old)

    def goes_on() -> bool:
        # A batch each: the second one begins behind the rows that the first one met.
        pruned = [key for _ in range(2) for key in pruning.prune(86400).videos]
        return pruned == [good.pk] and not Video.objects.filter(pk=good.pk).exists()

    return bad, goes_on


PLACES = {
    "loops": in_loops,
    "tasks": in_tasks,
    "pollers": in_pollers,
    "claims": in_claims,
    "answers": in_answers,
    "settling": in_settling,
    "calls": in_calls,
    "pruning": in_pruning,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_refused_row_costs_itself_alone(
    refused: str, place: str, sent: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    if (refused, place) == ("check", "pruning"):
        pytest.skip("a CHECK refuses no removal")
    bad, goes_on = PLACES[place](2, sent)
    with refusals.KINDS[refused]():
        assert goes_on()
    for row in bad:
        assert named(caplog, row), caplog.text


@pytest.mark.parametrize("place", ["loops", "tasks", "pollers", "claims", "pruning"])
def test_more_refused_rows_than_a_sweep_sends_starve_nobody(
    database: Database, place: str, sent: list[str]
) -> None:
    _, goes_on = PLACES[place](BATCH + 1, sent)
    with refusals.by_trigger():
        assert goes_on()


def test_a_row_that_is_mended_goes_on(database: Database, sent: list[str]) -> None:
    videos(1, "bad")
    with refusals.by_trigger():
        assert sweep().loops == 0
    assert sweep().loops == 1


VALUES = {
    "token": {"poll_token": 2**63 - 1},
    "resends": {"resends": 2**31 - 1},
    "polls": {"polls": 2**31 - 1},
    "errors": {"errors": 2**31 - 1},
    "tries": {"announce_tries": 32767, "status": "failed", "finished_at": timezone.now()},
    "late polls": {"late_polls": 32767, "status": "timed_out", "finished_at": timezone.now()},
    "unknown status": {"status": "paused"},
    "unknown account": {"account": "gone"},
    "no API id": {"api_id": None},
    "history": {"history": {"a": 1}},
    "images": {"images": ["x", 5, None], "status": "completed", "finished_at": timezone.now()},
    "far deadline": {"deadline_at": timezone.now().replace(year=9999)},
    "early answer": {"answered_at": timezone.now().replace(year=1)},
    "endless timeout": {"timeout": float("inf")},
}


@pytest.mark.parametrize("poller", ["loop", "batch"])
@pytest.mark.parametrize("poison", VALUES)
def test_what_a_row_holds_costs_itself_alone(database: Database, poison: str, poller: str) -> None:
    with Seedance(POLLER=poller) as kit:
        values = {"api_id": "task_bad", "model": "bad", **VALUES[poison]}
        past = kit.clock.time - timedelta(minutes=9)
        row = {"status": "queued", "next_poll_at": past, "overdue_at": past, "poll_token": 1}
        try:
            Video.objects.create(**{**row, **values})
        except Exception as error:  # noqa: BLE001  (the driver's own as well)
            pytest.skip(f"the database does not take it ({type(error).__name__})")
        past += timedelta(minutes=5)
        row |= {"next_poll_at": past, "overdue_at": past}
        good = Video.objects.create(**row, api_id=kit.buy("stuck"))
        for _ in range(3):
            sweep()
            kit.run_due()
            kit.clock.time += timedelta(seconds=70)
        good.refresh_from_db()
        assert good.polls


def test_an_unknown_status_is_left_alone_and_named(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with Seedance() as kit:
        [video] = videos(1, status="paused", finished_at=timezone.now())
        sweep()
        kit.run_due()
        assert kit.signals() == []
        assert Video.objects.get().announced_at is None
        assert str(video.pk) in caplog.text


def unreadable(video: Video) -> None:
    """Write a date that no driver makes a date of."""
    value = "-infinity" if connection.vendor == "postgresql" else "2026-13-41 00:00:00"
    key = Video._meta.pk.get_db_prep_value(video.pk, connection)
    with connection.cursor() as cursor:
        sql = "UPDATE seedance_celery_video SET created_at = %s WHERE id = %s"
        cursor.execute(sql, [value, key])


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_row_that_cannot_be_read_costs_itself_alone(
    database: Database, sent: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    [bad], [good] = videos(1, "bad"), videos(1)
    unreadable(bad)
    assert sweep().loops == 1
    assert named(caplog, bad)
    assert claim("default", 10, 30) == [good]
    timings.forget()
    timings.refresh()
    assert good.current().resends == 1


@pytest.mark.parametrize(
    "text", ["not json", "[]", '{"task": "x"}', '{"task": "x", "args": 5, "options": null}']
)
def test_a_kept_task_that_cannot_be_sent_costs_itself_alone(
    database: Database, text: str, sent: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    ended = timezone.now()
    [video] = videos(1, status="failed", finished_at=ended, announced_at=ended, overdue_at=ended)
    tasks(1, video, "bad", due_at=None, signature=text)
    tasks(1, video, "good", due_at=None)
    endings.settle(video.current())
    assert sent == [sending.POLL]
    assert "bad-0" in caplog.text
    KeptTask.objects.update(due_at=clock.after(-1))
    assert sweep().tasks == 1


def test_a_poll_that_the_database_refuses_is_no_outage(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Seedance() as kit:
        [bad] = videos(1, "bad")
        Video.objects.update(api_id=kit.buy("stuck"))
        bad.current().send()
        with refusals.by_trigger():
            kit.run_due()
        assert named(caplog, bad)
        assert not kit.broker.fetch(), "the sweep sends it, once that is possible"
        kit.clock.time += timedelta(seconds=100)
        sweep()
        kit.run_due()
        assert bad.current().polls == 1


def test_a_row_is_told_of_once_in_a_while(
    database: Database, sent: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    videos(1, "bad")
    with refusals.by_trigger():
        for _ in range(3):
            sweep()
    assert caplog.text.count("cannot be handled") == 1


def test_a_database_that_is_away_ends_the_sweep(database: Database, sent: list[str]) -> None:
    videos(2)

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith(("UPDATE", "SET STATEMENT")) and "_video" in sql:
            raise OperationalError("the connection was lost")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        sweep()
    assert Upkeep.objects.get().sweeping_until is None


def test_one_sweep_is_at_work_at_a_time(database: Database, sent: list[str]) -> None:
    videos(1)
    lease = Upkeep.objects.begin_sweep(30)
    assert lease is not None
    assert sweep().elsewhere
    assert not sent
    Upkeep.objects.end_sweep(lease)
    assert sweep().loops == 1


def test_a_sweep_that_was_killed_stops_the_others_for_a_moment(
    database: Database, sent: list[str]
) -> None:
    videos(1)
    assert Upkeep.objects.begin_sweep(30)
    Upkeep.objects.update(sweeping_until=clock.after(-1))
    assert sweep().loops == 1


def test_a_late_end_of_a_sweep_takes_no_lease_from_another(database: Database) -> None:
    late = Upkeep.objects.begin_sweep(30)
    Upkeep.objects.update(sweeping_until=clock.after(-1))
    assert late
    assert Upkeep.objects.begin_sweep(30)
    Upkeep.objects.end_sweep(late)
    Upkeep.objects.renew_sweep(late, 90)
    assert Upkeep.objects.begin_sweep(30) is None
