"""Every error of the API: from status and body to a class, and from the class to money."""

from __future__ import annotations

import copy
import json
import pickle
from functools import partial
from typing import Any

import pytest

from seedance_celery import exceptions
from seedance_celery.api.replies import (
    Outcome,
    create_outcome,
    parse_created,
    parse_retry_after,
    parse_video,
)
from seedance_celery.exceptions import (
    ApiError,
    BrokenReply,
    ConnectFailed,
    KeyMissing,
    KeyRefused,
    ModelUnavailable,
    QuotaExceeded,
    RateLimited,
    ReplyLost,
    RequestRefused,
    ServerError,
    TaskNotExist,
    WrongBaseUrl,
)

HTML = "<!doctype html><html><body>Sign in to the hotel's network</body></html>"
NO_CHANNEL = "no available channel for group default and model x"


def error_of(
    status: int, body: Any = None, *, headers: dict[str, str] | None = None, create: bool = False
) -> ApiError:
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    parse = parse_created if create else partial(parse_video, api_id="task_1")
    with pytest.raises(ApiError) as caught:
        parse(status, headers or {}, sent)
    return caught.value


def coded(code: Any, message: str = "words") -> dict[str, Any]:
    return {"error": {"message": message, "type": "comet_api_error", "param": "", "code": code}}


CREATES = [
    *[(status, "", WrongBaseUrl, Outcome.REJECTED) for status in (301, 302, 307, 308)],
    (401, coded(""), KeyRefused, Outcome.KEY_REFUSED),
    (401, HTML, KeyRefused, Outcome.KEY_REFUSED),
    (403, "", KeyRefused, Outcome.KEY_REFUSED),
    (403, coded("", "invalid token"), KeyRefused, Outcome.KEY_REFUSED),
    (403, coded("", "this API key is disabled"), KeyRefused, Outcome.KEY_REFUSED),
    (403, {"code": None, "message": "user quota is not enough"}, QuotaExceeded, Outcome.NO_QUOTA),
    (403, coded("", "token quota exhausted"), QuotaExceeded, Outcome.NO_QUOTA),
    (402, coded(""), QuotaExceeded, Outcome.NO_QUOTA),
    (403, coded("", "the token has no access to model x"), RequestRefused, Outcome.REJECTED),
    (403, coded("", "sensitive words detected"), RequestRefused, Outcome.REJECTED),
    (403, HTML, WrongBaseUrl, Outcome.REJECTED),
    *[
        (status, coded("invalid_request"), RequestRefused, Outcome.REJECTED)
        for status in (400, 404, 405, 409, 413, 415, 422, 451)
    ],
    (400, {"code": "task_not_exist", "message": "", "data": None}, TaskNotExist, Outcome.REJECTED),
    *[(status, HTML, WrongBaseUrl, Outcome.REJECTED) for status in (400, 404, 405)],
    (429, coded(""), RateLimited, Outcome.LIMITED),
    (429, HTML, RateLimited, Outcome.LIMITED),
    (500, coded("invalid_request"), RequestRefused, Outcome.REJECTED),
    (500, coded("INVALID_REQUEST"), RequestRefused, Outcome.REJECTED),
    (503, coded("model_not_found", NO_CHANNEL), ModelUnavailable, Outcome.REJECTED),
    (503, coded("", NO_CHANNEL), ServerError, Outcome.UNKNOWN),
    (500, coded("", "invalid_request"), ServerError, Outcome.UNKNOWN),
    *[(status, "", ServerError, Outcome.UNKNOWN) for status in (408, 500, 502, 503, 504, 524)],
    (502, HTML, ServerError, Outcome.UNKNOWN),
    (200, "", BrokenReply, Outcome.UNKNOWN),
    (200, HTML, BrokenReply, Outcome.UNKNOWN),
    (200, {"status": "queued"}, BrokenReply, Outcome.UNKNOWN),
    (200, coded("invalid_request"), BrokenReply, Outcome.UNKNOWN),
    (200, {"code": "task_not_exist"}, BrokenReply, Outcome.UNKNOWN),
    (204, "", BrokenReply, Outcome.UNKNOWN),
    *[(status, "", BrokenReply, Outcome.UNKNOWN) for status in (0, 101, 600, 999, -1)],
]


@pytest.mark.parametrize(("status", "body", "cls", "outcome"), CREATES)
def test_outcome_of_a_create(status: int, body: Any, cls: type[ApiError], outcome: Outcome) -> None:
    error = error_of(status, body, create=True)
    assert type(error) is cls
    assert create_outcome(error) is outcome
    assert error.http_status == status


@pytest.mark.parametrize(
    ("cls", "outcome"),
    [
        (ConnectFailed, Outcome.NOT_SENT),
        (KeyMissing, Outcome.KEY_REFUSED),
        (ReplyLost, Outcome.UNKNOWN),
        (ApiError, Outcome.UNKNOWN),
    ],
)
def test_outcome_of_a_create_without_a_reply(cls: type[ApiError], outcome: Outcome) -> None:
    assert create_outcome(cls("…")) is outcome


