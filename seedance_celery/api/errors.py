"""From a reply that is not a video to one typed error, and what that means for money (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum

from ..exceptions import (
    ApiError,
    BrokenReply,
    ConnectFailed,
    KeyMissing,
    KeyRefused,
    ModelUnavailable,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerError,
    TaskNotExist,
    WrongBaseUrl,
)
from .envelopes import (
    Complaint,
    complaint_in,
    is_html,
    json_object,
    parse_date,
    parse_retry_after,
    problem_in,
    request_id_in,
)
from .evidence import details_of
from .redaction import MAX_REASON, Secret, redact_text

__all__ = ["Outcome", "create_outcome", "refusal"]

TASK_NOT_EXIST = "task_not_exist"

# Codes decide before words do: words about a picture may hold "token" or "account", too.
_QUOTA_CODE = re.compile(r"quota|balance|insufficient|credit|billing|arrear|overdue", re.IGNORECASE)
_KEY_CODE = re.compile(
    r"api_?key|token_(?:invalid|expired|disabled|revoked)|invalid_token|unauthori[sz]ed|authenticat"
    r"|account_(?:disabled|deactivated|suspended|banned)",
    re.IGNORECASE,
)
# Codes that are about the key where the words are, and codes that say nothing.
_ACCESS_CODE = re.compile(
    r"(?:access_?denied|forbidden|permission(?:_?denied|_error)?|comet_?api_error|new_api_error"
    r"|invalid_request_error|4\d\d|-?\d|null|none|)",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"quota|balance|insufficient|credit|余额|额度", re.IGNORECASE)
_CONTENT = re.compile(
    r"prompt|content|sensitive|moderat|policy|safety|violat|image|video|picture|photo|face"
    r"|copyright|block|敏感|违规|审核|内容|图片",
    re.IGNORECASE,
)
_KEY = re.compile(r"api.?key|\btoken\b|unauthori[sz]ed|authenticat|account|令牌", re.IGNORECASE)
_MODEL = re.compile(r"model|模型", re.IGNORECASE)

_WORDS: dict[type[ApiError], str] = {
    BrokenReply: "sent something that is not a video. Ask again later",
    KeyRefused: "refused the API key. Check that the key is complete, enabled and not expired",
    ModelUnavailable: "has no channel for this model. Choose another one, or ask CometAPI",
    QuotaExceeded: "says that the balance or the key's quota is used up. Top it up",
    RateLimited: "is asked too often on this key. Wait before asking again",
    RequestRefused: "refused the request. `reason` holds its own words",
    ServerError: "could not answer. Ask again later",
    TaskNotExist: "does not know this id: it is wrong, belongs to another key, or is too new",
    WrongBaseUrl: "is not what answered. Check the base URL, and what is in between",
}


class Outcome(Enum):
    """What the error of a create says about money, and what to do next."""

    NOT_SENT = "not sent"
    """Nothing was bought: try again, 5 times within 2 minutes, then reject."""
    LIMITED = "limited"
    """Nothing was bought: try again when the key's cool-down ends."""
    KEY_REFUSED = "key refused"
    """Nothing was bought: wait until the key works again."""
    REJECTED = "rejected"
    """Nothing was bought, and asking again brings the same answer."""
    NO_QUOTA = "no quota"
    """As REJECTED, and further creates on the key pause."""
    UNKNOWN = "unknown"
    """Money may be spent: a person decides, nothing is sent again."""


# The first class that fits decides. What is in no row (5xx, 408, lost and broken replies, and
# anything new) is unknown: the one answer that can never buy twice.
_OUTCOMES: tuple[tuple[type[ApiError], Outcome], ...] = (
    (ConnectFailed, Outcome.NOT_SENT),
    (RateLimited, Outcome.LIMITED),
    (KeyRefused, Outcome.KEY_REFUSED),
    (KeyMissing, Outcome.KEY_REFUSED),
    (QuotaExceeded, Outcome.NO_QUOTA),
    (WrongBaseUrl, Outcome.REJECTED),
    (RequestRefused, Outcome.REJECTED),
)


