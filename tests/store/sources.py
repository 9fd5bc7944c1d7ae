"""Files to store that come from no network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator

PIECE = 64 * 1024


class Pieces:
    """Hands over `body` piece by piece. `before` is called with the bytes that went before.

    `times` repeats the body.
    """

    def __init__(
        self, body: bytes, before: Callable[[int], None] = lambda done: None, times: int = 1
    ) -> None:
        self.size = 0
        self._times = times
        self._body = body
        self._before = before
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def chunks(self) -> Generator[bytes, None, None]:
        for start in [*range(0, len(self._body), PIECE)] * self._times:
            self._before(self.size)
            piece = self._body[start : start + PIECE]
            self._digest.update(piece)
            self.size += len(piece)
            yield piece
        self._before(self.size)


class Broken(Exception):
    """The source breaks off."""


def break_at(size: int) -> Callable[[int], None]:
    """Return a `before` that raises `Broken` at byte `size`."""

    def check(done: int) -> None:
        if done >= size:
            raise Broken

    return check
