"""Download the file behind a signed URL, checked while it comes.

The bytes are handed over once, in order, whatever happens on the way: a download that breaks off
goes on with `Range` where the host allows it, else from zero, past what was handed over already
(compared by its SHA-256). So a storage only ever appends.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from .connection import Limits
from .envelope import parse_date, parse_retry_after
from .exceptions import (
    DownloadChanged,
    DownloadError,
    DownloadInterrupted,
    DownloadRefused,
    FileTooLarge,
    NotAVideo,
    UrlExpired,
)
from .fetch import Body, Route, fetch, interrupted
from .mp4 import HEAD, BoxWalk, is_mp4
from .transport import tls_context

__all__ = ["Download", "DownloadLimits"]

# S3 answers an expired token with 400; 401 is what some CDNs say for 403.
EXPIRED = frozenset({400, 401, 403, 404, 410})
BUSY = frozenset({202, 408, 425, 429})
_PAGE = re.compile(r"text/|application/(xhtml|xml|json|problem)|.*\+(xml|json)\b")
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What one download may cost. Sizes in bytes, times in seconds."""

    max_size: int = 4 * 1024**3
    connect: float = 10.0
    read: float = 30.0
    """Without a byte."""
    total: float = 3600.0
    """All attempts together, the storage's time included."""
    min_rate: float = 16 * 1024
    """Bytes a second, judged over `window` seconds of waiting for the host."""
    window: float = 60.0
    attempts: int = 5
    pause: float = 1.0
    """Before the second attempt; each further one waits twice as long."""
    redirects: int = 3


