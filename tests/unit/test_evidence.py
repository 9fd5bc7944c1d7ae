"""What is kept of a reply, as text: no prompt in any spelling, and the id that was bought."""

from __future__ import annotations

import html
import json
from datetime import datetime, timezone
from typing import Any

import pytest

from seedance_celery.api.evidence import hidden, is_same, of_error, over
from seedance_celery.api.redaction import Secret
from seedance_celery.api.replies import parse_created, parse_video
from seedance_celery.exceptions import ApiError

NOW = datetime(2026, 11, 30, 10, tzinfo=timezone.utc)
PROMPT = 'A "kite"\nover <the> sea é 海'


def error_of(body: bytes, http: int = 200, *, creating: bool = True) -> ApiError:
    parse = parse_created if creating else parse_video
    # The client of a retrieve does not know the prompt: who keeps the evidence does.
    known = [Secret(PROMPT), Secret("sk-key")] if creating else [Secret("sk-key")]
    with pytest.raises(ApiError) as caught:
        parse(http, {}, body, hide=known)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        PROMPT,
        json.dumps({"echo": PROMPT}),
        json.dumps({"echo": PROMPT}, ensure_ascii=False),
        json.dumps({"echo": PROMPT})[:-1],
        json.dumps({PROMPT: [1]}),
        json.dumps({"echo": PROMPT}, ensure_ascii=False)[:-2],
        f"<html>{html.escape(PROMPT)}</html>",
        json.dumps({"message": PROMPT, "x": "x" * 70_000}),
    ],
)
@pytest.mark.parametrize("creating", [True, False])
def test_a_prompt_is_taken_out_of_a_body_however_it_is_written(body: str, creating: bool) -> None:
    told = of_error(error_of(body.encode(), creating=creating), NOW, hide=hidden(PROMPT))
    assert "[redacted]" in str(told)
    assert not [part for part in ("kite", "sea", "海", "\\u6d77") if part in str(told)]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"data": "task_PAIDFOR123"}, ["task_PAIDFOR123"]),
        ({"result": {"videoId": "0b1c-77"}}, ["0b1c-77"]),
        ({"results": [{"uuid": "0b1c-77"}]}, ["0b1c-77"]),
        ({"see": "https://api.example/s?task=task_0123456789&sig=x"}, ["task_0123456789"]),
        ({"request_id": "2026x", "user_id": "u1", "trace-id": "t1"}, []),
        ({"apiKeyId": "sk-abcdef123"}, []),
        ({"video": {"id": "two words"}}, []),
        ({"video": {"id": 7}, "x": {"taskid": ""}}, []),
        ([{"job_id": f"j{n}"} for n in range(9)], []),
    ],
)
def test_what_may_be_the_id_of_a_bought_video_is_kept_as_it_is(body: Any, ids: list[str]) -> None:
    assert of_error(error_of(json.dumps(body).encode()), NOW).get("ids", []) == ids


def test_a_body_is_kept_of_a_good_status_alone() -> None:
    assert "body" not in of_error(error_of(b'{"message": "no"}', 500), NOW)
    assert of_error(error_of(b"x" * 9000), NOW)["body"] == "x" * 4000


def test_the_same_words_are_not_written_again_and_others_are() -> None:
    first = of_error(error_of(b'{"code": "a", "message": "no (request id: r1)"}', 500), NOW)
    again = of_error(error_of(b'{"code": "a", "message": "no (request id: r1)"}', 500), NOW)
    other = of_error(error_of(b'{"code": "b", "message": "no"}', 500), NOW)
    assert is_same(first, {**again, "request_id": "r2", "at": "later"})
    assert not is_same(first, other)
    assert not is_same(None, first)
    old = over(first, NOW)
    assert old is not None
    assert not is_same(old, first)
    assert over(old, NOW) is None
    assert over(None, NOW) is None
