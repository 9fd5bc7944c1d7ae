"""What the acceptance settled: the facts that nobody could prove without a key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..api.replies import API_STATUSES
from ..api.signed_urls import expires_at
from .steps import Found
from .witness import Notes

__all__ = ["facts"]

QUOTA_PER_DOLLAR = 500_000
_ID = re.compile(r"task_[A-Za-z0-9]{32}")


def facts(found: Found, notes: Notes, now: float) -> Iterator[tuple[str, str]]:
    """Yield a question that was open, and what this run says to it. Nothing of it is private."""
    yield "the video", _end(found)
    yield "form of an id", _form(found.api_id)
    yield "words of the statuses", _words(notes)
    yield "completed_at before the end", _completed_early(notes)
    yield "an unknown id", _refusal(notes, "wrong id")
    yield "a wrong key", _refusal(notes, "wrong key")
    yield "the link", _link(found.link, now)
    yield "its host and ranges", _ranges(notes)
    yield "the file", found.file_error or _file(found)
    yield "/content of a completed video", _refusal(notes, "content of a completed video")
    yield "/content of a failed video", _refusal(notes, "content of a failed video")
    yield "request id in a header", _yes("x-cometapi-request-id" in _headers(notes, "create"))
    yield "Seedance tasks in the account's list", _listed(found)
    yield "the create in the account's log", _logged(found, notes)
    yield "the balance", _balance(found.balance)
    yield "prices for each second of output", _prices(notes)


def _end(found: Found) -> str:
    if not found.api_id:
        return "none was bought"
    return f"{found.status or 'not ended'} after {found.seconds:.0f} s and {found.polls} polls"


def _form(api_id: str) -> str:
    if not api_id:
        return "not seen"
    return "task_ and 32 alphanumerics" if _ID.fullmatch(api_id) else f"{len(api_id)} characters"


def _polls(notes: Notes) -> Iterator[dict[str, Any]]:
    for name, answer in notes.answers.items():
        if name.startswith("poll"):
            yield answer.body


def _words(notes: Notes) -> str:
    words = list(dict.fromkeys(str(body.get("status", "none")) for body in _polls(notes)))
    known = all(word in API_STATUSES for word in words)
    told = ", ".join(word if word in API_STATUSES else f"{word[:20]!r}" for word in words)
    return f"{told or 'not seen'}{'' if known else ' (not all are documented)'}"


def _completed_early(notes: Notes) -> str:
    bodies = [b for b in _polls(notes) if b.get("status") in ("queued", "in_progress")]
    return _yes(any(b.get("completed_at") for b in bodies)) if bodies else "not seen"


def _refusal(notes: Notes, name: str) -> str:
    row = notes.rows.get(name)
    if row is None:
        return "not asked"
    body = row.get("body")
    error = body.get("error", body) if isinstance(body, dict) else {}
    error = error if isinstance(error, dict) else {"message": error}
    told = [str(error[part])[:120] for part in ("code", "message") if error.get(part)]
    return f"HTTP {row['http']}" + (f": {' / '.join(told)}" if told else "")


def _link(url: str, now: float) -> str:
    if not url:
        return "none came"
    parts = urlsplit(url)
    names = ", ".join(sorted({name for name, _ in parse_qsl(parts.query)}))
    ends = expires_at(url)
    if ends is None:
        life = "it does not say how long it lives"
    else:
        life = (
            f"it lives {(ends - datetime.fromtimestamp(now, timezone.utc)).total_seconds():.0f} s"
        )
    return f"on {parts.hostname}, signed by {names or 'nothing'}; {life}"


def _ranges(notes: Notes) -> str:
    row = notes.rows.get("file")
    if row is None:
        return "not asked"
    answer = "understood" if row["http"] == 206 else f"HTTP {row['http']}"
    return f"a range is {answer}; the type is {row['type'] or 'not told'}"


def _file(found: Found) -> str:
    return f"{found.size} bytes, SHA-256 {found.sha256}" if found.size else "none was loaded"


def _headers(notes: Notes, name: str) -> dict[str, str]:
    answer = notes.answers.get(name)
    return answer.headers if answer else {}


def _listed(found: Found) -> str:
    if not found.has_token:
        return "not asked (set COMETAPI_ACCESS_TOKEN)"
    ids = [item.get("task_id") for item in found.listed]
    if found.api_id in ids:
        return f"yes, under the id that the API gave; {len(ids)} entries around the create"
    return f"not under the id that the API gave; {len(ids)} entries around the create"


def _logged(found: Found, notes: Notes) -> str:
    if not found.has_token:
        return "not asked (set COMETAPI_ACCESS_TOKEN)"
    request_id = _headers(notes, "create").get("x-cometapi-request-id", "")
    entries = [e for e in found.logged if request_id and e.get("request_id") == request_id]
    if not entries:
        return f"not under its request id; {len(found.logged)} entries around the create"
    quotas = [e["quota"] for e in entries if isinstance(e.get("quota"), (int, float))]
    return f"under its request id, {sum(quotas) / QUOTA_PER_DOLLAR:.4f} US dollars"


def _balance(balance: list[dict[str, Any]]) -> str:
    usages = [known["total_usage"] for known in balance if "total_usage" in known]
    if len(usages) < 2:
        return "not told to this key"
    return f"the usage rose by {(usages[-1] - usages[0]) / 100:.4f} US dollars"


def _prices(notes: Notes) -> str:
    """Return what the list of models tells of Seedance, in US dollars as far as one can tell."""
    answer = notes.answers.get("models")
    models = answer.body.get("data") if answer else None
    told = []
    for model in models if isinstance(models, list) else []:
        name = str(model.get("id", "")) if isinstance(model, dict) else ""
        pricing = model.get("pricing") if name else None
        price = pricing.get("per_second") if isinstance(pricing, dict) else None
        if "seedance" in name and isinstance(price, (int, float)):
            told.append(f"{name[:60]} {price:g}")
    return ", ".join(sorted(told)) or "not told"


def _yes(is_true: bool) -> str:
    return "yes" if is_true else "no"
