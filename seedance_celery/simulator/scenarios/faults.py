"""Faults of the API as a whole: limits, keys, gateways and broken connections.

As a fault they answer every route of the API, a create included. Given to a video they answer
its first retrieves (twice, or `*times`).
"""

from __future__ import annotations

import json
from email.utils import formatdate
from itertools import repeat
from typing import Any

from ..reply import Reply, Wire, api_error, html_page, json_reply, raw_reply
from .base import Call, Scenario, Step, reply
from .gateway import GATEWAY

__all__ = ["API_FAULTS", "GATEWAY_ERRORS", "NO_CHANNEL", "REDIRECT"]

GATEWAY_ERRORS = {
    408: html_page(408, "Request Timeout"),
    500: api_error(500, "internal error"),
    502: html_page(502, "Bad gateway"),
    503: api_error(503, "Service temporarily unavailable"),
    504: html_page(504, "Gateway time-out"),
    524: html_page(524, "A timeout occurred"),
}
"""One reply for each status that a proxy or an overloaded gateway gives."""

NO_CHANNEL = api_error(
    503,
    "no available channel for group default and model doubao-seedance-2-0",
    code="model_not_found",
)
REDIRECT = html_page(301, "Moved Permanently").with_header("Location", "https://example.com/")

_LIMITED = api_error(429, "Too many requests")
_ERROR = {"error": {"message": "upstream error", "type": "server_error"}}


def _retry_after(call: Call) -> Reply:
    return _LIMITED.with_header("Retry-After", call.value)


def _retry_after_date(call: Call) -> Reply:
    return _LIMITED.with_header("Retry-After", formatdate(call.now + call.number, usegmt=True))


def _half(call: Call) -> Reply:
    whole = call.normal.encoded()
    return whole.but(cut=len(whole.body) // 2)


def _reset_mid_body(call: Call) -> Reply:
    return _half(call).but(wire=Wire(end="reset"))


def _hang(call: Call) -> Reply:
    return call.normal.but(wire=Wire(silence=call.number, head=False, end="close"))


def _late(call: Call) -> Reply:
    return call.normal.but(wire=Wire(silence=call.number))


def _trickle(call: Call) -> Reply:
    return call.normal.but(wire=Wire(pace=call.number))


def _huge(call: Call) -> Reply:
    block = b" " * 65536
    blocks = int(call.number) // len(block)
    size = blocks * len(block)
    return call.normal.but(data=None, stream=lambda: repeat(block, blocks), length=size)


def _mislabelled(call: Call) -> Reply:
    return call.normal.with_header("Content-Type", "text/plain")


def _fault(name: str, about: str, step: Step | Reply, **more: Any) -> Scenario:
    api = reply(step) if isinstance(step, Reply) else step
    return Scenario(name=name, about=about, api=api, **{"times": 2, "charges": False, **more})


API_FAULTS = (
    # Limits and keys.
    _fault("rate_limited", "429 without Retry-After", _LIMITED),
    _fault("rate_limited_retry_after", "429, Retry-After: =30", _retry_after, value="30"),
    _fault(
        "rate_limited_date", "429, Retry-After: the date in =30 s", _retry_after_date, value="30"
    ),
    _fault("rate_limited_nonsense", "429, Retry-After: =soon", _retry_after, value="soon"),
    _fault("key_refused", "401", api_error(401, "Invalid token")),
    _fault(
        "key_forbidden",
        "403 about the key",
        api_error(403, "This token is disabled", code="access_denied"),
    ),
    _fault(
        "quota",
        "403, the balance is spent",
        json_reply({"code": None, "message": "user quota is not enough"}, 403),
    ),
    # Answers of the gateway.
    *(
        _fault(f"http_{status}", f"{status}", answer)
        for status, answer in sorted(GATEWAY_ERRORS.items())
    ),
    _fault("http_404", "404 of a proxy, as HTML", html_page(404, "Not Found")),
    _fault("model_not_found", "503, no channel for the model", NO_CHANNEL),
    _fault(
        "invalid_request",
        "500 with the code invalid_request",
        api_error(500, "invalid request", code="invalid_request"),
    ),
    *(_fault(error.name, error.about, error.step, value=error.value) for error in GATEWAY),
    _fault("redirect", "301 to another host", REDIRECT),
    _fault("html", "a captive portal's page with 200", html_page(200, "Welcome to our Wi-Fi")),
    _fault("html_403", "403 of a firewall, as HTML", html_page(403, "Attention Required!")),
    _fault("garbage", "200 with bytes that are no JSON", raw_reply(b'\x00\xff{"id":')),
    _fault("empty", "200 with an empty body", raw_reply(b"")),
    _fault("json_list", "200 with a JSON list", raw_reply(b"[]")),
    _fault("error_text", "500, the error is a text", json_reply({"error": "upstream error"}, 500)),
    _fault("error_message", "500, only a message", json_reply({"message": "upstream error"}, 500)),
    _fault(
        "error_nested",
        "500, a JSON document inside the message",
        json_reply({"code": "fail", "message": json.dumps(_ERROR), "data": None}, 500),
    ),
    # What happens to the connection.
    _fault(
        "reset",
        "reset before the reply",
        lambda call: call.normal.but(wire=Wire(head=False, end="reset")),
    ),
    _fault(
        "closed",
        "closed before the reply",
        lambda call: call.normal.but(wire=Wire(head=False, end="close")),
    ),
    _fault("reset_mid_body", "reset in the middle of the body", _reset_mid_body),
    _fault("truncated", "closed in the middle of the body", _half),
    _fault("hang", "silence for =60 s, then closed", _hang, value="60"),
    _fault(
        "early_hints",
        "an interim reply (=103), then the right one",
        lambda call: call.normal.but(wire=Wire(interim=int(call.value))),
        value="103",
        charges=True,
    ),
    _fault("late", "the right reply after =3 s", _late, value="3", charges=True),
    _fault("trickle", "the right reply, a byte every =1 s", _trickle, value="1", charges=True),
    _fault("huge_body", "a body of =50000000 blanks", _huge, value="50000000"),
    _fault("wrong_content_type", "JSON called text/plain", _mislabelled, charges=True),
)
