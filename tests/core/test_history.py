"""A video's history: whoever writes at the same time, no event is lost."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from seedance_celery.db.history import HISTORY_LENGTH
from seedance_celery.exceptions import ApiError
from seedance_celery.models import Video
from seedance_celery.storing.files import _done, _failed, _Failure, _note, _rows
from seedance_celery.storing.lease import StoreLease
from seedance_celery.storing.saving import StoredFile
from tests.core.test_races import a_video, at_once, no_broker
from tests.harness.databases import Database

__all__ = ["no_broker"]


def events(video: Video) -> list[str]:
    return [event for _, event in Video.objects.get(pk=video.pk).history]


def test_an_event_is_added_to_what_the_row_has_now(database: Database) -> None:
    video = a_video(history=[["2026-01-01T00:00:00+00:00", "an “event” of before % \\ \N{KITE}"]])
    other = video.current()
    _rows(other).update(history=other.noted("another's"))
    assert video.move(Video.POLLED, history=video.noted("%s mine '\"\\ \N{KITE}"))
    now = video.now.isoformat(timespec="seconds")
    assert events(video) == [
        "an “event” of before % \\ \N{KITE}",
        "another's",
        "%s mine '\"\\ \N{KITE}",
    ]
    assert Video.objects.get().history[-1][0] == now
    assert video.history[-1] == [now, "%s mine '\"\\ \N{KITE}"]


def test_events_at_once_are_all_kept(database: Database) -> None:
    video = a_video()
    numbers = iter(range(12))

    def note() -> Any:
        number = next(numbers)
        row = video.current()
        return _rows(row).update(history=row.noted(f"event {number}")) and number

    written = [number for number in at_once(note, 12) if number is not None]
    assert len(written) >= 6  # SQLite may refuse some
    assert sorted(events(video)) == sorted(f"event {number}" for number in written)


def test_the_oldest_event_of_too_many_goes(database: Database) -> None:
    video = a_video()
    for number in range(HISTORY_LENGTH + 3):
        assert video.move(Video.POLLED, history=video.noted(f"event {number}"))
    wanted = [f"event {number}" for number in range(3, HISTORY_LENGTH + 3)]
    assert events(video) == [event for _, event in video.history] == wanted


@pytest.mark.parametrize("broken", ['{"a": 1}', '"text"', "7", "null"])
def test_a_history_that_is_no_list_starts_anew(database: Database, broken: str) -> None:
    video = a_video()
    with connections["default"].cursor() as cursor:
        cursor.execute("UPDATE seedance_celery_video SET history = %s", [broken])
    row = Video.objects.get().current()
    assert row.move(Video.POLLED, history=row.noted("queued"))
    assert events(video) == [event for _, event in row.history] == ["queued"]


@pytest.mark.parametrize("step", ["done", "failed", "note"])
def test_what_happens_while_a_file_is_stored_stays_in_the_history(
    database: Database, step: str, no_broker: list[str]
) -> None:
    video = a_video(status="completed")

    def write(execute: Any, sql: str, *rest: Any) -> Any:
        # Another process writes between this one's look at the row and its update.
        if sql.startswith("UPDATE") and not written:
            written.append(True)
            other = Video.objects.get(pk=video.pk).current()
            _rows(other).update(history=other.noted("another's"))
        return execute(sql, *rest)

    written: list[bool] = []
    lease = StoreLease(_rows(video))
    assert lease.take()
    steps = {
        "done": lambda: _done(video, StoredFile("a.mp4", 7, "ab")),
        "failed": lambda: _failed(video, lease, _Failure("no")),
        "note": lambda: _note(video, ApiError("no")),
    }
    with connections["default"].execute_wrapper(write):
        steps[step]()
    assert written
    told = {"done": "stored", "failed": "not stored", "note": "not stored yet: no"}
    assert events(video) == ["another's", told[step]]
