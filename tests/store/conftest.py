"""Fixtures of the tests that keep files."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme

from seedance_celery.net.download import Download, DownloadLimits
from seedance_celery.testing import Seedance

QUICK = {"connect": 5.0, "read": 5.0, "total": 20.0, "pause": 0.0}

NewDownload = Callable[..., Download]


@pytest.fixture
def kit(transactional_db: None) -> Iterator[Seedance]:
    """Run tasks, and serve the simulator's files on a port of this machine."""
    with Seedance(http=True) as seedance:
        yield seedance


@pytest.fixture
def new_download() -> NewDownload:
    """Make downloads from this machine that do not wait between attempts."""

    def make(url: str, **options: Any) -> Download:
        tls, allow_loopback = options.pop("tls", None), options.pop("allow_loopback", True)
        limits = DownloadLimits(**(QUICK | options))
        return Download(url, limits, allow_loopback=allow_loopback, tls=tls)

    return make


@dataclass
class Network:
    """Names, and public addresses that lead to servers of this machine."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    """For each name what the look-ups answer in turn; the last answer stays."""
    routes: dict[str, int] = field(default_factory=dict)
    """From an address to a local port."""
    connected: list[str] = field(default_factory=list)
    """The addresses that a connection was tried to."""
    lookups: list[str] = field(default_factory=list)

    def answer(self, name: str) -> list[str]:
        self.lookups.append(name)
        answers = self.names[name]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """Replace the resolver and the way out; nothing leaves this machine."""
    made = Network()
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def getaddrinfo(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        addresses = made.answer(host) if host in made.names else [host]
        return [found for ip in addresses for found in look_up(ip, port, *args, **options)]

    def connect_locally(self: socket.socket, address: Any) -> None:
        made.connected.append(address[0])
        if address[0] in made.routes:
            address = ("127.0.0.1", made.routes[address[0]])
        if address[0] != "127.0.0.1":
            raise OSError("no way out")
        connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", connect_locally)
    return made


@dataclass(frozen=True)
class Authority:
    """Both ends of TLS, for `localhost` and `files.example.com`."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Make a certificate authority of our own."""
    root = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    root.issue_cert("localhost", "files.example.com").configure_cert(server)
    client = ssl.create_default_context()
    root.configure_trust(client)
    return Authority(server, client)
