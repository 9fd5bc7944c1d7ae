"""Read CometAPI's envelopes (pure): JSON bodies, what an error says, and the headers we use.

Nothing here raises, whatever comes in.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from .redaction import MAX_INTEGER, storable_text

__all__ = ["Complaint", "complaint_in", "json_object", "parse_retry_after"]

MAX_RETRY_AFTER = 900.0
"""Seconds: a `Retry-After` is believed up to 15 minutes."""
MAX_CODE = 100
MAX_REQUEST_ID = 128
REQUEST_ID_HEADER = "x-cometapi-request-id"

_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)
_REQUEST_ID = re.compile(r"request id: ?([\w.-]+)", re.ASCII | re.IGNORECASE)
_REQUEST_ID_WORDS = re.compile(
    r"\s*(?:\(request id: ?[\w.-]+\)|\brequest id: ?[\w.-]+)", re.ASCII | re.IGNORECASE
)
_OUR_WORDS = ("message", "error", "code", "data")
_PROBLEM_WORDS = ("title", "detail", "error_code", "cloudflare_error")
_NOT_IN_ID = re.compile(r"[^\w.:-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What an error body says: the API's code and message as sent, "" where it says none."""

    code: str = ""
    message: str = ""
    upstream_code: str = ""
    """The code of the upstream's error, where the gateway passed one on inside its own."""

    def says(self, code: str) -> bool:
        """Tell whether `code` is the code, or the whole message: `task_not_exist` is both."""
        return code in (self.code.lower(), self.message.strip().lower())


def lower_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers by lower-case name."""
    return {str(name).lower(): str(value) for name, value in headers.items()}


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object that `body` is, or None. Numbers a database refuses become None."""
    try:
        value = json.loads(
            body.decode("utf-8-sig", "replace"),
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=lambda name: None,
        )
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _integer(digits: str) -> int | None:
    # The length is checked first: converting a megabyte of digits takes seconds.
    if len(digits) > len(str(MAX_INTEGER)) + 1:
        return None
    value = int(digits)
    return value if abs(value) <= MAX_INTEGER else None


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def is_html(body: bytes, headers: Mapping[str, str]) -> bool:
    """Tell whether a reply (headers in lower case) is a page for people."""
    return body.lstrip()[:1] == b"<" or "html" in headers.get("content-type", "").lower()


def complaint_in(value: Any, depth: int = 4) -> Complaint:
    """Return what an error body says, in any of the API's envelopes.

    CometAPI documents `{"error": {"message", "type", "param", "code"}}` and
    `{"code", "message", "data"}`; `{"error": "text"}`, `{"message": "text"}` and a JSON document
    inside the string of `message` have been seen.
    """
    if isinstance(value, str):
        return _complaint_in_text(value, depth)
    if not isinstance(value, dict) or not depth:
        return Complaint()
    outer = complaint_in(value.get("message"), depth - 1)
    inner = complaint_in(value.get("error"), depth - 1)
    code = inner.code or _code(value.get("code")) or outer.code
    nested = inner.upstream_code or outer.upstream_code or outer.code
    message = inner.message or outer.message
    return Complaint(code, message, nested if nested != code else "")


def _complaint_in_text(text: str, depth: int) -> Complaint:
    nested = json_object(text.encode("utf-8", "replace")) if text.lstrip()[:1] == "{" else None
    found = complaint_in(nested, depth - 1) if depth else Complaint()
    return found if found != Complaint() else Complaint(message=storable_text(text, None))


def _code(value: Any) -> str:
    is_code = isinstance(value, (str, int)) and not isinstance(value, bool)
    return storable_text(str(value).strip(), MAX_CODE) if is_code else ""


def request_id_in(headers: Mapping[str, str], message: str = "") -> str:
    """Return the id that CometAPI's support asks for, from a header or "(request id: …)"."""
    found = headers.get(REQUEST_ID_HEADER, "").strip()
    if not found:
        match = _REQUEST_ID.search(message)
        found = match[1] if match else ""
    return _NOT_IN_ID.sub("", found)[:MAX_REQUEST_ID]


def without_request_ids(text: str) -> str:
    """Return words without the request ids in them, which are of use to support alone."""
    return _REQUEST_ID_WORDS.sub("", text).strip()


def problem_in(found: dict[str, Any] | None, headers: Mapping[str, str]) -> Complaint | None:
    """Return what a problem document says (RFC 9457), or None where the reply is not one.

    Firewalls answer so to `Accept: application/json`. It has a title, a detail or an error code,
    and none of the words that the API uses.
    """
    if found is None or any(found.get(name) for name in _OUR_WORDS):
        return None
    is_labelled = "problem+json" in headers.get("content-type", "").lower()
    if not is_labelled and not any(found.get(name) for name in _PROBLEM_WORDS):
        return None
    texts = [found.get(name) for name in ("title", "detail")]
    words = ": ".join(text for text in texts if isinstance(text, str) and text)
    return Complaint(_code(found.get("error_code")), storable_text(words, None))


def parse_date(value: str | None) -> float | None:
    """Return an HTTP date as Unix seconds, or None where it is not one."""
    if not value:
        return None
    try:
        date = parsedate_to_datetime(value)
        aware = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
        return aware.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse_retry_after(value: str | None, now: float | None) -> float | None:
    """Return the seconds a `Retry-After` asks for, 0 to 900, or None where it says nothing.

    It may be a number of seconds or an HTTP date, which is judged against `now` (Unix seconds;
    best the reply's own `Date`) and ignored without it. More than 900 s are taken as 900.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER)
    date = parse_date(text)
    if date is None or now is None:
        return None
    return min(max(date - now, 0.0), MAX_RETRY_AFTER)
