"""Finished files: a real MP4 of any size, signed links that expire, ranges."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from urllib.parse import parse_qs, quote

from .reply import Reply, xml_error
from .request import Request

__all__ = ["PADDING", "Media", "kite", "serve_file", "signature_error", "signed_query"]

PADDING = "&padding="
"""Begins what makes a link longer: its signature does not cover that."""

_BLOCK = bytes(65536)


@dataclass(frozen=True)
class Media:
    """A file: `start`, then zeros up to `size` bytes."""

    start: bytes
    size: int

    @classmethod
    def of_size(cls, size: int) -> Media:
        """Return the small MP4, followed by a `free` box that makes it `size` bytes long.

        It plays at any size. `size` is raised to that of the MP4 and a box's head.
        """
        video = kite().start
        free = max(size - len(video), 16)
        head = (1).to_bytes(4, "big") + b"free" + free.to_bytes(8, "big")
        return cls(video + head, len(video) + free)

    @cached_property
    def etag(self) -> str:
        """Return a strong validator."""
        return f'"{hashlib.sha256(self.start).hexdigest()[:24]}-{self.size}"'

    def read(self, start: int = 0, stop: float = math.inf) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `stop`."""
        end = int(min(stop, self.size))
        if start < min(end, len(self.start)):
            yield self.start[start:end]
        left = end - max(start, len(self.start))
        while left > 0:
            yield _BLOCK[:left]
            left -= len(_BLOCK)


@cache
def kite() -> Media:
    """Return the bundled video: five seconds of a kite over the sea."""
    video = resources.files(__package__).joinpath("media/kite.mp4").read_bytes()
    return Media(video, len(video))


def signed_query(secret: bytes, name: str, expires: int) -> str:
    """Return the query string that opens the file `name` until `expires` (Unix seconds).

    The signature is Base64 with its `+`, `/` and `=` quoted, so that a client that re-encodes
    the query string breaks it, as it would break a real one.
    """
    digest = hmac.new(secret, f"{name}\n{expires}".encode(), hashlib.sha256).digest()
    return f"expires={expires}&signature={quote(base64.b64encode(digest).decode(), safe='')}"


def signature_error(request: Request, secret: bytes, name: str, now: float) -> Reply | None:
    """Return the storage's refusal of a link, or None when it is good."""
    if "authorization" in request.headers:
        return xml_error(400, "InvalidArgument", "Only one auth mechanism allowed")
    expires = parse_qs(request.query).get("expires", [""])[0]
    if not (expires.isascii() and expires.isdecimal()):
        return xml_error(403, "AccessDenied", "Access denied")
    signed, _, _ = request.query.partition(PADDING)
    if request.method != "GET" or signed != signed_query(secret, name, int(expires)):
        return xml_error(403, "SignatureDoesNotMatch", "The signature does not match")
    if now >= int(expires):
        return xml_error(403, "AccessDenied", "Request has expired")
    return None


def serve_file(request: Request, media: Media) -> Reply:
    """Return `media`, or the one range of it that `Range` and `If-Range` ask for."""
    headers = (("Content-Type", "video/mp4"), ("Accept-Ranges", "bytes"), ("ETag", media.etag))
    span = _span(request, media)
    if span is None:
        return Reply(200, headers, stream=media.read, length=media.size)
    start, stop = span
    if start >= stop:
        refusal = xml_error(416, "InvalidRange", "The requested range is not satisfiable")
        return refusal.with_header("Content-Range", f"bytes */{media.size}")
    part = Reply(206, headers, stream=lambda: media.read(start, stop), length=stop - start)
    return part.with_header("Content-Range", f"bytes {start}-{stop - 1}/{media.size}")


def _span(request: Request, media: Media) -> tuple[int, int] | None:
    """Return start and stop of the wanted range; None for the whole file."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""), re.ASCII)
    if match is None or match.groups() == ("", ""):
        return None
    if request.headers.get("if-range", media.etag) != media.etag:
        return None
    first, last = match.groups()
    if not first:
        return max(media.size - int(last), 0), media.size
    return int(first), min(int(last) + 1, media.size) if last else media.size
