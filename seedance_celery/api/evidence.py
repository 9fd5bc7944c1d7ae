"""What the API said when something went wrong, as a person and the API's support need it (pure).

A row keeps it in `evidence`, by what the API was asked for: `create`, `poll` and `end`. It holds
no key, no prompt and no signed link, and is shown neither to customers nor in a log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from html import escape
from typing import Any

from ..exceptions import ApiError, OutcomeUnknown, ReplyDetails
from .envelopes import json_object
from .redaction import MAX_WORDS, Secret, redact, redact_text

__all__ = ["details_of", "hidden", "is_same", "of_end", "of_error", "over"]

MAX_BODY = 4000
"""Characters of a body that are kept."""
MAX_IDS = 5
MAX_KEPT_ID = 512

_ID_WORD = re.compile(r"\b(?:task|video|vid|cgt|gen)[_-][A-Za-z0-9_-]{6,500}", re.ASCII)
_OTHER_ID = re.compile(r"request|trace|user|session|account|group|org", re.IGNORECASE)
_FACTS = ("error", "http_status", "code", "upstream_code", "words")
"""What tells one trouble from another; the time and the request id are of one reply alone."""


def of_error(error: ApiError, at: datetime, *, hide: Iterable[str | Secret] = ()) -> dict[str, Any]:
    """Return what a failed request tells: the facts that are there, JSON-ready."""
    details = error.details or ReplyDetails()
    private = tuple(hide)
    facts = {
        "at": at.isoformat(timespec="seconds"),
        "error": error.cause if isinstance(error, OutcomeUnknown) else type(error).__name__,
        "http_status": error.http_status,
        "code": error.code,
        "upstream_code": details.upstream_code,
        "words": redact_text(error.reason, hide=private),
        "request_id": error.request_id,
        "body": redact_text(details.body, hide=_as_written(private)),
        "ids": [text for text in details.ids if text not in private],
    }
    return {name: value for name, value in facts.items() if value}


def of_end(
    at: datetime, *, api_status: str, code: str = "", words: str = "", request_id: str = ""
) -> dict[str, Any]:
    """Return what the answer tells that ended a video otherwise than well."""
    facts = {
        "at": at.isoformat(timespec="seconds"),
        "api_status": api_status,
        "code": code,
        "words": redact_text(words),
        "request_id": request_id,
    }
    return {name: value for name, value in facts.items() if value}


def is_same(kept: Mapping[str, Any] | None, told: Mapping[str, Any]) -> bool:
    """Tell whether the API says again what is kept already: then nothing need be written."""
    if not kept or "over_at" in kept:
        return False
    return all(kept.get(name) == told.get(name) for name in _FACTS)


def over(kept: Mapping[str, Any] | None, at: datetime) -> dict[str, Any] | None:
    """Return the evidence of polls that failed, marked as old; None where there is none to mark."""
    if not kept or "over_at" in kept:
        return None
    return {**kept, "over_at": at.isoformat(timespec="seconds")}


def hidden(prompt: str) -> list[str]:
    """Return the texts to take out of the API's words, as some of them quote the prompt."""
    # They are redacted already, and what of a prompt looks like a secret with them.
    return [prompt, redact_text(prompt, MAX_WORDS)] if prompt else []


def details_of(
    http_status: int, body: bytes, upstream_code: str, hide: Iterable[str | Secret]
) -> ReplyDetails | None:
    """Return what a reply said beside its error; its body only where the status was good."""
    private = tuple(hide)
    code = redact_text(upstream_code, 100, hide=private)
    if not 200 <= http_status < 300:
        return ReplyDetails(upstream_code=code) if code else None
    found = json_object(body)
    text = body[: 16 * MAX_BODY].decode("utf-8-sig", "replace")
    if found is not None and len(body) <= 16 * MAX_BODY:
        shown = json.dumps(redact(found, hide=private), ensure_ascii=False)
    else:
        shown = redact_text(text, 16 * MAX_BODY, hide=_as_written(private))
    ids = dict.fromkeys(_ids_in(found, text, private))
    return ReplyDetails(shown[:MAX_BODY], tuple(ids)[:MAX_IDS], code)


def _as_written(private: Iterable[str | Secret]) -> Iterator[Secret]:
    """Yield private texts as they stand in a body: plain, in JSON, and in a page."""
    for one in private:
        text = one.text if isinstance(one, Secret) else one
        in_json = (json.dumps(text, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
        yield from map(Secret, dict.fromkeys((text, *in_json, escape(text))))


def _ids_in(found: Any, text: str, private: Iterable[str | Secret]) -> Iterator[str]:
    """Yield what may be the id of a video: redaction must not spoil it."""
    known = [one.text if isinstance(one, Secret) else one for one in private]
    for candidate in (*_values_of_ids(found, 8), *_ID_WORD.findall(text)):
        is_secret = any(one and (one in candidate or candidate in one) for one in known)
        if not is_secret and candidate == redact_text(candidate, MAX_KEPT_ID):
            yield candidate


def _values_of_ids(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, list) and depth:
        for item in value:
            yield from _values_of_ids(item, depth - 1)
    if not isinstance(value, dict) or not depth:
        return
    for name, item in value.items():
        is_text = isinstance(item, str) and item.isprintable() and " " not in item
        is_id = name.lower().endswith("id") and not _OTHER_ID.search(name)
        if is_id and is_text and 0 < len(item) <= MAX_KEPT_ID:
            yield item
        else:
            yield from _values_of_ids(item, depth - 1)
