"""How a create can be answered, and whether the money was taken.

The two halves are the table "What a create's outcome means" of the contract. Given to a video
they answer its create; as a fault every create.
"""

from __future__ import annotations

from typing import Any

from ..reply import Reply, Wire, api_error, html_page, json_reply, raw_reply
from .base import ABSENT, Call, Scenario, Step, body, merge, reply
from .faults import GATEWAY_ERRORS, NO_CHANNEL, REDIRECT

__all__ = ["CREATE_SCENARIOS"]


def _half(call: Call) -> Reply:
    """Cut the body off before the id is whole."""
    whole = call.normal.encoded()
    return whole.but(cut=len('{"id": "task_abc'))


def _cut_after_id(call: Call) -> Reply:
    whole = call.normal.encoded()
    return whole.but(cut=whole.body.index(b'", ') + len('", "task'))


def _stalled(call: Call) -> Reply:
    return call.normal.but(wire=Wire(silence=call.number, head=False, end="close"))


def _late(call: Call) -> Reply:
    return call.normal.but(wire=Wire(silence=call.number))


def _wired(**wire: Any) -> Step:
    return lambda call: call.normal.but(wire=Wire(**wire))


def _retry_after(call: Call) -> Reply:
    return api_error(429, "Too many requests").with_header("Retry-After", call.value)


def _without(*fields: str) -> Step:
    return body(lambda data, call: merge(data, **dict.fromkeys(fields, ABSENT)))


def _create(name: str, about: str, step: Step | Reply, **more: Any) -> Scenario:
    create = reply(step) if isinstance(step, Reply) else step
    return Scenario(name=f"create_{name}", about=about, create=create, **more)


def _refused(name: str, about: str, step: Step | Reply, **more: Any) -> Scenario:
    return _create(name, f"nothing bought: {about}", step, charges=False, **more)


_BOUGHT = (
    _create("late", "bought: the right reply after =3 s", _late, value="3"),
    _create(
        "uppercase",
        "bought: the status is SUBMITTED",
        body(lambda data, call: merge(data, status="SUBMITTED")),
    ),
    _create("only_task_id", "bought: task_id without id", _without("id")),
    _create(
        "wrapped",
        "bought: the older envelope",
        body(
            lambda data, call: {"code": "success", "message": "", "data": {"task_id": data["id"]}}
        ),
    ),
    _create("truncated_with_id", "bought: broken off after the id", _cut_after_id),
)

_UNKNOWN = (
    _create("dropped", "bought, reset before the reply", _wired(head=False, end="reset")),
    _create("closed", "bought, closed before the reply", _wired(head=False, end="close")),
    _create("stalled", "bought, then silence for =60 s", _stalled, value="60"),
    _create(
        "reset_mid_body",
        "bought, reset in the middle of the body",
        lambda call: _half(call).but(wire=Wire(end="reset")),
    ),
    _create("truncated", "bought, broken off before the id is whole", _half),
    _create("garbled", "bought, 200 with bytes that are no JSON", raw_reply(b"\x00\xff}{")),
    _create("empty", "bought, 200 with an empty body", raw_reply(b"")),
    _create("without_id", "bought, 200 without an id", _without("id", "task_id")),
    _create("html", "bought, a page for people with 200", html_page()),
    *(
        _create(f"http_{status}", f"bought, answered {status}", answer)
        for status, answer in sorted(GATEWAY_ERRORS.items())
    ),
)

_NOT_BOUGHT = (
    _refused("400", "400", api_error(400, "InvalidParameter", code="InvalidParameter")),
    _refused("401", "401", api_error(401, "Invalid token")),
    _refused("402", "402", api_error(402, "Payment required", code="insufficient_quota")),
    _refused(
        "403_quota",
        "403, the balance is spent",
        json_reply({"code": None, "message": "user quota is not enough"}, 403),
    ),
    _refused(
        "403_key",
        "403 about the key",
        api_error(403, "This token is disabled", code="access_denied"),
    ),
    _refused("404", "404", api_error(404, "Invalid URL (POST /v1/videos)")),
    _refused("413", "413 of a proxy, as HTML", html_page(413, "Request Entity Too Large")),
    _refused("415", "415", api_error(415, "Unsupported media type")),
    _refused("422", "422", api_error(422, "Unprocessable entity")),
    _refused("429", "429 without Retry-After", api_error(429, "Too many requests")),
    _refused("429_retry_after", "429, Retry-After: =30", _retry_after, value="30"),
    _refused(
        "500_invalid_request",
        "500 with the code invalid_request",
        api_error(500, "invalid request", code="invalid_request"),
    ),
    _refused("503_model_not_found", "503, no channel for the model", NO_CHANNEL),
    _refused("301", "301 to another host", REDIRECT),
)

CREATE_SCENARIOS = (*_BOUGHT, *_UNKNOWN, *_NOT_BOUGHT)
