"""What an MP4 looks like from outside: a row of boxes, the first of them `ftyp` (pure).

ISO/IEC 14496-12: each box starts with its size (32 bit, big-endian) and a type of four letters; a
size of 1 says that 64 bit of size follow, 0 that the box goes on to the end of the file.
"""

from __future__ import annotations

__all__ = ["HEAD", "BoxWalk", "is_mp4"]

HEAD = 12
"""Bytes that `is_mp4` needs."""
_SHORT, _LONG = 8, 16
_CONTENT = frozenset({b"moov", b"mdat", b"moof"})
"""The boxes that hold the film. A file that lacks a part of one of these does not play."""
_KNOWN = _CONTENT | frozenset(
    {
        *(b"ftyp", b"styp", b"free", b"skip", b"wide", b"uuid", b"udta", b"meta", b"meco"),
        *(b"mfra", b"sidx", b"ssix", b"prft", b"emsg", b"pdin", b"pnot"),
    }
)


def is_mp4(head: bytes) -> bool:
    """Tell whether a file that starts with these bytes is an MP4."""
    return len(head) >= HEAD and head[4:8] == b"ftyp"


class BoxWalk:
    """Follows the outermost boxes of a file that comes in pieces, to see whether it is whole.

    This finds the truncated file that no length gave away. Some files have bytes of their own
    behind the last box, so what begins like no known box is no part of the film once its `mdat`
    has come to an end, and the walk stops at the first thing that cannot be a box.
    """

    def __init__(self) -> None:
        self._left = 0
        self._head = b""
        self._kind = b""
        self._whole: set[bytes] = set()
        self._is_lost = False

    @property
    def is_cut(self) -> bool:
        """Whether the file as seen so far ends within a box that belongs to it."""
        if self._is_lost or self._left <= 0:
            return False
        return self._kind in _KNOWN or b"mdat" not in self._whole

    @property
    def is_film(self) -> bool:
        """Whether a whole film has been seen, whatever the host says about more bytes.

        Only a file with one `moov` and no fragments tells that: another `moof` could always come.
        """
        return {b"moov", b"mdat"} <= self._whole and b"moof" not in self._whole and not self.is_cut

    def feed(self, chunk: bytes) -> None:
        """Walk over the next piece of the file."""
        view = memoryview(chunk)
        while view and not self._is_lost:
            if self._left:
                step = min(self._left, len(view))
                self._left -= step
                view = view[step:]
                self._end_box()
            else:
                view = self._read_head(view)

    def _read_head(self, view: memoryview) -> memoryview:
        is_long = self._head.startswith(b"\0\0\0\1")
        missing = (_LONG if is_long else _SHORT) - len(self._head)
        self._head += view[:missing]
        if len(self._head) >= _SHORT:
            self._start_box()
        return view[missing:]

    def _start_box(self) -> None:
        size, kind = int.from_bytes(self._head[:4], "big"), self._head[4:8]
        if size == 1 and len(self._head) < _LONG:
            return
        if size == 1:
            size = int.from_bytes(self._head[_SHORT:], "big")
        self._is_lost = size < len(self._head) or not kind.isascii() or not kind.isalnum()
        self._kind = kind
        self._left = 0 if self._is_lost else size - len(self._head)
        self._head = b""
        self._end_box()

    def _end_box(self) -> None:
        if not self._left and not self._is_lost:
            self._whole.add(self._kind)
