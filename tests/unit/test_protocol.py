"""Each trap of the API's video object, by name: what parses to which value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seedance_celery.api.replies import VideoTask, is_api_id, parse_created, parse_video
from seedance_celery.exceptions import BrokenReply

IN_PROGRESS = {
    "id": "task_abc123",
    "object": "video",
    "model": "doubao-seedance-2-0",
    "status": "in_progress",
    "progress": 30,
    "created_at": 1777385418,
    "completed_at": 1777385485,
}
URL = "https://example.com/seedance-output.mp4?X-Sig=a%2Fb&e=1"


def parsed(body: Any, **headers: str) -> VideoTask:
    return parse_video(200, headers, json.dumps(body).encode(), api_id="task_abc123")


def created(body: Any) -> VideoTask:
    return parse_created(200, {}, json.dumps(body).encode())


def with_(**fields: Any) -> VideoTask:
    return parsed({**IN_PROGRESS, **fields})


def test_documented_body_is_read_field_by_field() -> None:
    task = parsed(IN_PROGRESS)
    assert task == VideoTask(
        id="task_abc123",
        status="in_progress",
        api_status="in_progress",
        progress=30,
        model="doubao-seedance-2-0",
        created_at=1777385418,
        completed_at=1777385485,
        raw=IN_PROGRESS,
    )


def test_completed_at_does_not_end_a_video_in_progress() -> None:
    assert not parsed(IN_PROGRESS).is_terminal
    assert not with_(completed_at=None).is_terminal


@pytest.mark.parametrize("progress", [0, 100])
def test_failed_is_failed_at_any_progress_and_without_a_reason(progress: int) -> None:
    task = with_(status="failed", progress=progress)
    assert (task.status, task.is_terminal, task.reason) == ("failed", True, "")


def test_progress_100_is_not_success() -> None:
    assert not with_(progress=100).is_terminal


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("SUBMITTED", "queued"),
        ("NOT_START", "queued"),
        ("Pending", "queued"),
        ("queued", "queued"),
        ("IN_PROGRESS", "in_progress"),
        ("processing", "in_progress"),
        ("RUNNING", "in_progress"),
        ("SUCCESS", "completed"),
        ("succeeded", "completed"),
        ("Completed", "completed"),
        ("FAILED", "failed"),
        ("FAILURE", "failed"),
        (" ERROR ", "error"),
    ],
)
def test_older_words_in_any_case_are_read(word: str, status: str) -> None:
    task = with_(status=word)
    assert (task.status, task.api_status) == (status, word)


@pytest.mark.parametrize("word", ["archived", "cancelled", "完成", 7])
def test_unknown_status_is_not_terminal_and_is_kept(word: Any) -> None:
    task = with_(status=word)
    assert (task.status, task.api_status, task.is_terminal) == ("", str(word), False)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        *[(45, 45), (45.0, 45), ("45", 45), ("45%", 45), ("45.7 %", 45), (0, 0)],
        *[(-3, 0), (250, 100), ("-5%", 0), (10**30, None), (True, None), (None, None)],
        *[("", None), ("half", None), ([45], None), ({"a": 1}, None), ("9" * 5000, None)],
    ],
)
def test_progress_in_every_form_is_clamped_or_none(sent: Any, read: int | None) -> None:
    assert with_(progress=sent).progress == read


def test_absent_progress_is_none() -> None:
    assert parsed({"id": "task_abc123", "status": "queued"}).progress is None


def test_completed_without_a_url_is_completed_with_an_empty_url() -> None:
    for absent in ({}, {"video_url": None}, {"video_url": ""}, {"video_url": "soon"}):
        task = with_(status="completed", **absent)
        assert (task.status, task.video_url) == ("completed", "")


def test_video_url_is_kept_to_the_letter() -> None:
    task = with_(status="completed", video_url=URL)
    assert task.video_url == URL
    assert task.raw["video_url"] == URL


@pytest.mark.parametrize("blanks", [("", "\n"), (" ", ""), ("\t", " \r\n")])
def test_video_url_is_read_without_what_is_blank_around_it(blanks: tuple[str, str]) -> None:
    task = with_(status="completed", video_url=URL.join(blanks))
    assert (task.video_url, task.raw["video_url"]) == (URL, URL)


def test_a_video_with_a_url_and_an_empty_id_is_complete() -> None:
    task = parsed({"id": None, "status": "completed", "video_url": URL})
    assert (task.id, task.status, task.video_url) == ("task_abc123", "completed", URL)


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "javascript:1", "https://", "http://[", "https://a b/", "x" * 9000],
)
def test_what_is_no_web_address_is_no_video_url(url: str) -> None:
    assert with_(status="completed", video_url=url).video_url == ""


def test_older_envelope_carries_the_url_in_fail_reason() -> None:
    inner = {"task_id": "task_abc123", "status": "SUCCESS", "progress": "100%", "fail_reason": URL}
    task = parsed({"code": "success", "message": "", "data": {**inner, "data": {"id": "cgt-1"}}})
    assert (task.id, task.status, task.progress) == ("task_abc123", "completed", 100)
    assert task.video_url == URL
    assert task.reason == ""
    assert "X-Sig" not in json.dumps(task.raw)


def test_older_envelope_carries_the_reason_of_a_failure() -> None:
    inner = {"task_id": "task_abc123", "status": "FAILURE", "fail_reason": "bad image"}
    task = parsed({"code": "success", "message": "", "data": inner})
    assert (task.status, task.reason, task.video_url) == ("failed", "bad image", "")


def test_status_of_an_envelope_is_not_that_of_the_video() -> None:
    task = parsed({"status": "success", "data": {"task_id": "t", "status": "IN_PROGRESS"}})
    assert task.status == "in_progress"


@pytest.mark.parametrize(
    "body",
    [
        {"code": "success", "data": None},
        {"error": {"message": "internal", "type": "comet_api_error", "code": ""}},
        {"status": "error", "message": "please try again"},
        {"id": None, "status": "error", "message": "upstream is busy"},
        {"id": "", "object": "video", "status": "failed", "progress": 0},
        {"data": {"task_id": None, "status": "FAILURE", "progress": "0%"}},
        {"status": "error", "object": None, "progress": None, "video_url": ""},
        {"status": "success"},
        {"id": "task_abc123"},
        {},
        [],
        None,
        "completed",
        5,
    ],
)
def test_200_without_a_video_in_it_is_broken_and_ends_nothing(body: Any) -> None:
    with pytest.raises(BrokenReply) as caught:
        parsed(body)
    assert caught.value.api_id == "task_abc123"


@pytest.mark.parametrize("body", [b"<html><body>Sign in</body></html>", b"", b"\xff\xfe", b"{"])
def test_200_with_a_page_or_garbage_is_broken(body: bytes) -> None:
    with pytest.raises(BrokenReply):
        parse_video(200, {"Content-Type": "text/html"}, body)


def test_model_may_differ_from_the_one_sent() -> None:
    assert with_(model="seedance-2-5-pro-v9").model == "seedance-2-5-pro-v9"


def test_failed_video_with_an_error_object_keeps_its_words() -> None:
    task = with_(status="failed", error={"code": "moderation", "message": "not allowed"})
    assert (task.status, task.reason) == ("failed", "not allowed")


def test_unknown_fields_are_kept_in_raw() -> None:
    assert with_(ratio={"w": [16, 9]}).raw["ratio"] == {"w": [16, 9]}


def test_id_asked_for_is_the_id_whatever_the_reply_calls_it() -> None:
    assert with_(id="cgt-upstream").id == "task_abc123"


def test_request_id_and_date_come_from_the_headers() -> None:
    headers = {"X-CometAPI-Request-Id": "r-1", "Date": "Wed, 12 Nov 2025 10:00:00 GMT"}
    task = parsed(IN_PROGRESS, **headers)
    assert (task.request_id, task.date) == ("r-1", 1762941600.0)


@pytest.mark.parametrize("seconds", [None, "soon", -1, 1777385418000, True, [], 1e300])
def test_a_time_that_is_none_is_none(seconds: Any) -> None:
    assert with_(created_at=seconds).created_at is None


def test_what_a_database_refuses_is_not_in_the_value() -> None:
    body = b'{"id":"t","status":"od\\u0000d\\ud800","x":[NaN,-Infinity,1e999,99999999999999999999]}'
    task = parse_video(200, {}, body, api_id="t")
    assert task.api_status == "odd\N{REPLACEMENT CHARACTER}"
    assert task.raw["x"] == [None] * 4
    json.dumps(task.raw, allow_nan=False).encode()


def test_number_of_thousands_of_digits_does_not_hide_the_video() -> None:
    body = b'{"id":"t","status":"completed","x":' + b"9" * 50_000 + b"}"
    task = parse_video(200, {}, body)
    assert (task.status, task.raw["x"]) == ("completed", None)


def test_large_body_keeps_the_documented_fields_alone() -> None:
    task = with_(video_url=URL, padding="x" * 70_000)
    assert set(task.raw) == {*IN_PROGRESS, "video_url"}


# The create's reply.

CREATED = {
    "id": "task_abc123",
    "task_id": "task_abc123",
    "object": "video",
    "model": "doubao-seedance-2-0",
    "status": "queued",
    "progress": 0,
    "created_at": 1776681149,
}


@pytest.mark.parametrize(
    "body",
    [
        CREATED,
        {"task_id": "task_abc123"},
        {"id": "task_abc123"},
        {"id": "task_abc123", "status": "SUBMITTED"},
        {"id": "task_abc123", "error": {"message": "odd"}},
        {"code": "success", "data": {"id": 77, "task_id": "task_abc123"}},
        {"id": None, "task_id": "task_abc123"},
    ],
)
def test_create_with_an_id_in_any_envelope_is_queued(body: dict[str, Any]) -> None:
    task = created(body)
    assert (task.id, task.status) == ("task_abc123", "queued")


def test_create_reply_that_breaks_off_after_its_id_is_adopted() -> None:
    whole = json.dumps(CREATED).encode()
    for end in range(whole.index(b'",') + 1, len(whole)):
        assert parse_created(200, {}, whole[:end]).id == "task_abc123"


def test_create_reply_that_breaks_off_within_its_id_is_not() -> None:
    for body in (b'{"id":"task_ab', b'{"id":"task_abc123', b'{"object":"video"'):
        with pytest.raises(BrokenReply):
            parse_created(200, {}, body)


def test_id_in_a_page_is_not_adopted() -> None:
    with pytest.raises(BrokenReply):
        parse_created(200, {}, b'<html><script>{"id":"root"}</script>')


def test_id_in_a_broken_error_is_not_adopted() -> None:
    for status in (400, 429, 500, 502):
        with pytest.raises(Exception, match=str(status)):
            parse_created(status, {}, b'{"id":"task_abc123","err')


@pytest.mark.parametrize(
    "value",
    ["", " ", ".", "..", "a\nb", "a\0", "\ud800", "x" * 513, "https://a.example/x", 5, None],
)
def test_what_cannot_be_an_id(value: Any) -> None:
    assert not is_api_id(value)


@pytest.mark.parametrize("value", ["task_abc123", "a/b?c#d", "…", "a b", "..."])
def test_an_id_is_opaque(value: str) -> None:
    assert is_api_id(value)
