"""The simulator behind a socket: a threading HTTP/1.1 server that can also misbehave on purpose."""

from __future__ import annotations

import io
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, BinaryIO, cast
from urllib.parse import unquote_to_bytes

from .app import WIRE_HOOK, SimulatorApp
from .exchange import LARGEST_BODY, Outcome, RequestBody, read_chunked

__all__ = ["RESET", "Handler", "SimulatorServer"]

RESET = struct.pack("ii", 1, 0)
"""The value of `SO_LINGER` with which closing resets the connection."""
_LARGEST_REST = 1024**2


class SimulatorServer:
    """Serves a `SimulatorApp` on `url`, in a daemon thread; a context manager.

    Port 0 takes a free one, and keeps it: after `stop`, `start` serves the same app at the same
    address again. `keep_alive` is how long an idle connection is kept, in seconds.
    """

    def __init__(
        self,
        app: SimulatorApp | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keep_alive: float = 75,
    ) -> None:
        self.app = app or SimulatorApp()
        self.host = host
        self.port = port
        self._keep_alive = keep_alive
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Return the address without a path, such as `http://127.0.0.1:8765`."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> SimulatorServer:
        """Listen, and serve in a daemon thread; raises `OSError` when the port is taken."""
        self._server = _Server((self.host, self.port), self.app, self._keep_alive)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Release the port and break every connection; silent when it is not running."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server.break_connections()
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> SimulatorServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], app: SimulatorApp, keep_alive: float) -> None:
        self.app = app
        self.keep_alive = keep_alive
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server for our own name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        # A FIN would go out before the RST.
        lingers = request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == RESET
        if lingers:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def break_connections(self) -> None:
        """End what the handlers wait for."""
        self.stopping.set()
        with self._connections_lock:
            for connection in self._connections:
                _shut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show the error of a scenario, but not that a client went away."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class Handler(BaseHTTPRequestHandler):
    """One connection: hands each request to the app, and sends what it says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    connection: socket.socket

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.keep_alive)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay silent: the app counts."""

    def do_GET(self) -> None:
        """Answer any method through the app."""
        body = self._body()
        if body is None:
            self.close_connection = True
            return
        outcome = Outcome()
        chunks = self.server.app(self._environ(body, outcome), outcome.start_response)
        try:
            self.send(outcome, chunks)
        except OSError:
            self.close_connection = True
        finally:
            self._drain(body)

    do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    # The request.

    def _body(self) -> RequestBody | None:
        """Return the body as a stream; None when it cannot be read."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return read_chunked(cast("BinaryIO", self.rfile))
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            return None
        return RequestBody(cast("BinaryIO", self.rfile), int(length))

    def _environ(self, body: RequestBody, outcome: Outcome) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": self.request_version,
            "SERVER_NAME": self.server.server_name,
            "SERVER_PORT": str(self.server.server_port),
            "REMOTE_ADDR": str(self.client_address[0]),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(body.left),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": body,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            WIRE_HOOK: outcome.take_wire,
        }
        skipped = ("content-type", "content-length")
        for name, value in self.headers.items():
            if name.lower() not in skipped:
                environ["HTTP_" + name.upper().replace("-", "_")] = value
        return environ

    def _drain(self, body: RequestBody) -> None:
        """Read what the app left, so that the connection can be used again."""
        if not self.close_connection and body.left <= _LARGEST_REST:
            body.read()
        if body.left:
            self.close_connection = True

    # The reply.

    def send(self, outcome: Outcome, chunks: Iterable[bytes]) -> None:
        """Send the reply."""
        for _ in self.sending(outcome, chunks):
            pass

    def sending(self, outcome: Outcome, chunks: Iterable[bytes]) -> Iterator[None]:
        """Send the reply piece by piece: each step writes one."""
        wire = outcome.wire
        if wire.silence:
            self.pause(wire.silence)
        if wire.interim:
            self._send_interim(wire.interim)
        if wire.head:
            self._send_head(outcome)
            yield
            yield from self._send_body(outcome, chunks)
        if wire.end != "keep":
            self.close_connection = True
        if wire.end == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def _send_interim(self, status: int) -> None:
        self.send_response_only(status)
        self.send_header("Link", "</>; rel=preload")
        BaseHTTPRequestHandler.end_headers(self)

    def _send_head(self, outcome: Outcome) -> None:
        code, _, reason = outcome.status.partition(" ")
        self.send_response_only(int(code), reason)
        for name, value in outcome.headers:
            self.send_header(name, value)
        if outcome.is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif outcome.length is None:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send_body(self, outcome: Outcome, chunks: Iterable[bytes]) -> Iterator[None]:
        sent = 0
        if self.command != "HEAD":
            for chunk in chunks:
                sent += len(chunk)
                self._send_chunk(chunk, outcome)
                yield
        if outcome.is_chunked:
            self.wfile.write(b"0\r\n\r\n")
        elif self.command != "HEAD" and sent != outcome.length:
            self.close_connection = True

    def _send_chunk(self, chunk: bytes, outcome: Outcome) -> None:
        if outcome.wire.pace:
            for byte in chunk:
                self._write(bytes([byte]), chunked=outcome.is_chunked)
                self.pause(outcome.wire.pace)
        else:
            self._write(chunk, chunked=outcome.is_chunked)

    def _write(self, data: bytes, *, chunked: bool) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the client or the server does; raises `OSError` then."""
        ends = time.monotonic() + seconds
        self.connection.settimeout(seconds)
        try:
            waiting = self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return
        finally:
            self.connection.settimeout(self.server.keep_alive)
        if not waiting or self.server.stopping.wait(max(0, ends - time.monotonic())):
            raise ConnectionAbortedError