def create_outcome(error: ApiError) -> Outcome:
    """Return what a create's error means: bought, not bought, or unknown."""
    return next((outcome for cls, outcome in _OUTCOMES if isinstance(error, cls)), Outcome.UNKNOWN)


def refusal(
    http_status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    api_id: str = "",
    creating: bool = False,
    now: float | None = None,
    hide: Iterable[str | Secret] = (),
) -> ApiError:
    """Return the error that a reply which holds no video stands for.

    `headers` by lower-case name; `now` (Unix seconds) judges a `Retry-After` date where the reply
    has no `Date`. The API's words go to `reason` only, without the private texts in `hide`.
    """
    found = json_object(body)
    problem = problem_in(found, headers)
    complaint = problem or complaint_in(found)
    is_text = http_status == 403 and found is None and bool(body.strip())
    is_foreign = problem is not None or is_text or is_html(body, headers)
    cls = _refusal_class(http_status, complaint, is_foreign=is_foreign)
    if creating and http_status < 300:
        # Without an id a good status proves nothing about money, whatever it says.
        cls = BrokenReply
    private = tuple(hide)
    date = parse_date(headers.get("date"))
    error = cls(
        f"The API {_WORDS[cls]} (HTTP {http_status}{f', video {api_id}' if api_id else ''}).",
        api_id,
        http_status,
        redact_text(complaint.code, hide=private),
        request_id_in(headers, complaint.message),
        parse_retry_after(headers.get("retry-after"), now if date is None else date),
        redact_text(complaint.message, MAX_REASON, hide=private),
    )
    details = details_of(http_status, body, complaint.upstream_code, private)
    if details is not None:
        error.details = details
    return error


def _refusal_class(status: int, complaint: Complaint, *, is_foreign: bool) -> type[ApiError]:
    if 300 <= status < 400:
        return WrongBaseUrl
    if 400 <= status < 500:
        return _client_error(status, complaint, is_foreign=is_foreign)
    if 500 <= status < 600:
        return _server_error(status, complaint)
    # A 2xx that says `task_not_exist` means it; any other holds no video and decides nothing.
    known = 200 <= status < 300 and complaint.says(TASK_NOT_EXIST)
    return TaskNotExist if known else BrokenReply


def _client_error(status: int, complaint: Complaint, *, is_foreign: bool) -> type[ApiError]:
    by_status = {401: KeyRefused, 402: QuotaExceeded, 408: ServerError, 429: RateLimited}
    if status in by_status:
        return by_status[status]
    if is_foreign:
        # A page or a problem document: a firewall or a proxy, which knows nothing of the key.
        return WrongBaseUrl
    if complaint.says(TASK_NOT_EXIST):
        return TaskNotExist
    return _forbidden(complaint) if status == 403 else RequestRefused


def _forbidden(complaint: Complaint) -> type[ApiError]:
    code, words = complaint.code, complaint.message
    if _QUOTA_CODE.search(code):
        return QuotaExceeded
    if _KEY_CODE.search(code):
        return KeyRefused
    if not _ACCESS_CODE.fullmatch(code):
        return RequestRefused
    if not words.strip():
        return RequestRefused if code else KeyRefused
    return _forbidden_by_words(words)


def _forbidden_by_words(words: str) -> type[ApiError]:
    # A key that may not use one model is no incident of the key: its other videos go on.
    if _CONTENT.search(words) or _MODEL.search(words):
        return RequestRefused
    if _QUOTA.search(words):
        return QuotaExceeded
    return KeyRefused if _KEY.search(words) else RequestRefused


def _server_error(status: int, complaint: Complaint) -> type[ApiError]:
    # CometAPI documents these two as final; the code alone proves it, similar words do not.
    if status == 500 and complaint.code.lower() == "invalid_request":
        return RequestRefused
    if status == 503 and complaint.code.lower() == "model_not_found":
        return ModelUnavailable
    return ServerError
