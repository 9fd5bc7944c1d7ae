"""No body whatsoever destroys the link that stands in it, or lets one out where people look."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seedance_celery.api.evidence import of_error
from seedance_celery.api.links import MAX_URL, PLACES, find_link, read_link
from seedance_celery.api.replies import VideoTask, parse_created, parse_video, redact
from seedance_celery.exceptions import ApiError
from seedance_celery.lifecycle.decisions import recorded

SECRET = "c0ffeeba5e"
LINK = f"https://files.example/out/kite.mp4?X-Tos-Expires=9&X-Tos-Signature={SECRET}"
PATH = LINK.removeprefix("https://files.example")
ESCAPED = LINK.replace("/", "\\/")
LEAKS = [
    *[LINK, f" {LINK}\n", f"see {LINK}, please", f"<{LINK}>", LINK.upper().replace("C0", "c0")],
    *[LINK.replace("https", "ftp"), PATH, ESCAPED],
    *[LINK.removeprefix("https:"), quote(LINK, safe=""), json.dumps({"message": LINK})],
    *[json.dumps({"error": {"code": LINK, "message": LINK}}), f"s3://bucket/k?sig={SECRET}"],
    f"https://files.example/my kite.mp4?sig={SECRET}",
]
COMPLETED = ["completed", "SUCCESS", "succeeded"]
SUCCESS = ["done", "finished", "complete", "succeed"]
WORDS = [*COMPLETED, *SUCCESS, "failed", "error", "in_progress", "queued", "paused", "cancelled"]
NAMES = [
    *["video_url", "metadata", "url", "result_url", "content", "data", "fail_reason", "error"],
    *["message", "code", "status", "id", "task_id", "model", "output", "prompt", "title", "detail"],
]
TEXTS = st.sampled_from(LEAKS) | st.sampled_from(WORDS) | st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner, max_size=5)
    ),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8)
BODIES = OBJECTS | JSON


def nested(place: tuple[str, ...], value: Any) -> Any:
    for name in reversed(place):
        value = {name: value}
    return value


def wrapped(body: Any, *, is_wrapped: bool) -> bytes:
    return json.dumps({"code": "success", "data": body} if is_wrapped else body).encode()


@settings(max_examples=300, deadline=None)
@given(
    noise=st.dictionaries(
        st.sampled_from(["seed", "usage", "model", "progress"]), JSON, max_size=4
    ),
    place=st.sampled_from(PLACES),
    word=st.sampled_from([*COMPLETED, *SUCCESS]),
    is_wrapped=st.booleans(),
    ids=st.sampled_from([{"task_id": "task_1"}, {"id": None}, {}]),
)
def test_a_link_in_any_known_place_is_read_to_the_letter(
    noise: dict[str, Any],
    place: tuple[str, ...],
    word: str,
    is_wrapped: bool,
    ids: dict[str, Any],
) -> None:
    body = {**noise, **ids, "status": word, **nested(place, LINK)}
    task = parse_video(200, {}, wrapped(body, is_wrapped=is_wrapped), api_id="task_1")
    assert (task.status, task.video_url, task.link_fault) == ("completed", LINK, "")


@settings(max_examples=300, deadline=None)
@given(
    body=OBJECTS,
    word=st.sampled_from(COMPLETED),
    name=st.sampled_from(["output", "result", "files"]),
    padding=st.sampled_from([0, 70_000]),
)
def test_a_completed_video_whose_link_is_not_found_keeps_what_may_be_one(
    body: dict[str, Any], word: str, name: str, padding: int
) -> None:
    sent = {**body, "id": "task_1", "status": word, name: [{"link": LINK}], "x": "x" * padding}
    task = parse_video(200, {}, json.dumps(sent).encode(), api_id="task_1")
    if task.status == "completed" and not task.video_url:
        assert LINK in json.dumps(task.raw)
        assert LINK in json.dumps(recorded(task)["raw"])
        # What a chain is given of a create's reply, and a page shows, has none.
        assert SECRET not in json.dumps(redact(task.raw))


@settings(max_examples=500, deadline=None)
@given(
    body=BODIES,
    http=st.sampled_from([200, 201, 301, 400, 401, 403, 404, 429, 451, 500, 503]),
    content_type=st.sampled_from(["application/json", "text/html", "application/problem+json"]),
    cut=st.none() | st.integers(0, 300),
    is_create=st.booleans(),
)
@example(body={"data": LINK}, http=200, content_type="", cut=None, is_create=True)
@example(body={"taskId": LINK}, http=200, content_type="", cut=None, is_create=True)
@example(body={"id": "a", "status": LINK}, http=200, content_type="", cut=None, is_create=False)
@example(body={"id": LINK, "status": "x"}, http=200, content_type="", cut=None, is_create=True)
@example(body={"id": PATH}, http=200, content_type="", cut=None, is_create=True)
@example(body={"x": LINK}, http=200, content_type="", cut=115, is_create=True)
def test_no_body_lets_a_link_out(
    body: Any, http: int, content_type: str, cut: int | None, is_create: bool
) -> None:
    sent = json.dumps(body).encode()[:cut]
    headers = {"Content-Type": content_type}
    try:
        if is_create:
            task = parse_created(http, headers, sent)
        else:
            task = parse_video(http, headers, sent, api_id="task_1")
    except ApiError as error:
        assert_is_quiet(error)
    else:
        assert_shows_no_link(task)


def assert_is_quiet(error: ApiError) -> None:
    now = datetime(2026, 11, 30, tzinfo=timezone.utc)
    shown = [str(error), repr(error), repr(error.details), *map(str, error.args)]
    for text in (*shown, json.dumps(of_error(error, now))):
        assert SECRET not in text


def assert_shows_no_link(task: VideoTask) -> None:
    for text in (repr(task), task.reason, task.code, task.api_status, task.link_fault):
        assert SECRET not in text
    is_needed = task.status == "completed" or task.api_status.strip().lower() in SUCCESS
    if task.video_url or not is_needed:
        raw = recorded(task)["raw"]
        kept = {name: value for name, value in raw.items() if name != "video_url"}
        assert SECRET not in json.dumps(kept)
        assert not task.video_url or SECRET not in json.dumps(raw)


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.characters(codec=None), max_size=60))
def test_whatever_stands_behind_a_host_is_a_link_or_says_what_is_wrong(text: str) -> None:
    link = read_link(f"https://files.example/{text}")
    assert bool(link.url) != bool(link.fault)
    assert link.url.isprintable()
    assert " " not in link.url
    link.url.encode()


@settings(max_examples=200, deadline=None)
@given(
    query=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=200),
)
def test_what_can_be_sent_as_it_is_stays_as_it_is(query: str) -> None:
    url = f"https://files.example/kite.mp4?{query}"
    assert read_link(url).url == url


@settings(max_examples=200, deadline=None)
@given(layers=st.lists(OBJECTS, max_size=3))
def test_looking_for_a_link_never_raises(layers: list[dict[str, Any]]) -> None:
    link = find_link(layers)
    assert len(link.url) <= MAX_URL
    assert not (link.url and link.fault)


@pytest.mark.parametrize("text", [f"x{LINK}", quote(LINK, safe=""), ESCAPED, f"//h/v?sig={SECRET}"])
def test_a_signature_is_taken_out_of_any_text(text: str) -> None:
    assert SECRET not in str(redact({"words": text}))