def test_outcome_of_an_error_that_is_yet_to_be_invented_is_unknown() -> None:
    class Novel(exceptions.TransientError):
        pass

    assert create_outcome(Novel("…")) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"code": "task_not_exist", "message": "task_not_exist", "data": None}),
        (400, {"message": "task_not_exist"}),
        (400, coded("task_not_exist")),
        (400, coded(None, "task_not_exist")),
        (400, {"error": "task_not_exist"}),
        (404, {"code": "TASK_NOT_EXIST"}),
        (400, {"message": json.dumps(coded("task_not_exist"))}),
        (200, {"code": "task_not_exist", "message": "task_not_exist", "data": None}),
    ],
)
def test_task_not_exist_is_known_in_every_place(status: int, body: Any) -> None:
    assert type(error_of(status, body)) is TaskNotExist


def test_words_about_task_not_exist_are_not_task_not_exist() -> None:
    assert type(error_of(400, {"message": "why task_not_exist happens"})) is RequestRefused


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        (coded("invalid_request", "bad size"), "invalid_request", "bad size"),
        (coded(None, "bad size"), "", "bad size"),
        ({"code": "bad", "message": "bad size", "data": None}, "bad", "bad size"),
        ({"code": 1002, "message": "bad size"}, "1002", "bad size"),
        ({"error": "bad size"}, "", "bad size"),
        ({"message": "bad size"}, "", "bad size"),
        ({"message": json.dumps(coded("bad", "bad size"))}, "bad", "bad size"),
        (HTML, "", ""),
        ("nonsense", "", ""),
        ({"error": 5, "message": [], "code": {}}, "", ""),
    ],
)
def test_words_of_each_envelope_are_read(body: Any, code: str, reason: str) -> None:
    error = error_of(400, body)
    assert (error.code, error.reason) == (code, reason)


def test_words_of_the_api_are_in_reason_and_nowhere_else_that_is_shown() -> None:
    error = error_of(400, coded("invalid_request", "a kite over the sea is not allowed"))
    assert "kite" in error.reason
    assert "kite" not in str(error)
    assert "kite" not in repr(error)
    assert "task_1" in str(error)


def test_private_text_is_taken_out_of_the_reason() -> None:
    for prompt in ("a kite", "a kite " * 1000):
        body = json.dumps({"message": f"bad prompt: {prompt}"}).encode()
        with pytest.raises(RequestRefused) as caught:
            parse_created(400, {}, body, hide=[prompt])
        assert caught.value.reason == "bad prompt: [redacted]"


def test_reason_is_redacted_and_capped() -> None:
    long = "https://x.example/a?sig=SECRET Bearer abc.def sk-abcdef123456 " + "x" * 5000
    reason = error_of(400, coded("", long)).reason
    assert len(reason) == 300
    assert not any(secret in reason for secret in ("SECRET", "abc.def", "abcdef123456"))


def test_request_id_comes_from_the_header_or_the_message() -> None:
    message = "no (request id: 20260205132859798638387SIHCnxzJ)"
    assert error_of(500, coded("", message)).request_id == "20260205132859798638387SIHCnxzJ"
    headers = {"x-cometapi-request-id": "from-header"}
    assert error_of(500, coded("", message), headers=headers).request_id == "from-header"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *[("0", 0.0), ("7", 7.0), (" 12 ", 12.0), ("1.5", 1.5), ("86400", 900.0)],
        *[("9" * 5000, 900.0), ("Wed, 12 Nov 2025 10:01:00 GMT", 60.0)],
        *[("Wed, 12 Nov 2025 09:00:00 GMT", 0.0), ("Wed, 12 Nov 2036 09:00:00 GMT", 900.0)],
        *[("", None), (None, None), ("-1", None), ("soon", None), ("nan", None), ("inf", None)],
        *[("١٢", None), ("Wed, 99 Nov 2025 10:01:00 GMT", None), ("1e3", None)],
    ],
)
def test_retry_after_is_believed_up_to_15_minutes(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, 1762941600.0) == seconds


def test_retry_after_date_is_judged_by_the_replys_own_clock() -> None:
    headers = {
        "Date": "Wed, 12 Nov 2025 10:00:00 GMT",
        "Retry-After": "Wed, 12 Nov 2025 10:00:30 GMT",
    }
    with pytest.raises(RateLimited) as caught:
        parse_video(429, headers, b"", now=0.0)
    assert caught.value.retry_after == 30.0


def test_retry_after_date_without_any_clock_says_nothing() -> None:
    assert parse_retry_after("Wed, 12 Nov 2025 10:00:30 GMT", None) is None


def test_error_survives_being_pickled_and_rebuilt_from_its_args() -> None:
    error = error_of(429, coded("slow", "wait"), headers={"Retry-After": "7"})
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), type(error)(*error.args)):
        assert vars(twin) == vars(error)
        assert (twin.retry_after, twin.reason, twin.code) == (7.0, "wait", "slow")
