"""TLS: whom it leads to is checked, and its limits hold within a handshake and a record."""

from __future__ import annotations

import io
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from seedance_celery.client import Client
from seedance_celery.exceptions import ConnectFailed, ReplyLost
from seedance_celery.net.transport import tls_context

from .scripted_server import Peer, Received, ScriptedServer, reply, video

KEY = "sk-test0123456789"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def server_context(authority: trustme.CA, host: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


def answer(peer: Peer, received: Received) -> None:
    peer.send(reply(video()))


def test_polls_over_tls_use_one_connection(authority: trustme.CA, ca_file: str) -> None:
    with (
        ScriptedServer(answer, tls=server_context(authority)) as server,
        Client(KEY, server.url, (5, 5), ca_file=ca_file) as client,
    ):
        for _ in range(5):
            assert client.retrieve("a").status == "in_progress"
    assert server.connections == 1
    assert server.requests[0].headers["host"] == f"localhost:{server.port}"


def test_large_upload_and_reply_over_tls(authority: trustme.CA, ca_file: str) -> None:
    def script(peer: Peer, received: Received) -> None:
        peer.send(reply(video("task_9", padding="x" * 500_000)))

    image = io.BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(5_000_000))
    with (
        ScriptedServer(script, tls=server_context(authority)) as server,
        Client(KEY, server.url, (5, 5), ca_file=ca_file) as client,
    ):
        assert client.create("x", images=[image]).id == "task_9"


def test_server_with_an_unknown_certificate_gets_no_key(authority: trustme.CA) -> None:
    with ScriptedServer(answer, tls=server_context(authority)) as server:
        for ask in (Client.retrieve, Client.create):
            with pytest.raises(ConnectFailed, match="not trusted"):
                ask(Client(KEY, server.url, (5, 5)), "a")
    assert server.requests == []


def test_certificate_of_another_host_is_refused(authority: trustme.CA, ca_file: str) -> None:
    with (
        ScriptedServer(answer, tls=server_context(authority, "other.example")) as server,
        pytest.raises(ConnectFailed, match="not trusted"),
    ):
        Client(KEY, server.url, (5, 5), ca_file=ca_file).retrieve("a")
    assert server.requests == []


def speak_plain(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 400 this is no TLS\r\n\r\n")


def stay_silent(peer: Peer) -> None:
    peer.hang()


def leave(peer: Peer) -> None:
    peer.close()


@pytest.mark.parametrize("behave", [speak_plain, stay_silent, leave])
def test_handshake_that_fails_bought_nothing(behave: Callable[[Peer], None]) -> None:
    with ScriptedServer(answer, on_connect=behave) as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        with pytest.raises(ConnectFailed):
            Client(KEY, url, (0.5, 5)).create("x")
    assert server.requests == []


class SlowTls:
    """The server's end of TLS by hand, so that one record can be sent a byte at a time."""

    def __init__(self, peer: Peer, context: ssl.SSLContext) -> None:
        self._peer = peer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def until_done(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._peer.send(self._outgoing.read())
                self._incoming.write(self._peer.sock.recv(65536))
            else:
                self._peer.send(self._outgoing.read())
                return done

    def serve(self) -> None:
        self.until_done(self._tls.do_handshake)
        self.until_done(lambda: self._tls.read(65536))
        self._tls.write(reply(video(padding="x" * 5000)))
        self._peer.trickle(self._outgoing.read())


def slow_server(context: ssl.SSLContext) -> ScriptedServer:
    return ScriptedServer(answer, on_connect=lambda peer: SlowTls(peer, context).serve())


def assert_trickled_record_is_cut_off(context: ssl.SSLContext, ca_file: str) -> None:
    with slow_server(context) as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        client = Client(KEY, url, (5, 5), total=0.7, ca_file=ca_file)
        began = time.monotonic()
        with pytest.raises(ReplyLost):
            client.retrieve("a")
        assert time.monotonic() - began < 2


def test_record_that_trickles_is_cut_off(authority: trustme.CA, ca_file: str) -> None:
    assert_trickled_record_is_cut_off(server_context(authority), ca_file)


GEVENT = """
from gevent import monkey; monkey.patch_all()
import pathlib, sys, trustme
from tests.unit import test_client_tls as tests
authority = trustme.CA()
authority.cert_pem.write_to_path(sys.argv[1])
tests.assert_trickled_record_is_cut_off(tests.server_context(authority), sys.argv[1])
tests.test_large_upload_and_reply_over_tls(authority, sys.argv[1])
tests.test_polls_over_tls_use_one_connection(authority, sys.argv[1])
"""


def test_tls_holds_its_limits_under_gevent(tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    arguments = [sys.executable, "-c", GEVENT, str(tmp_path / "ca.pem")]
    subprocess.run(arguments, check=True, timeout=60)


@pytest.fixture
def fresh_contexts() -> Iterator[None]:
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


def test_tls_context_is_made_once_for_many_clients(fresh_contexts: None) -> None:
    for _ in range(5):
        Client(KEY)
    assert tls_context.cache_info().misses == 1


def test_context_checks_certificates_and_names() -> None:
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
