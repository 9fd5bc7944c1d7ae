"""The file inside a body, told by the bytes and not by what the headers call them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from ..exceptions import DownloadInterrupted, NotAVideo
from .mp4 import HEAD, is_mp4

__all__ = ["decoded", "is_compressed", "with_head"]

STEP = 256 * 1024
"""Bytes that are decompressed at once."""


def with_head(body: Iterable[bytes]) -> Iterator[bytes]:
    """Join the first pieces until there is enough to tell an MP4 by."""
    pieces = iter(body)
    head = b""
    while len(head) < HEAD and (piece := next(pieces, b"")):
        head += piece
    if head:
        yield head
    yield from pieces


def is_compressed(head: bytes) -> bool:
    """Tell whether a body that starts so is compressed in a way that is understood here.

    Those are gzip and zlib (which HTTP calls `deflate`). What starts as an MP4 does is plain.
    """
    if is_mp4(head):
        return False
    is_zlib = len(head) >= 2 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0
    return is_zlib or head.startswith(b"\x1f\x8b\x08")


def decoded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what a compressed body holds, at most `STEP` bytes at once."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    for piece in pieces:
        rest, part = piece, b""
        # A full part may leave more of the output waiting inside, with no input left.
        while (rest or len(part) == STEP) and not unpacker.eof:
            try:
                part = unpacker.decompress(rest, STEP)
            except zlib.error:
                raise NotAVideo("The host compressed the file, and damaged it.") from None
            rest = unpacker.unconsumed_tail
            if part:
                yield part
    if not unpacker.eof:
        raise DownloadInterrupted("The compressed file ends before its end.")
