"""Make text and JSON safe to keep and to show (pure).

Safe to show: no signature of a URL, bearer token or key. Safe to keep in any database: no NUL
(PostgreSQL refuses it in text and jsonb), no lone surrogate, no NaN, no integer over 64 bit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

__all__ = ["redact", "redact_text", "storable_text"]

REDACTED = "[redacted]"
MAX_REASON = 300
"""Characters of the API's own words that are kept as a reason."""
MAX_TEXT = 4096
"""Characters of any one string that are kept."""
MAX_DEPTH = 16
MAX_INTEGER = 2**63 - 1

# Everything after the question mark goes: signers name their parameters as they like.
_QUERY = re.compile(r"(?i)(https?:[^\s\"'<>?]*\?)[^\s\"'<>]+")
_BEARER = re.compile(r"(?i)\b(bearer)\s+[^\s\"',;]+")
_KEY = re.compile(r"\bsk-[\w*.-]{3,}")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def storable_text(text: str, limit: int = MAX_TEXT) -> str:
    """Return `text` without NUL and lone surrogates, cut to `limit` characters."""
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text[:limit].replace("\0", ""))


def redact_text(text: str, limit: int = MAX_TEXT, *, hide: Iterable[str] = ()) -> str:
    """Return free text fit to be shown: queries of URLs, tokens, keys and `hide` are taken out.

    The result is storable and at most `limit` characters long. `hide` lists texts that the
    caller knows to be private, such as a prompt that the API may echo.
    """
    # Cut first: the patterns take quadratic time on hostile text.
    safe = storable_text(text)
    for private in filter(None, hide):
        safe = safe.replace(private, REDACTED)
    if ":" in safe:
        safe = _QUERY.sub(rf"\1{REDACTED}", safe)
    safe = _BEARER.sub(rf"\1 {REDACTED}", safe)
    return _KEY.sub(f"sk-{REDACTED}", safe)[:limit]


def redact(value: Any) -> Any:
    """Copy JSON-like data deeply, each text in it (keys, too) fit to be shown and to be kept.

    What is nested deeper than 16 levels, is not finite or is not JSON becomes None; what stands
    under `prompt` is taken out, as some videos of the API echo theirs.
    """
    return _redacted(value, MAX_DEPTH)


def _redacted(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return _number(value)
    return _container(value, depth - 1) if depth > 1 else None


def _container(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return {redact_text(str(key)): _member(key, item, depth) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(item, depth) for item in value]
    return None


def _member(key: Any, item: Any, depth: int) -> Any:
    return REDACTED if key == "prompt" and item else _redacted(item, depth)


def _number(value: float) -> float | None:
    if isinstance(value, int):
        return value if abs(value) <= MAX_INTEGER else None
    return value if math.isfinite(value) else None
