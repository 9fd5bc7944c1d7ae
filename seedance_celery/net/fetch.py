"""One GET of a file from an address that others chose.

On `http.client`, like the API's transport, and on a connection made for this one request: there is
no session that could add a key, a cookie, `.netrc` or a proxy, and no layer that quotes the URL
anew, which breaks some signatures. Redirects are followed here, each hop judged like the first.
The one exception is the API's own address, where the first request may carry the key: that address
is the project's choice and is not judged, and no redirect takes the key along.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, cast
from urllib.parse import quote, urljoin, urlsplit

from ..api.base_url import USER_AGENT
from ..exceptions import AddressRefused, DownloadInterrupted
from .addresses import Endpoint, resolve
from .connection import FinalResponse, Limits, Stream, open_socket

__all__ = ["Body", "Pace", "Route", "fetch"]

CHUNK = 256 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class Pace:
    """Judges how fast a host sends, by the time spent waiting for it.

    Raises TimeoutError when less than `min_rate` bytes a second came during `window` seconds of
    waiting. The time that the storage takes is not the host's and does not count.
    """

    def __init__(self, min_rate: float, window: float) -> None:
        self._min_rate = min_rate
        self._window = window
        self._waited = 0.0
        self._received = 0

    def count(self, received: int, waited: float) -> None:
        """Take note of `received` bytes that came after `waited` seconds."""
        self._received += received
        self._waited += waited
        if self._waited < self._window:
            return
        if self._received < self._min_rate * self._waited:
            raise TimeoutError("the host sends too slowly")
        self._waited, self._received = 0.0, 0


@dataclass(frozen=True)
class Route:
    """How a download may travel."""

    limits: Limits
    min_rate: float
    """Bytes a second, below which a host is given up."""
    window: float
    """Seconds of waiting over which the rate is judged."""
    redirects: int
    allow_loopback: bool
    tls: ssl.SSLContext = field(repr=False)
    own_headers: Mapping[str, str] | None = field(default=None, repr=False)
    """Headers for the API's own address, which the URL then is. No redirect carries them on."""


