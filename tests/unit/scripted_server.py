"""A tiny HTTP server for the client's tests: real sockets, and a script that may misbehave."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeAlias

__all__ = ["Peer", "Received", "Script", "ScriptedServer", "reply", "video"]


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """Which connection it came on, counted from 1."""


@dataclass
class Peer:
    """The other end of one connection, for a script to use."""

    sock: socket.socket
    stopping: threading.Event
    connection: int
    is_closed: bool = field(default=False, init=False)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def trickle(self, data: bytes, interval: float = 0.05) -> None:
        """Send one byte at a time, until all is sent, the client goes or the server stops."""
        for index in range(len(data)):
            if self.stopping.wait(interval):
                return
            self.sock.sendall(data[index : index + 1])

    def hang(self) -> None:
        """Say nothing until the server stops."""
        self.stopping.wait()

    def close(self) -> None:
        """End the connection in good order."""
        self.is_closed = True
        self.sock.close()

    def reset(self) -> None:
        """End the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


Script: TypeAlias = Callable[[Peer, Received], None]


def reply(
    body: Any = b"", status: int = 200, headers: dict[str, str] | None = None, **framing: Any
) -> bytes:
    """Return a whole reply: bytes as they are, other values as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    fields.update(headers or {}, **framing)
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + content


def video(api_id: str = "task_1", **fields: Any) -> dict[str, Any]:
    """Return a video object."""
    return {"id": api_id, "object": "video", "status": "in_progress", "progress": 30, **fields}


class ScriptedServer:
    """Listens on an ephemeral port of the loopback address and plays `script` for each request.

    `on_connect` is played first on each connection, before anything is read.
    """

    def __init__(
        self,
        script: Script,
        *,
        tls: ssl.SSLContext | None = None,
        on_connect: Callable[[Peer], None] | None = None,
        keeps_bodies: bool = True,
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._script = script
        self._tls = tls
        self._on_connect = on_connect
        self._keeps_bodies = keeps_bodies
        self._stopping = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        scheme, host = ("https", "localhost") if self._tls else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}"

    def __enter__(self) -> ScriptedServer:
        self._start(self._accept)
        return self

    def __exit__(self, *args: object) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            _shut(sock)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            self._start(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, number: int) -> None:
        peer = Peer(sock, self._stopping, number)
        try:
            self._converse(peer)
        except (OSError, ValueError):
            pass  # the client went away
        finally:
            peer.sock.close()

    def _converse(self, peer: Peer) -> None:
        if self._tls:
            peer.sock = self._tls.wrap_socket(peer.sock, server_side=True)
            self._open.append(peer.sock)
        if self._on_connect:
            self._on_connect(peer)
        with peer.sock.makefile("rb") as stream:
            while not (peer.is_closed or self._stopping.is_set()) and (
                received := _read(stream, peer.connection, self._keeps_bodies)
            ):
                self.requests.append(received)
                self._script(peer, received)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _read(stream: BinaryIO, connection: int, keeps_bodies: bool) -> Received | None:
    """Return the next whole request, or None where the client went before it was whole."""
    line = stream.readline().decode("latin-1")
    if not line:
        return None
    method, path, _ = line.split(" ", 2)
    headers: dict[str, str] = {}
    while (field_line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = field_line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    left = int(headers.get("content-length", "0"))
    body = b""
    while left and (chunk := stream.read(min(left, 65536))):
        left -= len(chunk)
        body += chunk if keeps_bodies else b""
    return None if left else Received(method, path, headers, body, connection)
