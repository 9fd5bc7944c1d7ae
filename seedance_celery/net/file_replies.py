"""What the head of a file host's reply says: a refusal, a range, a validator, a coding."""

from __future__ import annotations

import re

from ..api.envelopes import parse_date, parse_retry_after
from ..exceptions import (
    DownloadError,
    DownloadInterrupted,
    DownloadRefused,
    UrlExpired,
    UrlOutdated,
)
from .fetch import Body

__all__ = [
    *("codings", "is_about_range", "range_of", "refusal", "strong_validator", "unsatisfied_size")
]

# S3 answers an expired token with 400; 401 is what some CDNs say for 403.
EXPIRED = frozenset({400, 401, 403, 404, 410})
BUSY = frozenset({202, 408, 409, 421, 423, 425, 429})
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,18})")
_OUTDATED = re.compile(rb"\bexpired\b|expiredtoken|requestexpired", re.IGNORECASE)
_CODINGS = frozenset(
    {"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz"}
)
"""What RFC 9110 and IANA's registry call a coding, `identity` and `aes128gcm` apart."""
ERROR_DOCUMENT = 4096
"""Bytes of an error's body in which the host may say that the URL has expired."""


def refusal(body: Body) -> DownloadError:
    """Return the error that a reply stands for which brings no file."""
    status, host = body.status, body.host
    message = f"{host} answered {status}."
    wait = parse_retry_after(body.header("retry-after"), parse_date(body.header("date")))
    if status in EXPIRED:
        is_outdated = status != 404 and _OUTDATED.search(body.start(ERROR_DOCUMENT))
        kind = UrlOutdated if is_outdated else UrlExpired
        return kind(message, host, status, wait)
    if _is_busy(status):
        return DownloadInterrupted(message, host, status, wait)
    return DownloadRefused(message, host, status, wait)


def _is_busy(status: int) -> bool:
    return status in BUSY or status >= 500 or 200 <= status < 300


def is_about_range(status: int) -> bool:
    """Tell whether a host that answers so to a `Range` request may serve the file without one."""
    return status == 501 or not _is_busy(status)


def range_of(body: Body) -> tuple[int, int, int] | None:
    """Return the first byte, the last byte and the file's size by a 206, if it says them."""
    match = _RANGE.fullmatch(body.header("content-range").lower())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def unsatisfied_size(body: Body) -> int | None:
    """Return the file's size by a 416, if it says it."""
    match = _UNSATISFIED.fullmatch(body.header("content-range").lower())
    return int(match[1]) if match and body.status == 416 else None


def codings(body: Body) -> list[str]:
    """Return the codings that the reply names.

    Hosts put other words into `Content-Encoding` as well (`aws-chunked`, `utf-8`, `none`, a media
    type): those change no byte.
    """
    named = (name.strip().lower() for name in body.header("content-encoding").split(","))
    return [name for name in named if name in _CODINGS]


def strong_validator(body: Body) -> str:
    """Return what `If-Range` may carry (RFC 9110, 13.1.5), or an empty string."""
    etag = body.header("etag")
    if etag.startswith('"'):
        return etag
    modified, sent = body.header("last-modified"), body.header("date")
    first, second = parse_date(modified), parse_date(sent)
    # A date is strong only if the file could not have changed again within its second.
    is_strong = first is not None and second is not None and second - first >= 60
    return modified if is_strong else ""
