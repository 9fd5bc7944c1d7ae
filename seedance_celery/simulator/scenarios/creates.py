"""How a create can be answered, and whether the money was taken.

The two halves are the table "What a create's outcome means" of the contract. Given to a video
they answer its create; as a fault every create. What the API as a whole can answer stands in
`faults` and is not written again here.
"""

from __future__ import annotations

from typing import Any

from ..reply import Reply, Wire, api_error, html_page, raw_reply
from .base import ABSENT, Call, Scenario, Step, body, merge, reply
from .faults import API_FAULTS, GATEWAY_ERRORS
from .gateway import GATEWAY

__all__ = ["CREATE_SCENARIOS"]

_FAULTS = {fault.name: (fault.api, fault.value) for fault in API_FAULTS if fault.api}


def _half(call: Call) -> Reply:
    """Cut the body off before the id is whole."""
    whole = call.normal.encoded()
    return whole.but(cut=len('{"id": "task_abc'))


def _cut_after_id(call: Call) -> Reply:
    whole = call.normal.encoded()
    return whole.but(cut=whole.body.index(b'", ') + len('", "task'))


def _without(*fields: str) -> Step:
    return body(lambda data, call: merge(data, **dict.fromkeys(fields, ABSENT)))


def _id_in_data(call: Call) -> Reply:
    """Name the id where no reader expects one."""
    api_id = call.body.get("id", "")
    return call.normal.but(data={"code": "success", "message": "", "data": api_id})


def _create(name: str, about: str, step: Step | Reply, **more: Any) -> Scenario:
    create = reply(step) if isinstance(step, Reply) else step
    return Scenario(name=f"create_{name}", about=about, create=create, **more)


def _as(fault: str, name: str, about: str, *, charges: bool) -> Scenario:
    """Answer a create as a fault answers everything."""
    step, value = _FAULTS[fault]
    return _create(name, about, step, charges=charges, value=value)


def _bought(fault: str, name: str, about: str) -> Scenario:
    return _as(fault, name, f"bought, {about}", charges=True)


def _refused(fault: str, name: str, about: str) -> Scenario:
    return _as(fault, name, f"nothing bought: {about}", charges=False)


def _rejected(name: str, about: str, answer: Reply) -> Scenario:
    return _create(name, f"nothing bought: {about}", answer, charges=False)


_BOUGHT = (
    _bought("late", "late", "the right reply after =3 s"),
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
    _bought("early_hints", "early_hints", "the right reply after an interim one (=103)"),
)

_UNKNOWN = (
    _bought("reset", "dropped", "reset before the reply"),
    _bought("closed", "closed", "closed before the reply"),
    _bought("hang", "stalled", "then silence for =60 s"),
    _create(
        "reset_mid_body",
        "bought, reset in the middle of the body",
        lambda call: _half(call).but(wire=Wire(end="reset")),
    ),
    _create("truncated", "bought, broken off before the id is whole", _half),
    _create("garbled", "bought, 200 with bytes that are no JSON", raw_reply(b"\x00\xff}{")),
    _bought("empty", "empty", "200 with an empty body"),
    _create("without_id", "bought, 200 without an id", _without("id", "task_id")),
    _create("id_in_data", "bought, 200 with the id where nobody looks for it", _id_in_data),
    _create("html", "bought, a page for people with 200", html_page()),
    *(
        _bought(f"http_{status}", f"http_{status}", f"answered {status}")
        for status in sorted(GATEWAY_ERRORS)
    ),
)

_NOT_BOUGHT = (
    _rejected("400", "400", api_error(400, "InvalidParameter", code="InvalidParameter")),
    _refused("key_refused", "401", "401; polls of the key succeed"),
    _rejected("402", "402", api_error(402, "Payment required", code="insufficient_quota")),
    _refused("quota", "403_quota", "403, the balance is spent"),
    _refused("key_forbidden", "403_key", "403 about the key"),
    _rejected("404", "404", api_error(404, "Invalid URL (POST /v1/videos)")),
    _rejected("413", "413 of a proxy, as HTML", html_page(413, "Request Entity Too Large")),
    _rejected("415", "415", api_error(415, "Unsupported media type")),
    _rejected("422", "422", api_error(422, "Unprocessable entity")),
    _refused("rate_limited", "429", "429 without Retry-After"),
    _refused("rate_limited_retry_after", "429_retry_after", "429, Retry-After: =30"),
    _refused("invalid_request", "500_invalid_request", "500 with the code invalid_request"),
    _refused("model_not_found", "503_model_not_found", "503, no channel for the model"),
    _refused("redirect", "301", "301 to another host"),
)

_GATEWAY = tuple(
    _as(
        error.name,
        error.name,
        f"{'bought' if error.bought else 'nothing bought'}: {error.about}",
        charges=error.bought,
    )
    for error in GATEWAY
)

CREATE_SCENARIOS = (*_BOUGHT, *_UNKNOWN, *_NOT_BOUGHT, *_GATEWAY)
