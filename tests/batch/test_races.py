"""Many pollers at once, on every database: each due row is one poller's, and is written once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import override_settings
from django.utils import timezone

from seedance_celery import sending
from seedance_celery.db import clock
from seedance_celery.lifecycle.sweep import sweep
from seedance_celery.models import Poller, Video
from seedance_celery.polling.bulk import claim, move_all
from tests.harness.databases import Database
from tests.harness.processes import ROOT

POLLERS = 6
ROWS = 60


def insert(count: int = ROWS, **changes: Any) -> None:
    past = timezone.now() - timedelta(minutes=1)
    values = {"status": Video.Status.IN_PROGRESS, "next_poll_at": past, "overdue_at": past}
    values |= {"raw": {"progress": 1}, "prompt": "A kite", **changes}
    Video.objects.bulk_create(Video(api_id=f"task_{n}", **values) for n in range(count))


def at_once(act: Callable[[], Any], times: int = POLLERS) -> list[Any]:
    barrier, found = threading.Barrier(times), []

    def run() -> None:
        try:
            barrier.wait(20)
            found.append(act())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_pollers_share_the_due_rows(database: Database) -> None:
    insert()
    claims = at_once(lambda: [video.pk for video in claim("default", 10, 60)])
    taken = Counter(pk for claimed in claims for pk in claimed)
    assert set(taken.values()) == {1}
    rest = claim("default", ROWS, 60)
    assert len(taken) + len(rest) == ROWS
    assert claim("default", ROWS, 60) == []
    assert set(Video.objects.values_list("poll_token", flat=True)) == {1}


def test_of_two_who_write_a_row_one_wins(database: Database) -> None:
    insert()
    moves = [(video, {"progress": 5}) for video in claim("default", ROWS, 60)]
    won = at_once(lambda: len(move_all([(video.current(), c) for video, c in moves])), 1)
    assert won == [ROWS]
    assert move_all(moves) == []
    assert set(Video.objects.values_list("poll_token", flat=True)) == {2}


def test_columns_of_every_kind_are_written_and_others_kept(database: Database) -> None:
    insert(3, metadata={"order": 5}, history=[["2026-01-01", "created"]])
    now = timezone.now()
    first, second, third = sorted(claim("default", 3, 60), key=lambda video: str(video.api_id))
    raw = {"status": "in_progress", "text": "quote ' \" \\ {brace}, ünïcode", "none": None}
    changes = {
        "raw": raw,
        "progress": 40,
        "answered_at": now,
        "is_known": True,
        "missing_since": None,
        "last_error": "",
        "api_created_at": 2**40,
        "request_id": "abc, {def}",
    }
    won = move_all([(first, changes), (second, {"errors": 3, "last_error": "ServerError"})])
    assert {video.pk for video in won} == {first.pk, second.pk}
    written, other, untouched = (video.current() for video in (first, second, third))
    assert {name: getattr(written, name) for name in changes} == changes
    assert (other.errors, other.last_error, other.raw) == (3, "ServerError", {"progress": 1})
    assert (other.progress, untouched.errors) == (0, 0)
    for video in (written, other, untouched):
        assert (video.metadata, video.prompt) == ({"order": 5}, "A kite")
        assert video.history == [["2026-01-01", "created"]]


def test_rows_of_others_and_rows_that_are_not_due_are_left(database: Database) -> None:
    insert(4)
    rows = list(Video.objects.order_by("api_id"))
    later = timezone.now() + timedelta(minutes=1)
    Video.objects.filter(pk=rows[0].pk).update(next_poll_at=later)
    Video.objects.filter(pk=rows[1].pk).update(account="other")
    Video.objects.filter(pk=rows[2].pk).update(status=Video.Status.TIMED_OUT)
    assert [video.pk for video in claim("default", 10, 60)] == [rows[3].pk]


@pytest.mark.parametrize("copies", [2, 5])
def test_of_many_copies_of_a_message_one_begins(database: Database, copies: int) -> None:
    poller = Poller.objects.create(account="default", number=0)
    begun = at_once(lambda: Poller.objects.begin("default", 0, poller.token), copies)
    assert len([found for found in begun if found is not None]) == 1


def test_of_many_who_call_one_sends(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    Poller.objects.create(account="default", number=0)
    assert sum(at_once(lambda: Poller.objects.call("default", 5))) == 1
    # Sooner by more than a second is another call; later is none.
    assert Poller.objects.call("default", 10) == 0
    assert Poller.objects.call("default", 0) == 1


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_what_the_docs_tell_autovacuum_is_understood(database: Database) -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    statement = page.partition("```sql\n")[2].partition("```")[0]
    with connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'seedance_celery_video'")
        assert "autovacuum_vacuum_cost_delay=0" in cursor.fetchone()[0]
        cursor.execute(
            "ALTER TABLE seedance_celery_video RESET (autovacuum_vacuum_scale_factor,"
            " autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay,"
            " autovacuum_analyze_scale_factor)"
        )


def test_a_poller_that_died_while_it_ran_is_sent_again_by_one_sweep(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(sending, "_sent", lambda name, *_: sent.append(name) or True)
    insert()
    [poller] = Poller.objects.of("default")
    assert Poller.objects.begin("default", poller.number, poller.token)
    with override_settings(SEEDANCE={"API_KEY": "sk-none", "POLLER": "batch"}):
        assert sweep().loops == 0
        Poller.objects.update(overdue_at=clock.after(-1))
        assert sum(swept.loops for swept in at_once(sweep)) == 1
    assert sent == [sending.BATCH]
