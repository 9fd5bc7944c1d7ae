"""Rows that hold what no row should: a later version's words, a driver's limits, a slip by hand."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from django.db import connection
from django.utils import timezone as django_timezone

from seedance_celery.models import Video

FIRST = datetime(1, 1, 1, tzinfo=timezone.utc)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc)
DEEP = json.loads("[" * 900 + "]" * 900)
SURROGATE = json.loads(r'"a\ud800b"')

_FIELDS = Video._meta.concrete_fields
TIMES = [field.name for field in _FIELDS if field.get_internal_type() == "DateTimeField"]
JSONS = ("history", "images", "metadata", "raw", "create_reply")
NOW = django_timezone.now()

VALUES: dict[str, dict[str, Any]] = {
    "unknown status": {"status": "paused_by_v9"},
    "unknown status, ended": {"status": "paused_by_v9", "finished_at": NOW, "announced_at": NOW},
    "empty status": {"status": ""},
    "status in other letters": {"status": "COMPLETED"},
    **{f"{name} in the year 1": {name: FIRST} for name in TIMES},
    **{f"{name} in the year 9999": {name: LAST} for name in TIMES},
    "completed, finished in 9999": {"status": "completed", "finished_at": LAST, "video_url": "x"},
    "completed, finished in 1": {"status": "completed", "finished_at": FIRST, "video_url": "x"},
    "timed out in 9999": {"status": "timed_out", "finished_at": LAST, "announced_at": LAST},
    "timed out in 1": {"status": "timed_out", "finished_at": FIRST, "announced_at": FIRST},
    "history of ints": {"history": [1, 2]},
    "history of text": {"history": "then it ended"},
    "history is a dict": {"history": {"a": 1}},
    "history is a number": {"history": 5},
    "history of threes": {"history": [["a", "b", "c"]]},
    "history of ones": {"history": [["a"], []]},
    "history of nulls": {"history": [None, [None, None]]},
    "history with no time": {"history": [["never", "x"]]},
    "history with no date": {"history": [["2026-13-45T00:00:00+00:00", "x"]]},
    "history without a zone": {"history": [["2026-01-01T00:00:00", "x"]]},
    "history in the year 1": {"history": [[FIRST.isoformat(), "x"]]},
    "history in the year 9999": {"history": [[LAST.isoformat(), "x"]]},
    "history of nested events": {"history": [["2026-01-01T00:00:00+00:00", {"a": DEEP}]]},
    **{f"{name} nested deep": {name: DEEP} for name in JSONS},
    **{f"{name} with half a character": {name: [SURROGATE]} for name in JSONS},
    **{f"{name} a text": {name: "x"} for name in JSONS},
    "images garbage": {"images": ["x", 5, None], "status": "failed", "finished_at": NOW},
    "file outside": {"status": "completed", "finished_at": NOW, "file": "../../etc/passwd"},
    "file of an address": {"status": "completed", "finished_at": NOW, "file": "https://[::1"},
    "file with NUL": {"status": "completed", "finished_at": NOW, "file": "a\0b"},
    "video_url garbage": {"status": "completed", "finished_at": NOW, "video_url": "http://[::1"},
    "video_url that expires never": {
        "status": "completed",
        "finished_at": NOW,
        "video_url": "https://a/b?Expires=9999999999999&X-Amz-Date=99990101T000000Z"
        "&X-Amz-Expires=9999999999",
    },
    "unknown account": {"account": "gone"},
    "empty account": {"account": ""},
    "empty model": {"model": ""},
    "huge api_created_at": {"api_created_at": 2**62, "post_started_at": None},
    "negative api_created_at": {"api_created_at": -(2**62), "post_started_at": None},
    "timeout is no number": {"timeout": float("nan"), "status": "timed_out"},
    "timeout without end": {"timeout": float("inf"), "status": "timed_out"},
    "timeout of a googol": {"timeout": 1e300, "status": "timed_out"},
    "negative timeout": {"timeout": -5.0, "status": "timed_out"},
    "largest token": {"poll_token": 2**63 - 1},
    "most seconds": {"seconds": 2**31 - 1},
    "most bytes": {"file_size": 2**63 - 1, "file": "k.mp4", "status": "completed"},
    "progress beyond the end": {"progress": 32767},
    "control characters": {
        "status": "failed",
        "finished_at": NOW,
        "reason": "a\x1b[31m\r\n\x07b",
        "last_error": "\x0b",
        "store_error": "\x00" if connection.vendor == "sqlite" else "\x01",
    },
}

RAW: dict[str, dict[str, tuple[str, str]]] = {
    "sqlite": {
        "JSON nested beyond reading": ("metadata", "[" * 100_000 + "]" * 100_000),
        "JSON cut off": ("raw", '{"a": '),
        "JSON null for a history": ("history", "null"),
        "JSON null for images": ("images", "null"),
        "JSON NaN": ("metadata", "NaN"),
        "a date that is none": ("created_at", "2026-13-45 00:00:00"),
        "a date that is text": ("finished_at", "yesterday"),
        "seconds in words": ("seconds", "five"),
    },
    "postgresql": {
        "a date without end": ("finished_at", "infinity"),
        "a date without beginning": ("created_at", "-infinity"),
        "a date before Christ": ("asked_at", "4713-01-01 00:00:00+00 BC"),
        "a date after Python": ("deadline_at", "12000-01-01 00:00:00+00"),
        "JSON null for a history": ("history", "null"),
        "JSON nested beyond reading": ("metadata", "[" * 5000 + "]" * 5000),
    },
    "mysql": {
        "JSON null for a history": ("history", "null"),
        "JSON with a lone surrogate": ("metadata", r'["\ud800"]'),
    },
}


def put(video: Video, column: str, text: str) -> None:
    """Write a value as it is, past the ORM: as another program would."""
    key = Video._meta.pk.get_db_prep_value(video.pk, connection)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        table = Video._meta.db_table
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [text, key])
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
