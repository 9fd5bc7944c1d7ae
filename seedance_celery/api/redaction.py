"""Make text and JSON safe to keep and to show (pure).

Safe to show: no signature of a URL, bearer token or key. Safe to keep in any database: no NUL
(PostgreSQL refuses it in text and jsonb), no lone surrogate, no NaN, no integer over 64 bit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["Secret", "redact", "redact_text", "storable_text"]

REDACTED = "[redacted]"
MAX_REASON = 300
"""Characters of the API's own words that are kept as a reason."""
MAX_WORDS = 64 * 1024
"""Characters of them that are handed on where a private text may still have to be taken out."""
MAX_TEXT = 4096
"""Characters of any one string that are kept."""
MAX_DEPTH = 16
MAX_INTEGER = 2**63 - 1

# A whole address, also one that stands percent-encoded in another, or in a cut piece of JSON.
_URL = re.compile(
    r"(?i)(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}:(?:\\?/){2}|https?(?::|%3a))[^\s\"'<>]+",
)
_QUERY = re.compile(r"(?i)\?|%3f|\\u003f")
# What signs a link that has no host: a path, or a piece of an address.
_SIGNATURE = re.compile(
    r"(?i)([?&](?:x-\w+-)?(?:signature|sig|credential|security-token|token|auth_key|policy)=)"
    r"[^&\s\"'<>]+"
)
_BEARER = re.compile(r"(?i)\b(bearer)\s+[^\s\"',;]+")
_KEY = re.compile(r"\bsk-[\w*.-]{3,}")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Secret:
    """A text that no repr shows: error trackers keep the local variables of each frame."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return REDACTED


def storable_text(text: str, limit: int | None = MAX_TEXT) -> str:
    """Return `text` without NUL and lone surrogates, cut to `limit` characters."""
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text[:limit].replace("\0", ""))


def redact_text(text: str, limit: int = MAX_TEXT, *, hide: Iterable[str | Secret] = ()) -> str:
    """Return free text fit to be shown: queries of URLs, tokens, keys and `hide` are taken out.

    The result is storable and at most `limit` characters long. `hide` lists texts that the
    caller knows to be private, such as a prompt that the API may echo.
    """
    # Cut last: what is private would not be known by its first half. The patterns take linear time,
    # and each is tried only on a text that has what it begins with: a poll redacts some 16 texts.
    safe = storable_text(text, None)
    for private in hide:
        known = private.text if isinstance(private, Secret) else private
        safe = safe.replace(known, REDACTED) if known else safe
    if ":" in safe or "%3" in safe:
        safe = _URL.sub(_without_query, safe)
    if "=" in safe:
        safe = _SIGNATURE.sub(rf"\1{REDACTED}", safe)
    if "bearer" in safe.lower():
        safe = _BEARER.sub(rf"\1 {REDACTED}", safe)
    if "sk-" in safe:
        safe = _KEY.sub(f"sk-{REDACTED}", safe)
    return safe[:limit]


def _without_query(url: re.Match[str]) -> str:
    # All of it goes: signers name their parameters as they like.
    mark = _QUERY.search(url[0])
    if mark is None or mark.end() == len(url[0]):
        return url[0]
    return f"{url[0][: mark.end()]}{REDACTED}"


Show = Callable[[str], str]
"""What makes one text fit to be kept."""


def redact(value: Any, *, keep_links: bool = False, hide: Iterable[str | Secret] = ()) -> Any:
    """Copy JSON-like data deeply, each text in it (keys, too) fit to be shown and to be kept.

    What is nested deeper than 16 levels, is not finite or is not JSON becomes None; what stands
    under `prompt` is taken out, as some videos of the API echo theirs. With `keep_links` a text
    that is an address stays as it is: for an answer whose link was not found, and is still needed.
    """
    private = tuple(hide)

    def show(text: str) -> str:
        if keep_links and _is_link(text):
            return storable_text(text, MAX_WORDS)
        return redact_text(text, hide=private)

    return _redacted(value, MAX_DEPTH, show)


def _is_link(text: str) -> bool:
    # An address, or a path: what a link can be that was sent in a wrong form.
    words = text.split()
    return bool(words) and ("://" in words[0] or words[0].startswith("/"))


def _redacted(value: Any, depth: int, show: Show) -> Any:
    if isinstance(value, str):
        return show(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return _number(value)
    return _container(value, depth - 1, show) if depth > 1 else None


def _container(value: Any, depth: int, show: Show) -> Any:
    if isinstance(value, dict):
        return {show(str(key)): _member(key, item, depth, show) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(item, depth, show) for item in value]
    return None


def _member(key: Any, item: Any, depth: int, show: Show) -> Any:
    return REDACTED if key == "prompt" and item else _redacted(item, depth, show)


def _number(value: float) -> float | None:
    if isinstance(value, int):
        return value if abs(value) <= MAX_INTEGER else None
    return value if math.isfinite(value) else None
