"""No server, however slow or talkative, holds a request longer or feeds it more than its limits."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from seedance_celery.client import Client
from seedance_celery.exceptions import (
    ApiError,
    BrokenReply,
    ConnectFailed,
    OutcomeUnknown,
    ReplyLost,
)

from .scripted_server import Peer, Received, ScriptedServer, reply, video

KEY = "sk-test0123456789"
PNG = b"\x89PNG\r\n\x1a\n"


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def error_of(client: Client) -> ApiError:
    with pytest.raises(ApiError) as caught:
        client.retrieve("a")
    return caught.value


def trickle_headers(peer: Peer, received: Received) -> None:
    peer.trickle(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 1000)


def trickle_continues(peer: Peer, received: Received) -> None:
    peer.trickle(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 0.01)


def trickle_body(peer: Peer, received: Received) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    peer.trickle(b" " * 9999)


def trickle_chunks(peer: Peer, received: Received) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.trickle(b"1\r\n \r\n" * 1000)


SLOW = [trickle_headers, trickle_continues, trickle_body, trickle_chunks]


@pytest.mark.parametrize("script", SLOW)
def test_trickling_server_is_cut_off_at_the_total(script: Callable[..., None]) -> None:
    with (
        ScriptedServer(script) as server,
        Client(KEY, server.url, (5, 5), total=0.5) as client,
        within(2),
    ):
        assert type(error_of(client)) is ReplyLost


@pytest.mark.parametrize("script", SLOW)
def test_trickling_server_is_cut_off_for_a_create(script: Callable[..., None]) -> None:
    with ScriptedServer(script) as server:
        client = Client(KEY, server.url, (5, 5), create_timeout=0.5)
        with within(2), pytest.raises(OutcomeUnknown):
            client.create("x")


def test_total_is_the_sum_of_connect_and_read_by_default() -> None:
    with (
        ScriptedServer(trickle_body) as server,
        Client(KEY, server.url, (0.2, 0.3)) as client,
        within(2),
    ):
        assert type(error_of(client)) is ReplyLost


def test_silence_is_cut_off_at_the_read_timeout() -> None:
    with (
        ScriptedServer(lambda peer, _: peer.hang()) as server,
        Client(KEY, server.url, (5, 0.3)) as client,
        within(2),
    ):
        assert type(error_of(client)) is ReplyLost


def test_slow_reader_of_an_upload_is_cut_off_at_the_total() -> None:
    def sip(peer: Peer) -> None:
        while not peer.stopping.wait(0.05):
            peer.sock.recv(1000)

    with ScriptedServer(lambda peer, _: None, on_connect=sip) as server:
        client = Client(KEY, server.url, create_timeout=0.5)
        with within(3), pytest.raises(ConnectFailed):
            client.create("x", images=[io.BytesIO(PNG + bytes(30_000_000))])


def test_slow_image_file_counts_towards_the_total() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            threading.Event().wait(0.05)
            return super().read(100)

    with ScriptedServer(lambda peer, _: peer.send(reply(video()))) as server:
        client = Client(KEY, server.url, create_timeout=0.5)
        with within(5), pytest.raises(ConnectFailed):
            client.create("x", images=[Slow(PNG + bytes(100_000))])
    assert server.requests == []


def test_host_that_does_not_answer_is_given_up_at_the_connect_timeout() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(4):  # fills the queue, so that the next connection gets no answer
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        client = Client(KEY, f"http://127.0.0.1:{address[1]}", (0.3, 5))
        with within(3):
            assert type(error_of(client)) is ConnectFailed


def test_time_spent_on_a_dead_kept_connection_counts_towards_the_total() -> None:
    answered: list[Received] = []

    def script(peer: Peer, received: Received) -> None:
        if received in answered:
            return
        answered.append(received)
        if peer.connection == 1 and len(answered) > 1:
            peer.stopping.wait(0.4)
            peer.close()
        elif peer.connection == 1:
            peer.send(reply(video()))
        else:
            peer.hang()

    with ScriptedServer(script) as server, Client(KEY, server.url, (5, 5), total=0.6) as client:
        client.retrieve("a")
        with within(0.95):
            assert type(error_of(client)) is ReplyLost


# Too much of it.


def flood(head: bytes, piece: bytes) -> Callable[[Peer, Received], None]:
    def script(peer: Peer, received: Received) -> None:
        peer.send(head)
        while not peer.stopping.is_set():
            peer.send(piece * 1000)

    return script


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("head", "piece", "cls"),
    [
        (OK + b"Content-Length: 99999999999\r\n\r\n", b'{"a":1}', BrokenReply),
        (OK + b"\r\n", b" ", BrokenReply),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"40\r\n" + b" " * 64 + b"\r\n", BrokenReply),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", ReplyLost),
        (OK, b"X-Many: headers\r\n", ReplyLost),
        (OK + b"X-Long: ", b"x", ReplyLost),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", ReplyLost),
        (b"HTTP/1.1 ", b"2", ReplyLost),
    ],
)
def test_endless_reply_is_cut_off_by_size(head: bytes, piece: bytes, cls: type[Any]) -> None:
    with ScriptedServer(flood(head, piece)) as server, Client(KEY, server.url) as client, within(5):
        assert type(error_of(client)) is cls


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 -20 OK\r\n\r\n",
        OK + b"Content-Length: -5\r\n\r\n{}",
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        OK + b": \r\n no name\r\n\x00\xff: x\r\n\r\n",
        reply(video())[:-1],
        reply(video())[:30],
        bytes(range(256)) * 20,
    ],
)
def test_malformed_reply_is_one_typed_error(data: bytes) -> None:
    def script(peer: Peer, received: Received) -> None:
        peer.send(data)
        peer.close()

    with ScriptedServer(script) as server, Client(KEY, server.url, (2, 2)) as client:
        assert isinstance(error_of(client), ReplyLost | BrokenReply)


def test_reset_in_the_middle_of_a_body_is_a_lost_reply() -> None:
    def script(peer: Peer, received: Received) -> None:
        peer.send(reply(video())[:-5])
        peer.reset()

    with ScriptedServer(script) as server, Client(KEY, server.url, (2, 2)) as client:
        assert type(error_of(client)) is ReplyLost
