"""The API that the workers ask: the simulator in a process of its own, over HTTP and HTTPS.

Its videos stay in progress at 30 %: most polls of a real render find nothing new.
"""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import certifi
import requests
import trustme

from seedance_celery.client import Client
from seedance_celery.simulator import SimulatorApp, SimulatorServer
from seedance_celery.simulator.state import Render
from tests.harness.processes import Process

KEY = "sk-benchmark"


class TlsServer(SimulatorServer):
    """Serves the app over TLS. Each connection's handshake is made in its own thread."""

    def __init__(self, app: SimulatorApp, context: ssl.SSLContext) -> None:
        super().__init__(app)
        self.context = context

    @property
    def url(self) -> str:
        return super().url.replace("http://", "https://")

    def start(self) -> SimulatorServer:
        super().start()
        self._server.socket = self.context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        return self


def serve(folder: str, count: int) -> None:
    """Serve until the standard input ends; print the addresses and the videos as JSON."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    roots = Path(folder, "roots.pem")
    roots.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
    app = SimulatorApp(render=Render(queued=0, seconds=1e9, steps=(30,)))
    with SimulatorServer(app) as plain, TlsServer(app, context) as secure:
        with Client(KEY, plain.url) as client:
            ids = [client.create("A kite", seconds=5).id for _ in range(count)]
        print(json.dumps({"http": plain.url, "https": secure.url, "ids": ids}), flush=True)
        sys.stdin.read()


class Api:
    """The API's process: its addresses by scheme, and the ids of its videos."""

    def __init__(self, process: Process, folder: Path) -> None:
        said: dict[str, Any] = json.loads(process.stdout.readline())
        self.urls: dict[str, str] = {"http": said["http"], "https": said["https"]}
        self.ids: list[str] = said["ids"]
        self.roots = folder / "roots.pem"

    def polls(self) -> int:
        """Return how many polls it has answered."""
        counts = requests.get(f"{self.urls['http']}/_simulator/", timeout=10).json()["counts"]
        return int(counts.get("retrieve", 0))


@contextmanager
def running(folder: Path, env: dict[str, str], count: int) -> Iterator[Api]:
    """Run the API with so many videos."""
    command = [sys.executable, "-m", "benchmarks.api", str(folder), str(count)]
    process = Process(command, env, folder / "api.log", piped=True)
    try:
        yield Api(process, folder)
    finally:
        process.kill()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