class Body:
    """A reply whose body is read as it comes."""

    def __init__(
        self, response: HTTPResponse, connection: _Connection, *, is_redirected: bool = False
    ) -> None:
        self.status = response.status
        self.host = connection.host
        self.is_redirected = is_redirected
        """Whether it comes from elsewhere than the URL says."""
        self.length = response.length
        """Bytes that the body has by its `Content-Length`; None where there is none."""
        self.is_framed = response.chunked or response.length is not None
        """Whether the end of the body can be told from a lost connection."""
        self._response = response
        self._connection = connection

    def header(self, name: str) -> str:
        """Return a header's value without white space around it; empty where it is not there."""
        return (self._response.getheader(name) or "").strip()

    def headers(self) -> dict[str, str]:
        """Return all headers by lower-case name."""
        return {name.lower(): value for name, value in self._response.getheaders()}

    def start(self, size: int) -> bytes:
        """Return about the first `size` bytes of a body, for what is not a file; never raises."""
        start = b""
        with suppress(DownloadInterrupted):
            for piece in self:
                start += piece
                if len(start) >= size:
                    break
        return start[:size]

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body as it comes. Raises `DownloadInterrupted` where it breaks off."""
        left = self.length
        while left != 0:
            chunk = self._read(CHUNK if left is None else min(CHUNK, left))
            if left is not None:
                left -= len(chunk)
            if not chunk and left:
                raise interrupted(self.host, "the connection was closed")
            if not chunk:
                return
            yield chunk

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._connection.close()

    def _read(self, size: int) -> bytes:
        try:
            return self._response.read1(size)
        except (OSError, HTTPException, ValueError) as error:
            raise interrupted(self.host, _cause(error)) from None


def fetch(url: str, headers: Mapping[str, str], route: Route) -> Body:
    """Send a GET, follow redirects and return the reply, of any other status. Close it.

    Raises `AddressRefused` for a URL or redirect that may not be followed and
    `DownloadInterrupted` where no reply came.
    """
    for hop in range(route.redirects + 1):
        body = _exchange(url, headers, route, is_redirected=hop > 0)
        if body.status not in REDIRECTS:
            return body
        body.close()
        url = _next_url(url, body)
    raise AddressRefused("The URL is redirected too many times.", body.host, body.status)


def interrupted(host: str, cause: str) -> DownloadInterrupted:
    """Return the error for a download that broke off."""
    return DownloadInterrupted(f"The download from {host} broke off: {cause}.", host)


def _cause(error: Exception) -> str:
    # By class: the text of an HTTPException may quote the URL or the remote side.
    if isinstance(error, TimeoutError):
        return "it took too long"
    return type(error).__name__


def _next_url(url: str, body: Body) -> str:
    # http.client reads headers as Latin-1; a URL that is not ASCII is UTF-8 in practice.
    location = body.header("location").encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        target = urljoin(url, location)
    except ValueError:
        target = ""
    if not location or not target:
        raise AddressRefused("A redirect leads nowhere.", body.host, body.status)
    if url[:6].lower() == "https:" and target[:6].lower() != "https:":
        raise AddressRefused("A redirect leaves https.", body.host, body.status)
    return target


def _exchange(url: str, headers: Mapping[str, str], route: Route, *, is_redirected: bool) -> Body:
    host, port, is_secure, path = _parts(url)
    own = None if is_redirected else route.own_headers
    sent = {"User-Agent": USER_AGENT, **headers, **(own or {})}
    connection: _Connection | None = None
    try:
        endpoints = resolve(
            host, port, allow_loopback=route.allow_loopback, allow_private=own is not None
        )
        connection = _Connection(host, port, is_secure, endpoints, route)
        connection.request("GET", path, headers=sent)
        return Body(connection.getresponse(), connection, is_redirected=is_redirected)
    except (OSError, HTTPException, ValueError) as error:
        _close(connection)
        raise interrupted(host, _cause(error)) from None
    except BaseException:
        _close(connection)
        raise


def _close(connection: HTTPConnection | None) -> None:
    if connection is not None:
        connection.close()


def _parts(url: str) -> tuple[str, int, bool, str]:
    """Split a URL into host, port, whether it is https, and what is asked for, byte for byte."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise AddressRefused("The URL is not an http(s) address.")
    is_secure = parts.scheme == "https"
    asked = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # Only what cannot stand in a request line is quoted; what is quoted already stays as it is.
    return host, port or (443 if is_secure else 80), is_secure, quote(asked, safe=PRINTABLE)


class _Connection(HTTPConnection):
    """A connection to one of the endpoints that were judged; the name is for TLS and `Host`."""

    auto_open = 0
    response_class = FinalResponse

    def __init__(
        self, host: str, port: int, is_secure: bool, endpoints: Sequence[Endpoint], route: Route
    ) -> None:
        self.default_port = 443 if is_secure else 80
        super().__init__(host, port)
        self.stream = self._connected(endpoints, route)
        # http.client uses only sendall, makefile and close of a socket.
        self.sock = cast("socket.socket", self.stream)
        try:
            if is_secure:
                self.stream.start_tls(route.tls, host)
        except BaseException:
            self.close()
            raise
        self.stream.restart(route.limits)

    @staticmethod
    def _connected(endpoints: Sequence[Endpoint], route: Route) -> _PacedStream:
        failure: OSError = OSError("no endpoint")
        for family, address in endpoints:
            try:
                return _PacedStream(open_socket(family, address, route.limits), route)
            except OSError as error:
                failure = error
        raise failure


class _PacedStream(Stream):
    """A stream of any length, cut off when too little comes."""

    def __init__(self, sock: socket.socket, route: Route) -> None:
        super().__init__(sock, route.limits)
        self._route = route
        self._pace = Pace(route.min_rate, route.window)

    def receive_into(self, buffer: Any) -> int:
        """Read what is there into the buffer; 0 at the end."""
        # A host that is always ready is never waited for: the time must be looked at here, too.
        self._route.limits.left(self._route.limits.read)
        began = time.monotonic()
        received = super().receive_into(buffer)
        # The API's replies have a limit of their own; a file's is the caller's to keep.
        self.received = 0
        self._pace.count(received, time.monotonic() - began)
        return received
