"""The two halves of an exchange that the server hands to the app: a body in, an outcome out."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO

from .reply import Wire

__all__ = ["LARGEST_BODY", "Outcome", "RequestBody", "read_chunked"]

LARGEST_BODY = 512 * 1024**2
"""The largest body that is read, in bytes."""


class Outcome:
    """What the app says through WSGI, and through the hook for the wire."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.wire = Wire()

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Take the head, as WSGI defines."""
        self.status, self.headers = status, headers
        return lambda data: None

    def take_wire(self, wire: Wire) -> None:
        """Take how the reply travels."""
        self.wire = wire

    @property
    def length(self) -> int | None:
        """Return the announced length in bytes."""
        said = {name.lower(): value for name, value in self.headers}.get("content-length")
        return None if said is None else int(said)

    @property
    def is_chunked(self) -> bool:
        """Whether the body ends by chunks: without a length, on a connection that is kept."""
        return self.length is None and self.wire.end == "keep"


class RequestBody:
    """The first `left` bytes of a stream."""

    def __init__(self, stream: BinaryIO, left: int) -> None:
        self._stream = stream
        self.left = left

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; fewer only at the end."""
        data = self._stream.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        return data


def read_chunked(stream: BinaryIO) -> RequestBody | None:
    """Read a chunked body whole; None when it is broken or cut off."""
    whole = io.BytesIO()
    while True:
        size = stream.readline(64).partition(b";")[0].strip()
        try:
            length = int(size, 16)
        except ValueError:
            return None
        data = stream.read(length)
        whole.write(data)
        if len(data) < length or whole.tell() > LARGEST_BODY or stream.readline(3) != b"\r\n":
            return None
        if not length:
            size_read = whole.tell()
            whole.seek(0)
            return RequestBody(whole, size_read)