class Download:
    """A file behind a signed URL. Iterate over `chunks()` once; whole only if that ends quietly.

    No key, cookie or proxy is used; the query string goes out as it is. Only public addresses are
    connected to, with `allow_loopback` (for the simulator) loopback ones, too. `tls` is made from
    certifi's roots by default.
    """

    def __init__(
        self,
        url: str,
        limits: DownloadLimits | None = None,
        *,
        allow_loopback: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.size = 0
        """Bytes handed over so far."""
        self.declared_size: int | None = None
        """The file's size by the host's word, once a reply has come that tells it."""
        self._url = url
        self._limits = limits or DownloadLimits()
        self._allow_loopback = allow_loopback
        self._tls = tls
        self._validator = ""
        self._digest = hashlib.sha256()
        self._boxes = BoxWalk()

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was handed over, in hexadecimal."""
        return self._digest.hexdigest()

    def chunks(self) -> Generator[bytes, None, None]:
        """Yield the file in pieces, from its first byte to its last.

        Raises `UrlExpired`, `DownloadRefused` (final) or `DownloadInterrupted` (try again later),
        possibly after some pieces: those are then worth nothing.
        """
        route = self._route()
        for attempt in range(1, self._limits.attempts + 1):
            try:
                yield from self._attempt(route)
                break
            except DownloadInterrupted as error:
                if attempt == self._limits.attempts or not self._is_resumable(error):
                    raise
            self._pause(attempt, route)
        self._check_end()

    def _route(self) -> Route:
        limits = self._limits
        return Route(
            Limits(limits.connect, limits.read, time.monotonic() + limits.total),
            limits.min_rate,
            limits.window,
            limits.redirects,
            self._allow_loopback,
            self._tls or tls_context(),
        )

    def _is_resumable(self, error: DownloadInterrupted) -> bool:
        # With nothing to resume, or told to wait, the next attempt is better made later.
        is_later = not self.size or error.retry_after is not None
        return not is_later and not isinstance(error, DownloadChanged)

    def _pause(self, attempt: int, route: Route) -> None:
        seconds: float = self._limits.pause * 2 ** (attempt - 1)
        if time.monotonic() + seconds >= route.limits.deadline:
            raise DownloadInterrupted("The download took too long.")
        time.sleep(seconds)

    def _attempt(self, route: Route) -> Iterator[bytes]:
        with closing(fetch(self._url, self._headers(), route)) as body:
            skip = self._begin(body)
            pieces = _with_head(body) if skip == self.size else body
            yield from self._taken(pieces, skip)
            if not body.is_framed and self._boxes.is_cut:
                raise interrupted(body.host, "the connection was closed")

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        if self._validator and self.size:
            headers |= {"Range": f"bytes={self.size}-", "If-Range": self._validator}
        return headers

    def _begin(self, body: Body) -> int:
        """Judge a reply by its head. Return how many bytes of its body are known already."""
        if self.size and body.status == 206:
            self._check_range(body)
            return 0
        if self.size and body.status == 416:
            raise self._without_range(body)
        if body.status != 200:
            raise _refusal(body)
        _check_type(body)
        if self.size and None not in (self.declared_size, body.length):
            self._check_unchanged(body, body.length)
        self._declare(body, body.length)
        self._validator = _strong_validator(body)
        return self.size

    def _check_range(self, body: Body) -> None:
        match = _RANGE.fullmatch(body.header("content-range").lower())
        first, last, total = map(int, match.groups()) if match else (-1, -1, -1)
        is_asked = first == self.size and last == total - 1
        if not is_asked or body.length not in (None, total - first) or _is_encoded(body):
            raise self._without_range(body)
        etag = body.header("etag")
        if self._validator.startswith('"') and etag not in ("", self._validator):
            raise DownloadChanged("The file changed while it was fetched.", body.host, body.status)
        if self.declared_size is not None:
            self._check_unchanged(body, total)
        self._declare(body, total)

    def _check_unchanged(self, body: Body, total: int | None) -> None:
        if total != self.declared_size:
            raise DownloadChanged("The file changed while it was fetched.", body.host, body.status)

    def _without_range(self, body: Body) -> DownloadInterrupted:
        self._validator = ""
        return interrupted(body.host, "the host sent another range than was asked for")

    def _declare(self, body: Body, total: int | None) -> None:
        if total is not None:
            self._check_size(total, body.host)
            self.declared_size = total

    def _check_size(self, size: int, host: str = "") -> None:
        if size > self._limits.max_size:
            raise FileTooLarge(f"The file is over {self._limits.max_size} bytes.", host)

    def _taken(self, pieces: Iterable[bytes], skip: int) -> Iterator[bytes]:
        known = hashlib.sha256()
        for piece in pieces:
            if skip:
                known.update(piece[:skip])
                fresh = piece[skip:]
                skip -= len(piece) - len(fresh)
                if not skip and known.digest() != self._digest.digest():
                    raise DownloadChanged("The file changed while it was fetched.")
            else:
                fresh = piece
            if fresh:
                yield self._take(fresh)
        if skip:
            raise DownloadChanged("The file became shorter while it was fetched.")

    def _take(self, piece: bytes) -> bytes:
        if not self.size and not is_mp4(piece):
            raise NotAVideo("The file does not start as an MP4 does.")
        self._check_size(self.size + len(piece))
        self._digest.update(piece)
        self._boxes.feed(piece)
        self.size += len(piece)
        return piece

    def _check_end(self) -> None:
        if not self.size:
            raise NotAVideo("The file is empty.")
        if self._boxes.is_cut:
            raise DownloadInterrupted("The MP4 ends before its last box does.")
        if self.declared_size not in (None, self.size):
            raise DownloadInterrupted("The file is not as long as the host says.")


def _with_head(body: Iterable[bytes]) -> Iterator[bytes]:
    """Join the first pieces until there is enough to tell an MP4 by."""
    pieces = iter(body)
    head = b""
    while len(head) < HEAD and (piece := next(pieces, b"")):
        head += piece
    if head:
        yield head
    yield from pieces


def _check_type(body: Body) -> None:
    kind = body.header("content-type").lower()
    if _PAGE.match(kind):
        raise NotAVideo("The host sent a page instead of a video.", body.host, body.status)
    if _is_encoded(body):
        raise NotAVideo("The host compressed the file unasked.", body.host, body.status)


def _is_encoded(body: Body) -> bool:
    return body.header("content-encoding").lower() not in ("", "identity")


def _strong_validator(body: Body) -> str:
    """Return what `If-Range` may carry (RFC 9110, 13.1.5), or an empty string."""
    etag = body.header("etag")
    if etag.startswith('"'):
        return etag
    modified, sent = body.header("last-modified"), body.header("date")
    first, second = parse_date(modified), parse_date(sent)
    # A date is strong only if the file could not have changed again within its second.
    is_strong = first is not None and second is not None and second - first >= 60
    return modified if is_strong else ""


def _refusal(body: Body) -> DownloadError:
    status, host = body.status, body.host
    message = f"{host} answered {status}."
    if status in EXPIRED:
        return UrlExpired(message, host, status)
    if status in BUSY or status >= 500 or 200 <= status < 300:
        wait = parse_retry_after(body.header("retry-after"), parse_date(body.header("date")))
        return DownloadInterrupted(message, host, status, wait)
    return DownloadRefused(message, host, status)
