"""No input whatever makes the parser raise anything but an `ApiError`, or return unsafe values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seedance_celery.api.redaction import MAX_WORDS
from seedance_celery.api.replies import (
    API_STATUSES,
    MAX_URL,
    VideoTask,
    create_outcome,
    parse_created,
    parse_retry_after,
    parse_video,
    redact,
    redact_text,
)
from seedance_celery.exceptions import ApiError

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)
WORDS = st.sampled_from(
    [
        *["id", "task_id", "object", "model", "status", "progress", "created_at", "completed_at"],
        *["video_url", "fail_reason", "data", "error", "message", "code", "success", "completed"],
        *["failed", "in_progress", "task_not_exist", "45%", "https://a.example/b?c=d", "prompt"],
    ]
)
TEXTS = WORDS | ANY_TEXT
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=25,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
CUT = st.tuples(BODIES, st.integers(0, 200)).map(lambda pair: pair[0][: pair[1]])
HEADERS = st.dictionaries(
    st.sampled_from(["Date", "date", "Retry-After", "Content-Type", "X-CometAPI-Request-Id"])
    | ANY_TEXT,
    ANY_TEXT | st.sampled_from(["text/html", "Wed, 12 Nov 2025 10:00:00 GMT", "5"]),
    max_size=4,
)
STATUSES = st.sampled_from([200, 201, 204, 301, 400, 401, 403, 429, 500, 503]) | st.integers()
Parser = Callable[..., VideoTask]


def assert_is_safe(text: str, limit: int) -> None:
    assert len(text) <= limit
    assert "\0" not in text
    text.encode()


def assert_is_sound(task: VideoTask) -> None:
    assert task.status in (*API_STATUSES, "")
    assert task.progress is None or 0 <= task.progress <= 100
    for text in (task.id, task.api_status, task.model, task.request_id):
        assert_is_safe(text, 512)
    assert_is_safe(task.reason, MAX_WORDS)
    assert_is_safe(task.video_url, MAX_URL)
    for seconds in (task.created_at, task.completed_at):
        assert seconds is None or 0 <= seconds < 2**63
    stored = json.dumps(task.raw, allow_nan=False, ensure_ascii=False)
    stored.encode()
    assert "\\u0000" not in stored


def assert_is_sound_error(error: ApiError) -> None:
    create_outcome(error)
    assert error.retry_after is None or 0 <= error.retry_after <= 900
    for text in (str(error), error.code, error.reason, error.request_id):
        assert_is_safe(text, 300)


def assert_parses(parse: Parser, status: int, headers: dict[str, str], body: bytes) -> None:
    try:
        task = parse(status, headers, body)
    except ApiError as error:
        assert_is_sound_error(error)
    else:
        assert_is_sound(task)


@pytest.mark.parametrize("parse", [parse_video, parse_created])
@settings(max_examples=400, deadline=None)
@given(status=STATUSES, headers=HEADERS, body=BODIES | CUT)
@example(status=200, headers={}, body=b"[" * 100_000)
@example(status=200, headers={}, body=b'{"id":"a","status":"x","y":' + b'{"a":' * 5_000)
@example(status=200, headers={}, body=b'{"id":"a","status":"x","y":' + b"9" * 500_000 + b"}")
@example(status=400, headers={}, body=json.dumps({"message": "[" * 9_000}).encode())
@example(status=400, headers={}, body=b'{"error":' * 300 + b"1" + b"}" * 300)
@example(status=200, headers={}, body=b'{"id":"\\ud800","task_id":"a","status":"\\udfff"}')
@example(
    status=200, headers={"Date": "Wed, 12 Nov 99999 10:00:00 GMT"}, body=b'{"id":"a","status":"x"}'
)
@example(status=10**30, headers={}, body=b"")
def test_nothing_but_an_api_error_escapes(
    parse: Parser, status: int, headers: dict[str, str], body: bytes
) -> None:
    assert_parses(parse, status, headers, body)


@pytest.mark.parametrize("parse", [parse_video, parse_created])
@settings(max_examples=300, deadline=None)
@given(
    fields=st.fixed_dictionaries(
        {"id": JSON, "status": JSON | WORDS},
        optional={
            **dict.fromkeys(("task_id", "model", "progress", "created_at"), JSON),
            **dict.fromkeys(("video_url", "fail_reason", "error", "message"), JSON | TEXTS),
            "data": st.dictionaries(WORDS, JSON, max_size=6),
        },
    )
)
def test_wrong_types_in_every_field_are_survived(parse: Parser, fields: dict[str, Any]) -> None:
    assert_parses(parse, 200, {}, json.dumps(fields).encode())


@settings(max_examples=200, deadline=None)
@given(value=ANY_TEXT, now=st.none() | st.floats(allow_nan=False))
def test_retry_after_never_raises(value: str, now: float | None) -> None:
    seconds = parse_retry_after(value, now)
    assert seconds is None or 0 <= seconds <= 900


@settings(max_examples=200, deadline=None)
@given(value=JSON)
def test_redacted_data_can_be_stored(value: Any) -> None:
    json.dumps(redact(value), allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("piece", ["https:", "bearer ", "sk-", "https:a?", "(request id: "])
def test_hostile_text_is_redacted_in_bounded_time(piece: str) -> None:
    assert len(redact_text(piece * 200_000)) <= 4096
