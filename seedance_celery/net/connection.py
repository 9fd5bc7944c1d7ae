"""A connection whose every step uses what is left of the request's time.

The socket is never blocking: each wait is given its seconds, so a server that sends one byte a
second is cut off, in headers, in a body, within one TLS record. That holds for processes, threads
and greenlets alike, without a thread that watches.
"""

from __future__ import annotations

import base64
import io
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from typing import Any, TypeVar, cast
from urllib.parse import unquote, urlsplit

from urllib3.util import wait_for_read, wait_for_write

__all__ = [
    *("Address", "Connection", "FinalResponse", "Limits", "Stream"),
    *("open_socket", "standing_in"),
]

MAX_RECEIVED = 2 * 1024 * 1024
"""Bytes of one reply in all, headers and framing included."""
BUFFER = 64 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """The time that a request may take."""

    connect: float
    """Seconds for each step of connecting: each address of the host, each wait of a handshake."""
    read: float
    """Seconds without a byte."""
    deadline: float
    """When the request as a whole is given up (`time.monotonic`). Resolving the host's name alone
    is not bounded by it, but by the system's resolver: nothing has been sent by then."""

    def left(self, at_most: float) -> float:
        """Return the seconds one step may take, or raise TimeoutError."""
        seconds = min(at_most, self.deadline - time.monotonic())
        if seconds <= 0:
            raise TimeoutError("the request's time is up")
        return seconds


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API is, and how to get there."""

    host: str
    port: int
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    proxy: str = field(default="", repr=False)
    """`http://[user:password@]host[:port]` of a proxy that understands CONNECT."""


class FinalResponse(HTTPResponse):
    """The reply itself, after all that a server may send in advance, such as 103 (Early Hints)."""

    def begin(self) -> None:
        """Read the head; http.client skips a 100 alone and takes any other 1xx for the reply."""
        super().begin()
        while 101 < self.status < 200:
            self.headers = None  # type: ignore[assignment]  # http.client begins without them
            super().begin()


class Connection(HTTPConnection):
    """A connection of the process `pid`, kept since `kept_at` (`time.monotonic`) if it ever was."""

    # http.client would open a second connection in the middle of a request.
    auto_open = 0
    response_class = FinalResponse
    stream: Stream

    def __init__(self, address: Address, limits: Limits) -> None:
        self.pid = os.getpid()
        self.kept_at: float | None = None
        self._address = address
        self._limits = limits
        self.default_port = 443 if address.tls else 80
        proxy = urlsplit(address.proxy)
        if not proxy.hostname:
            super().__init__(address.host, address.port)
            return
        super().__init__(proxy.hostname, proxy.port or 80)
        self.set_tunnel(address.host, address.port, _proxy_headers(proxy.username, proxy.password))

    def connect(self) -> None:
        """Connect, through the proxy where there is one, and shake hands."""
        self.stream = Stream(_connected(self.host, self.port, self._limits), self._limits)
        # http.client uses only sendall, makefile and close of a socket.
        self.sock = cast("socket.socket", self.stream)
        if self._address.proxy:
            self._tunnel()  # type: ignore[attr-defined]  # typeshed leaves it out
        if self._address.tls is not None:
            self.stream.start_tls(self._address.tls, self._address.host)


class Stream:
    """What http.client needs of a socket, within limits."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self.received = 0
        self._sock = sock
        self._limits = limits
        self._patience = limits.connect
        self._readers = 0
        self._is_closing = False
        sock.setblocking(False)

    def restart(self, limits: Limits) -> None:
        """Start the limits of the next request."""
        self._limits = limits
        self._patience = limits.read
        self.received = 0

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Put TLS over the connection and check whom it leads to."""
        self._sock = secure = context.wrap_socket(
            self._sock, server_hostname=host, do_handshake_on_connect=False
        )
        self._attempt(lambda _: secure.do_handshake(), None, wait_for_read)

    def has_input(self) -> bool:
        """Tell whether there is something to read now: bytes, or the end."""
        return wait_for_read(self._sock, 0)

    def sendall(self, data: bytes) -> None:
        """Send all of it, or raise OSError."""
        view = memoryview(data)
        while view:
            sent = self._attempt(self._sock.send, view, wait_for_write)
            if not sent:  # gevent's TLS says 0 instead of raising
                self._wait(wait_for_write)
            view = view[sent:]

    def receive_into(self, buffer: Any) -> int:
        """Read what is there into the buffer; 0 at the end."""
        size = self._attempt(self._sock.recv_into, buffer, wait_for_read)
        self.received += size
        if self.received > MAX_RECEIVED:
            raise OSError("the reply is too large")
        return size

    def makefile(self, *args: Any, **kwargs: Any) -> io.BufferedReader:
        """Return a buffered reader; `close` waits for it to be closed, as a socket's does."""
        self._readers += 1
        return io.BufferedReader(_Reader(self), BUFFER)

    def close(self) -> None:
        """Close the socket, once its readers are closed."""
        self._is_closing = True
        self._close_when_unused()

    def reader_closed(self) -> None:
        """Take note that a reader is closed."""
        self._readers -= 1
        self._close_when_unused()

    def _close_when_unused(self) -> None:
        if self._is_closing and not self._readers:
            self._sock.close()

    def _attempt(self, step: Callable[[Any], T], argument: Any, wait: Callable[..., bool]) -> T:
        while True:
            try:
                return step(argument)
            except ssl.SSLWantReadError:
                self._wait(wait_for_read)
            except ssl.SSLWantWriteError:
                self._wait(wait_for_write)
            except BlockingIOError:
                self._wait(wait)

    def _wait(self, wait: Callable[..., bool]) -> None:
        if not wait(self._sock, self._limits.left(self._patience)):
            raise TimeoutError("nothing came or went in time")


class _Reader(io.RawIOBase):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._stream.receive_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stream.reader_closed()


def _connected(host: str, port: int, limits: Limits) -> socket.socket:
    error = OSError("the host's name has no address")
    for family, *_, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        try:
            return open_socket(family, address, limits)
        except OSError as failure:
            error = failure
    raise error


_stand_ins: dict[Any, Callable[[Limits], Any]] = {}


def open_socket(family: int, address: Any, limits: Limits) -> socket.socket:
    """Return a TCP connection to one address; raises `OSError`."""
    if address in _stand_ins:
        return cast("socket.socket", _stand_ins[address](limits))
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(limits.left(limits.connect))
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def standing_in(address: tuple[str, int], connect: Callable[[Limits], Any]) -> Iterator[None]:
    """Let `connect` make this process's connections to one address, without a socket: for tests.

    What it returns has a socket's `send`, `recv_into`, `setblocking` and `close`, never blocks,
    and answers one request.
    """
    before = dict(_stand_ins)
    _stand_ins[address] = connect
    try:
        yield
    finally:
        _stand_ins.clear()
        _stand_ins.update(before)


def _proxy_headers(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
