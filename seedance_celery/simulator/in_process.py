"""The simulator without a port: what stands in for a socket to it, in the client's own process.

A client sends its bytes and reads the answer's; the handler of the HTTP server lies between. What
a scenario takes in time passes at once: a reply that is slower than the client's patience is a
`TimeoutError`, and any other is there.
"""

from __future__ import annotations

import io
import math
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from .app import SimulatorApp
from .exchange import Outcome
from .server import RESET, Handler

__all__ = ["InProcessSocket"]


@dataclass
class _Host:
    """What the handler needs of a server."""

    app: SimulatorApp
    server_name: str = "127.0.0.1"
    server_port: int = 80
    keep_alive: float = 0
    stopping: threading.Event = field(default_factory=threading.Event)


class InProcessSocket:
    """Answers one request, piece by piece as its client reads: a reply may have no end.

    `patience` is how many seconds the client waits for a byte, `total` for the whole reply.
    """

    def __init__(
        self, app: SimulatorApp, *, patience: float = math.inf, total: float = math.inf
    ) -> None:
        self._host = _Host(app)
        self._patience = patience
        self._left = total
        self._sent = bytearray()
        self._waiting = b""
        self._steps: Iterator[None] = iter(())
        self._is_answered = False
        self._out = io.BytesIO()
        self._end: OSError | None = None

    # The client's side.

    def setblocking(self, flag: bool) -> None:
        """Do nothing: it never blocks."""

    def send(self, data: Any) -> int:
        """Take all of the data."""
        self._sent += data
        return len(data)

    def recv_into(self, buffer: Any) -> int:
        """Read what is there of the reply; 0 at its end. Raises what breaks it off."""
        if not self._is_answered:
            self._is_answered = True
            # A request handler handles when it is made: it calls `answer`.
            _Handler(cast("Any", self), ("127.0.0.1", 0), cast("Any", self._host))
        while not self._waiting and self._step():
            pass
        if not self._waiting and self._end is not None:
            raise self._end
        piece = self._waiting[: len(buffer)]
        self._waiting = self._waiting[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _step(self) -> bool:
        """Have the next piece written; return whether there may be another."""
        try:
            next(self._steps)
            goes_on = True
        except StopIteration:
            goes_on = False
        except OSError as error:
            self._end = error
            goes_on = False
        self._waiting += self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return goes_on

    # The handler's side.

    def makefile(self, mode: str, buffering: int = -1) -> io.BytesIO:
        """Return what the request is read from, or what the reply is written to."""
        return io.BytesIO(bytes(self._sent)) if mode == "rb" else self._out

    def answer(self, steps: Iterator[None]) -> None:
        """Take the steps that write the reply."""
        self._steps = steps

    def settimeout(self, seconds: float) -> None:
        """Do nothing: the client's patience counts."""

    def setsockopt(self, level: int, option: int, value: object) -> None:
        """Take the one option that a client notices: a reset at the end."""
        if option == socket.SO_LINGER and value == RESET:
            self._end = ConnectionResetError("the connection was reset")

    def pause(self, seconds: float) -> None:
        """Let time pass; raises `TimeoutError` where the client has no such patience."""
        self._left -= seconds
        if seconds >= self._patience or self._left <= 0:
            raise TimeoutError("nothing came in time")


class _Handler(Handler):
    disable_nagle_algorithm = False
    request: Any

    def setup(self) -> None:
        self.connection = self.request
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb")

    def finish(self) -> None:
        """Leave everything to the client."""

    def end_headers(self) -> None:
        # Each connection answers once: a client that kept it would have to look at a real socket.
        self.send_header("Connection", "close")
        super().end_headers()

    def send(self, outcome: Outcome, chunks: Iterable[bytes]) -> None:
        """Leave it to the client's reads."""
        self.request.answer(self.sending(outcome, chunks))

    def pause(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.request.pause(seconds)
