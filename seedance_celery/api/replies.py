"""CometAPI's video object, without I/O: status, headers and body in, a value or an `ApiError` out.

Nothing else ever escapes, whatever comes in. What comes out is safe to keep in any database:
no NUL, no lone surrogate, no NaN, bounded texts, integers within 64 bit. The API's own words are
in `reason` alone, redacted and at most 300 characters in an `ApiError`; the text of an exception is
ours. In a `VideoTask` they are not cut as short: whoever knows the prompt that they may quote takes
it out first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .catalog import CATALOG
from .envelopes import (
    MAX_CODE,
    Complaint,
    complaint_in,
    json_object,
    lower_headers,
    parse_date,
    parse_retry_after,
    request_id_in,
)
from .errors import Outcome, create_outcome, refusal
from .links import MAX_URL, Link, all_links, find_link, read_link
from .redaction import MAX_WORDS, Secret, redact, redact_text, storable_text

__all__ = [
    "API_STATUSES",
    "COMPLETED",
    "ERROR",
    "FAILED",
    "FINAL_WORDS",
    "IN_PROGRESS",
    "MAX_ID",
    "MAX_URL",
    "MODERATION",
    "QUEUED",
    "TERMINAL_STATUSES",
    "Outcome",
    "VideoTask",
    "create_outcome",
    "is_api_id",
    "parse_created",
    "parse_retry_after",
    "parse_video",
    "redact",
    "redact_text",
]

QUEUED = "queued"
IN_PROGRESS = "in_progress"
COMPLETED = "completed"
FAILED = "failed"
ERROR = "error"
API_STATUSES = (QUEUED, IN_PROGRESS, COMPLETED, FAILED, ERROR)
MODERATION = "moderation"
"""The one reason for a failure that users have seen the API tell."""
TERMINAL_STATUSES = frozenset({COMPLETED, FAILED, ERROR})
FINAL_WORDS = frozenset({"expired", "cancelled", "canceled", "violation", "rejected"})
"""Words of the upstream for an end that leak through the gateway, which may still correct them."""

MAX_ID = 512
MAX_STATUS = 50
MAX_MODEL = 100
MAX_RAW = 64 * 1024
"""Bytes of a body up to which it is kept whole; of a larger one, the documented fields are."""
MAX_UNIX_SECONDS = 253402300799  # the end of the year 9999, the last that a datetime can hold

# Older generations of CometAPI's pages document these words, in upper case.
_SYNONYMS = {
    "submitted": QUEUED,
    "not_start": QUEUED,
    "pending": QUEUED,
    "processing": IN_PROGRESS,
    "running": IN_PROGRESS,
    "success": COMPLETED,
    "succeeded": COMPLETED,
    "failure": FAILED,
    **{status: status for status in API_STATUSES},
}
# Words of the upstream for a success: believed where a link stands beside them.
_SUCCESS_WORDS = frozenset({"done", "finished", "complete", "succeed"})
# What an envelope calls its own success is no code of a failure.
_NO_FAILURE = frozenset({"success", "ok", "0", "200"})
_DOCUMENTED = (
    *("id", "task_id", "object", "model", "status", "progress"),
    *("created_at", "completed_at", "video_url"),
)
_PROGRESS = re.compile(r"\s*(-?\d{1,9})(?:\.\d*)?\s*%?\s*", re.ASCII)
_BROKEN_ID = re.compile(rb'"(?:id|task_id)"\s*:\s*"([^"\\]{1,512})"')


@dataclass(frozen=True, slots=True)
class VideoTask:
    """A video as the API tells of it."""

    id: str
    """The API's id: the one asked for, or the one a create brought."""
    status: str
    """One of `API_STATUSES`, or "" where the API's word is unknown: not terminal."""
    api_status: str
    """The API's word as sent."""
    progress: int | None = None
    """0 to 100. 100 is not success."""
    model: str = ""
    """May differ from the model asked for."""
    video_url: str = field(default="", repr=False)
    """Signed and short-lived; "" where absent, which `completed` can be, too."""
    link_fault: str = ""
    """What is wrong with the link that was sent, where it cannot be used."""
    created_at: int | None = None
    """Unix seconds."""
    completed_at: int | None = None
    """Unix seconds. Set on unfinished videos, too: never a reason to stop."""
    reason: str = ""
    """Why it failed, in the API's words (up to 65,536 characters), else its code; often ""."""
    code: str = ""
    """The upstream's code of a failure, such as `OutputVideoSensitiveContentDetected`."""
    request_id: str = ""
    date: float | None = None
    """The reply's `Date`, Unix seconds: the API's clock."""
    raw: dict[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """The body's object, unknown fields included, redacted in all but its `video_url`.

    Of a finished video without a usable link no address in it is redacted: one may be the link.
    """

    @property
    def is_terminal(self) -> bool:
        """Tell whether the API will not move this video again."""
        return self.status in TERMINAL_STATUSES

    @property
    def is_final_word(self) -> bool:
        """Tell whether the API passes on a word of the upstream for an end that is not its own."""
        return not self.status and self.api_status.strip().lower() in FINAL_WORDS


def parse_video(
    http_status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    api_id: str = "",
    now: float | None = None,
    hide: Iterable[str | Secret] = (),
) -> VideoTask:
    """Return the video that a reply to a retrieve of `api_id` tells of, or raise an `ApiError`.

    `now` (Unix seconds) judges a `Retry-After` date in a reply that has no `Date`. `hide` lists
    private texts (the key) that the API may echo.
    """
    known = lower_headers(headers)
    found = json_object(body) if 200 <= http_status < 300 else None
    if found is not None and _is_video(found):
        return _video(found, known, body, api_id, hide)
    raise refusal(http_status, known, body, api_id=api_id, now=now, hide=hide)


def parse_created(
    http_status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    hide: Iterable[str | Secret] = (),
) -> VideoTask:
    """Return the video that a reply to a create tells of, or raise an `ApiError`.

    An id in a 2xx means that the video was bought: it is adopted from a body that breaks off
    after it, or that holds an error as well. Without a status the video is `queued`. `hide` lists
    private texts (the prompt) that the API may echo; `create_outcome` judges the error.
    """
    known = lower_headers(headers)
    found = _created_object(body) if 200 <= http_status < 300 else None
    if found is not None and _id_in(found):
        return _video(found, known, body, "", hide)
    raise refusal(http_status, known, body, creating=True, now=now, hide=hide)


def is_api_id(value: Any) -> bool:
    """Tell whether `value` can be a video's id at the API: printable, 1 to 512 characters.

    "." and ".." cannot: in a URL's path they mean another address. Nor can an address or the end of
    one, which may be signed: ids are in log lines.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_ID
        and value.isprintable()
        and bool(value.strip())
        and value not in (".", "..")
        and "://" not in value
        and redact_text(value, MAX_ID) == value
    )


def _created_object(body: bytes) -> dict[str, Any] | None:
    return json_object(body) or _object_from_broken(body)


def _object_from_broken(body: bytes) -> dict[str, Any] | None:
    # Only where JSON began: the scripts of an HTML page hold ids of other things.
    match = _BROKEN_ID.search(body) if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" else None
    return {"id": match[1].decode("utf-8", "replace")} if match else None


def _video(
    found: dict[str, Any],
    headers: Mapping[str, str],
    body: bytes,
    api_id: str,
    hide: Iterable[str | Secret] = (),
) -> VideoTask:
    word = _text(found, "status", MAX_STATUS)
    status, link = _status_and_link(found, word.strip().lower())
    is_final = not status and word.strip().lower() in FINAL_WORDS
    failure = _failure(found) if status in (FAILED, ERROR) or is_final else Complaint()
    return VideoTask(
        id=api_id or _id_in(found),
        status=status,
        # A word that is known holds nothing private, and most polls bring one.
        api_status=word if status else redact_text(word, hide=hide),
        progress=_progress(_first(found, "progress")),
        model=_model(found, hide),
        video_url=link.url,
        link_fault=link.fault,
        created_at=_unix_seconds(_first(found, "created_at")),
        completed_at=_unix_seconds(_first(found, "completed_at")),
        reason=redact_text(failure.message or failure.code, MAX_WORDS, hide=hide),
        code=redact_text(failure.code, MAX_CODE, hide=hide),
        request_id=request_id_in(headers, complaint_in(found).message),
        date=parse_date(headers.get("date")),
        raw=_raw(found, len(body), keep_links=_needs_link(status, word) and not link.url),
    )


def _model(found: dict[str, Any], hide: Iterable[str | Secret]) -> str:
    model = _text(found, "model", MAX_MODEL)
    return model if model in CATALOG else redact_text(model, hide=hide)


def _status_and_link(found: dict[str, Any], word: str) -> tuple[str, Link]:
    if not word:
        # Only a create's reply gets here without a status: it was accepted, so it waits.
        return QUEUED, Link(_documented_link(found))
    status = _SYNONYMS.get(word, "")
    if not _needs_link(status, word):
        return status, Link(_documented_link(found))
    link = find_link(_layers(found))
    return (COMPLETED if link.url else status), link


def _needs_link(status: str, word: str) -> bool:
    return status == COMPLETED or word.strip().lower() in _SUCCESS_WORDS


def _documented_link(found: dict[str, Any]) -> str:
    urls = (read_link(layer.get("video_url")).url for layer in _layers(found))
    return next(filter(None, urls), "")


def _layers(found: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return where to look for a field: the object, and the `data` of the older envelope."""
    data = found.get("data")
    if not isinstance(data, dict):
        return (found,)
    is_flat = any(name in found for name in ("id", "task_id", "object"))
    # An envelope's own `status` would be about the request, not about the video.
    return (found, data) if is_flat else (data, found)


def _first(found: dict[str, Any], name: str) -> Any:
    values = (layer.get(name) for layer in _layers(found))
    return next((value for value in values if value is not None and value != ""), None)


def _text(found: dict[str, Any], name: str, limit: int | None) -> str:
    value = _first(found, name)
    is_word = isinstance(value, (str, int)) and not isinstance(value, bool)
    return storable_text(str(value), limit) if is_word else ""


def _is_video(found: dict[str, Any]) -> bool:
    # `{"status": "error", "message": …}` with a 200 is a complaint and must not end a video, with
    # an empty id as without one. What has a URL is a video by that.
    ids = [name for name in ("id", "task_id") if any(name in layer for layer in _layers(found))]
    signs = (*(ids or ("object", "progress")), "video_url")
    word = _text(found, "status", MAX_STATUS).strip().lower()
    if word and any(_first(found, name) is not None for name in signs):
        return True
    is_success = _needs_link(_SYNONYMS.get(word, ""), word)
    return is_success and bool(find_link(_layers(found)).url)


def _id_in(found: dict[str, Any]) -> str:
    # The older envelope's `data.id` is a number of the gateway's own; `task_id` is the id there.
    data = found.get("data")
    inner = data if isinstance(data, dict) else {}
    candidates = [found.get("id"), found.get("task_id"), inner.get("task_id"), inner.get("id")]
    numbers = [str(a) for a in candidates if isinstance(a, int) and not isinstance(a, bool)]
    return next((str(a) for a in (*candidates, *numbers) if is_api_id(a)), "")


def _progress(value: Any) -> int | None:
    # It comes as 45, 45.0, "45" and "45%".
    if isinstance(value, str):
        match = _PROGRESS.fullmatch(value)
        value = int(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return max(0, min(100, int(value)))


def _unix_seconds(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value <= MAX_UNIX_SECONDS else None


def _failure(found: dict[str, Any]) -> Complaint:
    """Return why a video failed: the first words and the first code that any layer has."""
    inner = found.get("data")
    upstream = inner.get("data") if isinstance(inner, dict) else None
    layers = [*_layers(found), upstream] if isinstance(upstream, dict) else _layers(found)
    told = [complaint_in(_text(found, "fail_reason", None)), *map(complaint_in, layers)]
    codes = (complaint.code for complaint in told if complaint.code.lower() not in _NO_FAILURE)
    words = (
        complaint.message
        for complaint in told
        if complaint.message.strip().lower() not in _NO_FAILURE
    )
    return Complaint(next(filter(None, codes), ""), next(filter(None, words), ""))


def _raw(found: dict[str, Any], size: int, *, keep_links: bool) -> dict[str, Any]:
    kept = found if size <= MAX_RAW else {a: found[a] for a in _DOCUMENTED if a in found}
    raw: dict[str, Any] = redact(kept, keep_links=keep_links)
    if keep_links and size > MAX_RAW:
        raw["links"] = all_links(found)
    if url := read_link(found.get("video_url")).url:
        raw["video_url"] = url
    return raw
