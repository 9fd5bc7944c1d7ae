"""One HTTP exchange with the API: kept connections, no redirects, every wait and size bounded.

The adapter runs it for `requests`. It is on the standard library's `http.client`, because two
things must be certain that wrappers around it hide: whether a request left this machine whole, and
that a server which sends one byte a second is cut off. Nothing of the environment (`.netrc`,
proxies) is read.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPException, HTTPResponse

import certifi

from ..exceptions import ApiError, ConnectFailed, ReplyLost
from .connection import Address, Connection, Limits

__all__ = ["Reply", "Request", "Transport", "tls_context"]

MAX_BODY = 1024 * 1024
MAX_IDLE = 32
"""Connections kept for the next request, in each process."""
MAX_AGE = 55.0
"""Seconds that a connection is kept unused: what is in between forgets one soon after, silently."""
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Request:
    """One request. `body` is sent as it is read, and raises where it cannot be read whole."""

    method: str
    path: str
    limits: Limits
    headers: Mapping[str, str] = field(repr=False)
    body: Iterator[bytes] | None = field(default=None, repr=False)
    api_id: str = ""
    reads_success: bool = True
    """Whether a 2xx body is read."""


@dataclass(frozen=True)
class Reply:
    """What came back. `is_whole` is False where the body broke off or was over 1 MiB."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes = field(repr=False)
    is_whole: bool


@cache
def tls_context(ca_file: str = "") -> ssl.SSLContext:
    """Return this process's TLS context: certifi's roots, or those of `ca_file` instead.

    Made once, as it costs more than many requests.
    """
    return ssl.create_default_context(cafile=ca_file or certifi.where())


class Transport:
    """Connections to one address. Safe under threads, greenlets and after a fork."""

    def __init__(self, address: Address) -> None:
        self._address = address
        # A deque's pop and append are atomic: there is no lock that a fork could copy locked.
        self._idle: deque[Connection] = deque()

    def exchange(self, request: Request) -> Reply:
        """Send a request and return the reply, of any status.

        Raises `ConnectFailed` where the request did not go out whole and `ReplyLost` where it did
        and no reply came. A request with a body goes out once, on a new connection. One without
        is sent again, once, where the server had closed a kept connection without a word.
        """
        kept = None if request.body else self._kept()
        if kept is not None:
            try:
                return self._on(kept, request)
            except _Stale:
                pass
        return self._on(self._new(request), request)

    def close(self) -> None:
        """Close the kept connections. The transport can be used again."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> Connection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took it
                return None
            if _is_usable(connection):
                return connection
            connection.close()
        return None

    def _new(self, request: Request) -> Connection:
        connection = Connection(self._address, request.limits)
        try:
            connection.connect()
        except (OSError, HTTPException, ValueError) as error:
            connection.close()
            raise _not_sent(request, error) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _on(self, connection: Connection, request: Request) -> Reply:
        is_reusable = False
        try:
            connection.stream.restart(request.limits)
            reply, is_reusable = _exchange(connection, request)
        finally:
            # Whatever interrupted it (a time limit of the pool's, too), a connection in an
            # unknown state is never used again.
            if is_reusable and len(self._idle) < MAX_IDLE:
                connection.kept_at = time.monotonic()
                self._idle.append(connection)
            else:
                connection.close()
        return reply


def _is_usable(connection: Connection) -> bool:
    idle = time.monotonic() - (connection.kept_at or 0.0)
    # A forked child must not write to its parent's connection. A connection that can be read
    # from while nothing is asked has been closed, or holds bytes of nobody's.
    return connection.pid == os.getpid() and idle < MAX_AGE and not connection.stream.has_input()


class _Stale(Exception):  # noqa: N818
    """The server had closed a kept connection before anything of a reply came."""


def _exchange(connection: Connection, request: Request) -> tuple[Reply, bool]:
    cut_short = _send(connection, request)
    try:
        response = connection.getresponse()
    except (OSError, HTTPException, ValueError) as error:
        raise _no_reply(connection, request, cut_short or error, bool(cut_short)) from None
    with closing(response):
        if cut_short is not None and response.status >= 500:
            # A gateway that fails during the upload has not passed a whole request on.
            raise _not_sent(request, cut_short)
        reply = _reply(response, request)
        return reply, reply.is_whole and cut_short is None and not response.will_close


def _reply(response: HTTPResponse, request: Request) -> Reply:
    headers = {name.lower(): value for name, value in response.getheaders()}
    if response.status < 300 and not request.reads_success:
        return Reply(response.status, headers, b"", is_whole=False)
    body, is_whole = _read(response)
    return Reply(response.status, headers, _decoded(body, headers), is_whole)


def _send(connection: Connection, request: Request) -> OSError | None:
    """Send a request. Return the error that stopped it on the way, None where it went out whole."""
    try:
        connection.putrequest(request.method, request.path, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders()
    except OSError as error:
        return error
    except ValueError as error:  # of a header that whatever instruments the session has added
        raise _not_sent(request, error) from error
    return _send_body(connection, request)


def _send_body(connection: Connection, request: Request) -> OSError | None:
    for chunk in request.body or ():
        try:
            connection.send(chunk)
        except OSError as error:
            return error
    return None


def _no_reply(
    connection: Connection, request: Request, error: Exception, is_cut_short: bool
) -> Exception:
    is_silent = connection.stream.received == 0 and not isinstance(error, TimeoutError)
    if connection.kept_at is not None and is_silent and request.body is None:
        return _Stale()
    return _not_sent(request, error) if is_cut_short else _reply_lost(request, error)


def _read(response: HTTPResponse) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    size = 0
    try:
        while size <= MAX_BODY and (part := response.read1(CHUNK)):
            parts.append(part)
            size += len(part)
    except (OSError, HTTPException, ValueError):
        return b"".join(parts), False
    is_whole = size <= MAX_BODY and not response.length
    return b"".join(parts)[:MAX_BODY], is_whole


def _decoded(body: bytes, headers: Mapping[str, str]) -> bytes:
    # "identity" was asked for; a proxy that compresses all the same must not hide a bought id.
    if "gzip" not in headers.get("content-encoding", "").lower():
        return body
    try:
        return zlib.decompressobj(wbits=31).decompress(body, MAX_BODY)
    except zlib.error:
        return b""


def _not_sent(request: Request, error: Exception) -> ApiError:
    message = f"The request did not reach the API: {_cause(error)}. Nothing was bought by it."
    return ConnectFailed(message, request.api_id)


def _reply_lost(request: Request, error: Exception) -> ApiError:
    message = f"The request went out and no whole reply came: {_cause(error)}."
    return ReplyLost(message, request.api_id)


_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "the host's name did not resolve"),
    (ssl.SSLCertVerificationError, "the TLS certificate is not trusted"),
    (ssl.SSLError, "TLS failed"),
    (ConnectionRefusedError, "the connection was refused"),
    (TimeoutError, "it took too long"),
    (ConnectionError, "the connection broke"),
)


def _cause(error: Exception) -> str:
    # By class: the text of an HTTPException quotes the remote side.
    words = next((words for cls, words in _CAUSES if isinstance(error, cls)), "")
    return words or type(error).__name__
