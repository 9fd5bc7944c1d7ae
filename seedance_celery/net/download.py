"""Download the file behind a signed URL, checked while it comes.

The bytes are handed over once, in order, whatever happens on the way: a download that breaks off
goes on with `Range` where the host allows it, else from zero, past what was handed over already
(compared by its SHA-256). So a storage only ever appends.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

from ..exceptions import DownloadChanged, DownloadInterrupted, FileTooLarge, NotAVideo
from .codings import decoded, is_compressed, with_head
from .connection import Limits
from .fetch import Body, Route, fetch, interrupted
from .file_replies import (
    codings,
    is_about_range,
    range_of,
    refusal,
    strong_validator,
    unsatisfied_size,
)
from .mp4 import BoxWalk, is_mp4
from .transport import tls_context

__all__ = ["Download", "DownloadLimits"]

FRUITLESS = 2
"""Range requests in a row that bring nothing, before the whole file is asked for."""
EQUAL_ENDS = 2
"""Times that a body ends at the same byte, before that counts as where it always ends."""
SLACK = 64 * 1024
"""Bytes by which `Content-Length` may exceed a whole film: a host may count its own framing."""


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
    certifi's roots by default; `sleep` waits between attempts.
    """

    def __init__(
        self,
        url: str,
        limits: DownloadLimits | None = None,
        *,
        allow_loopback: bool = False,
        tls: ssl.SSLContext | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.size = 0
        """Bytes handed over so far."""
        self.received = 0
        """Bytes that came, those that came again included: what the tries have cost."""
        self.declared_size: int | None = None
        """The file's size by the host's word, once a reply has come that tells it."""
        self._url = url
        self._limits = limits or DownloadLimits()
        self._allow_loopback = allow_loopback
        self._tls = tls
        self._sleep = sleep
        self._own_headers: Mapping[str, str] | None = None
        self._validator = ""
        self._digest = hashlib.sha256()
        self._boxes = BoxWalk()
        self._ends: list[int] = []
        self._fruitless = 0
        self._takes_range = True

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
                if self._is_whole_by_content():
                    break
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
            self._own_headers,
        )

    def _is_resumable(self, error: DownloadInterrupted) -> bool:
        # With nothing to resume, or told to wait, the next attempt is better made later.
        is_later = not self.size or error.retry_after is not None
        is_stuck = self._ends.count(self.size) >= EQUAL_ENDS
        return not (is_later or is_stuck or isinstance(error, DownloadChanged))

    def _pause(self, attempt: int, route: Route) -> None:
        seconds: float = self._limits.pause * 2 ** (attempt - 1)
        if time.monotonic() + seconds >= route.limits.deadline:
            raise DownloadInterrupted("The download took too long.")
        self._sleep(seconds)

    def _attempt(self, route: Route) -> Iterator[bytes]:
        before = self.size
        asks_range = bool(self._takes_range and self._validator and before)
        try:
            with closing(fetch(self._url, self._headers(asks_range), route)) as body:
                skip = self._begin(body, asks_range)
                yield from self._body(body, skip)
        finally:
            self._fruitless = self._fruitless + 1 if asks_range and self.size == before else 0
            self._takes_range = self._takes_range and self._fruitless < FRUITLESS

    def _headers(self, asks_range: bool) -> dict[str, str]:
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        if asks_range:
            headers |= {"Range": f"bytes={self.size}-", "If-Range": self._validator}
        return headers

    def _begin(self, body: Body, asked_range: bool) -> int:
        """Judge a reply by its head. Return how many bytes of its body are known already."""
        if body.status == 206:
            return self._begin_range(body, asked_range)
        if asked_range and is_about_range(body.status) and body.status != 200:
            if unsatisfied_size(body) == self.size and not self._boxes.is_cut:
                self._ends += [self.size] * EQUAL_ENDS
            raise self._without_range(body)
        if body.status != 200:
            raise self._refusal(body)
        if self.size and None not in (self.declared_size, body.length):
            self._check_unchanged(body, body.length)
        self._declare(body, body.length)
        self._validator = strong_validator(body)
        return self.size

    def _refusal(self, body: Body) -> Exception:
        return refusal(body)

    def _begin_range(self, body: Body, asked: bool) -> int:
        first, last, total = range_of(body) or (-1, -1, -1)
        is_usable = first in (0, self.size if asked else 0) and last == total - 1
        if not is_usable or body.length not in (None, total - first) or codings(body):
            raise self._without_range(body) if asked else self._refusal(body)
        etag = body.header("etag").removeprefix("W/")
        if self._validator.startswith('"') and etag not in ("", self._validator):
            raise DownloadChanged("The file changed while it was fetched.", body.host, body.status)
        if self.declared_size is not None:
            self._check_unchanged(body, total)
        self._declare(body, total)
        return self.size - first

    def _check_unchanged(self, body: Body, total: int | None) -> None:
        if total != self.declared_size:
            raise DownloadChanged("The file changed while it was fetched.", body.host, body.status)

    def _without_range(self, body: Body) -> DownloadInterrupted:
        self._takes_range = False
        return interrupted(body.host, "the host did not send the range that was asked for")

    def _body(self, body: Body, skip: int) -> Iterator[bytes]:
        pieces: Iterable[bytes] = self._counted(body)
        if skip == self.size:
            pieces = self._unpacked(with_head(pieces))
        try:
            yield from self._taken(pieces, skip)
            if not body.is_framed and self._boxes.is_cut:
                raise interrupted(body.host, "the connection was closed")
        except DownloadInterrupted:
            self._ends.append(self.size)
            raise

    def _counted(self, body: Body) -> Iterator[bytes]:
        for piece in body:
            self.received += len(piece)
            yield piece

    def _unpacked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield a body from its first byte on, decompressed if its bytes are compressed."""
        head = next(pieces, b"")
        if not is_compressed(head):
            yield head
            yield from pieces
            return
        # The host's length, and its ranges, are of the compressed bytes.
        self.declared_size, self._validator = None, ""
        yield from with_head(decoded(chain((head,), pieces)))

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
            raise NotAVideo(_no_video(piece))
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
        if self.declared_size not in (None, self.size) and not self._is_whole_by_content():
            raise DownloadInterrupted("The file is not as long as the host says.")

    def _is_whole_by_content(self) -> bool:
        """Tell whether a film is whole that is a little shorter than the host's length.

        A host that counts bytes of its own framing, or behind the film, ends each time at the same
        byte, which is the end of a box.
        """
        missing = (self.declared_size or 0) - self.size
        is_the_end = self._ends.count(self.size) >= EQUAL_ENDS and 0 <= missing <= SLACK
        return is_the_end and self._boxes.is_film


def _no_video(start: bytes) -> str:
    if start.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"<", b"{", b"["):
        return "The host sent a page instead of a video."
    return "The file does not start as an MP4 does."
