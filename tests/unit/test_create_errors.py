"""What a create raises: what may have been bought is no error that asks to be tried again."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedance_celery import exceptions
from seedance_celery.api.create_errors import unknown_where_bought
from seedance_celery.client import Client
from seedance_celery.exceptions import (
    ApiError,
    ConnectFailed,
    InvalidRequest,
    KeyMissing,
    KeyRefused,
    ModelUnavailable,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    TransientError,
    WrongBaseUrl,
)
from seedance_celery.protocol import Outcome, create_outcome
from seedance_celery.simulator import SCENARIOS, SimulatorServer

from .scripted_server import Peer, Received, ScriptedServer, reply

BOUGHT = None
"""The create returns its video."""
GATEWAY: dict[str, type[ApiError] | None] = {
    **dict.fromkeys(
        (
            *("build_request_failed", "do_request_failed", "get_channel_failed"),
            *("invalid_response", "read_response_body_failed"),
            *("unmarshal_response_body_failed", "upstream_500"),
        ),
        OutcomeUnknown,
    ),
    **dict.fromkeys(
        (
            *("content_403", "firewall_plain", "model_price_error"),
            *("upstream_451", "upstream_error"),
        ),
        RequestRefused,
    ),
    **dict.fromkeys(("token_used_up", "upstream_401"), KeyRefused),
    "firewall": WrongBaseUrl,
    "insufficient_user_quota": QuotaExceeded,
    "upstream_429": RateLimited,
}
"""What the gateway, the provider behind it or a firewall says, to creates and to all requests."""
CREATES: dict[str, type[ApiError] | None] = {
    **dict.fromkeys(
        ("late=0", "uppercase", "only_task_id", "wrapped", "truncated_with_id"), BOUGHT
    ),
    **dict.fromkeys(
        ("dropped", "closed", "stalled", "reset_mid_body", "truncated", "garbled", "empty"),
        OutcomeUnknown,
    ),
    **dict.fromkeys(("without_id", "html"), OutcomeUnknown),
    **dict.fromkeys(
        (f"http_{status}" for status in (408, 500, 502, 503, 504, 524)), OutcomeUnknown
    ),
    **dict.fromkeys(("400", "404", "415", "422", "500_invalid_request"), RequestRefused),
    **dict.fromkeys(("401", "403_key"), KeyRefused),
    **dict.fromkeys(("402", "403_quota"), QuotaExceeded),
    **dict.fromkeys(("413", "301"), WrongBaseUrl),
    **dict.fromkeys(("429", "429_retry_after"), RateLimited),
    "503_model_not_found": ModelUnavailable,
    **dict.fromkeys(("early_hints",), BOUGHT),
    **dict.fromkeys(("id_in_data",), OutcomeUnknown),
    **GATEWAY,
}
FAULTS: dict[str, type[ApiError] | None] = {
    **dict.fromkeys(("late=0", "trickle=0", "wrong_content_type"), BOUGHT),
    **dict.fromkeys(
        (f"http_{status}" for status in (408, 500, 502, 503, 504, 524)), OutcomeUnknown
    ),
    **dict.fromkeys(
        ("html", "garbage", "empty", "json_list", "error_text", "error_message", "error_nested"),
        OutcomeUnknown,
    ),
    **dict.fromkeys(
        ("reset", "closed", "reset_mid_body", "truncated", "hang", "huge_body"), OutcomeUnknown
    ),
    **dict.fromkeys(
        (f"rate_limited{more}" for more in ("", "_retry_after", "_date", "_nonsense")), RateLimited
    ),
    **dict.fromkeys(("key_refused", "key_forbidden"), KeyRefused),
    "quota": QuotaExceeded,
    **dict.fromkeys(("http_404", "redirect", "html_403"), WrongBaseUrl),
    "model_not_found": ModelUnavailable,
    "invalid_request": RequestRefused,
    "early_hints": BOUGHT,
    **GATEWAY,
}
TABLE = {**{f"create_{name}": cls for name, cls in CREATES.items()}, **FAULTS}


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as running:
        yield running


def test_each_way_in_which_the_simulator_answers_a_create_is_in_the_table() -> None:
    played = {name for name, s in SCENARIOS.items() if s.create is not None or s.api is not None}
    assert {name.partition("=")[0] for name in TABLE} == played


@pytest.mark.parametrize("name", sorted(TABLE))
def test_what_may_be_bought_is_raised_as_unknown(server: SimulatorServer, name: str) -> None:
    app, wanted = server.app, TABLE[name]
    app.clear()
    before, sent = app.charges, app.counts["create"]
    app.fault(name)
    error: ApiError | None = None
    with Client("simulator", server.url, create_timeout=1) as client:
        try:
            client.create("A kite over the sea")
        except ApiError as caught:
            error = caught
    bought = app.charges - before
    assert app.counts["create"] - sent == 1
    assert type(error) is (type(None) if wanted is BOUGHT else wanted)
    if isinstance(error, OutcomeUnknown):
        assert create_outcome(error) is Outcome.UNKNOWN
        assert isinstance(error.__cause__, TransientError)
        assert error.cause == type(error.__cause__).__name__
        for evidence in ("http_status", "code", "request_id", "reason"):
            assert getattr(error, evidence) == getattr(error.__cause__, evidence)
    else:
        assert bought == (error is None)


def test_whoever_repeats_a_create_after_a_blip_buys_once(server: SimulatorServer) -> None:
    app = server.app
    for name in ("create_dropped", "create_http_502", "create_html", "create_429"):
        app.clear()
        app.fault(f"{name}")
        before = app.charges
        with Client("simulator", server.url, create_timeout=1) as client:
            for _ in range(3):
                try:
                    client.create("A kite over the sea")
                except TransientError:
                    continue
                except OutcomeUnknown:
                    break
        assert app.charges - before <= 1, name


def test_the_evidence_of_a_lost_create_stays_and_travels_as_json() -> None:
    def fail(peer: Peer, received: Received) -> None:
        body = {"error": {"message": "upstream: A kite (request id: abc1234567)", "code": "boom"}}
        peer.send(reply(body, 502, {"Retry-After": "9"}))

    with (
        ScriptedServer(fail) as server,
        Client("sk-test0123456789", server.url) as client,
        pytest.raises(OutcomeUnknown) as caught,
    ):
        client.create("A kite")
    error = caught.value
    assert (error.http_status, error.code, error.request_id) == (502, "boom", "abc1234567")
    assert error.reason.startswith("upstream: [redacted]")
    assert error.cause == "ServerError"
    assert error.retry_after is None  # nothing says when to send it again
    assert "dashboard" in str(error)
    assert "kite" not in str(error)
    copy = OutcomeUnknown(*json.loads(json.dumps(error.args)))
    # The details of the reply are for the row: they do not travel.
    assert vars(copy) == {k: v for k, v in vars(error).items() if k != "details"}


KINDS = [
    cls for _, cls in inspect.getmembers(exceptions, inspect.isclass) if issubclass(cls, ApiError)
]


@given(st.sampled_from(KINDS), st.integers(0, 999), st.text(max_size=20))
def test_no_error_whose_outcome_is_unknown_asks_to_be_tried_again(
    cls: type[ApiError], http_status: int, code: str
) -> None:
    original = cls("…", "", http_status, code)
    with pytest.raises(ApiError) as caught, unknown_where_bought():
        raise original
    is_unknown = create_outcome(original) is Outcome.UNKNOWN
    assert isinstance(caught.value, OutcomeUnknown) == is_unknown
    assert not (is_unknown and isinstance(caught.value, TransientError))
    assert create_outcome(caught.value) is create_outcome(original)
    if not is_unknown:
        assert caught.value is original


class SoftTimeLimitExceeded(Exception):
    """Stands for what a time limit raises."""


@pytest.mark.parametrize("error", [SoftTimeLimitExceeded(), OSError("x"), TimeoutError(), KeyError])
def test_an_error_that_is_none_of_ours_leaves_a_create_unknown(error: Any) -> None:
    answered: list[int] = []

    def answer(peer: Peer, received: Received) -> None:
        answered.append(1)
        peer.send(reply({"id": "task_9", "status": "queued"}))

    def interrupt(*args: Any, **kwargs: Any) -> Any:
        raise error

    with ScriptedServer(answer) as server, Client("sk-test0123456789", server.url) as client:
        send = client._session.send

        def instrumented(*args: Any, **kwargs: Any) -> Any:
            return interrupt(send(*args, **kwargs))

        client._session.send = instrumented  # type: ignore[method-assign]
        with pytest.raises(OutcomeUnknown) as caught:
            client.create("x")
    assert answered == [1]
    kind = error if isinstance(error, type) else type(error)
    assert caught.value.cause == kind.__name__
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_passes_as_it_is(interrupt: type[BaseException]) -> None:
    with pytest.raises(interrupt), unknown_where_bought():
        raise interrupt


@pytest.mark.parametrize("error", [InvalidRequest("no image", "images"), ConnectFailed("…")])
def test_what_was_not_sent_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, unknown_where_bought():
        raise error
    assert caught.value is error


def test_a_retrieve_still_asks_to_be_tried_again(server: SimulatorServer) -> None:
    server.app.clear()
    with Client("simulator", server.url, (1, 1)) as client:
        api_id = client.create("A kite").id
        for name in ("http_502", "html", "reset", "truncated"):
            server.app.clear()
            server.app.fault(name)
            with pytest.raises(TransientError):
                client.retrieve(api_id)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("sk-one sk-two", "blank"),
        ("sk-one\tsk-two", "blank"),
        ("sk-one\nsk-two", "line break"),
        ("sk-one\r\nsk-two", "line break"),
        ("sk-öne", "not ASCII"),
        ("sk-one\N{ZERO WIDTH SPACE}", "not ASCII"),
        ("sk-\x00one", "control character"),
        ("Bearer sk-one", "Bearer"),
        ("", "no API key"),
    ],
)
def test_a_key_that_cannot_be_one_is_told_what_is_wrong_with_it(key: str, words: str) -> None:
    with pytest.raises(KeyMissing, match=words) as caught:
        Client(key).retrieve("task_1")
    assert "sk-" not in repr(caught.value.args)
