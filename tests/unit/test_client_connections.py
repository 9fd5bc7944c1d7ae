"""Kept connections: one for many polls, none shared across a fork or two users at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from seedance_celery.client import Client
from seedance_celery.exceptions import ApiError, ReplyLost
from seedance_celery.net import transport

from .scripted_server import Peer, Received, ScriptedServer, reply, video

KEY = "sk-test0123456789"


def answer(peer: Peer, received: Received) -> None:
    """Answer with the id that was asked for."""
    peer.send(reply(video(model=received.path.rpartition("/")[2])))


def client_of(server: ScriptedServer, **options: Any) -> Client:
    return Client(KEY, server.url, (2, 2), **options)


def test_many_polls_use_one_connection() -> None:
    with ScriptedServer(answer) as server, client_of(server) as client:
        for _ in range(20):
            client.retrieve("a")
    assert len(server.requests) == 20
    assert server.connections == 1


def test_errors_with_a_whole_body_keep_the_connection() -> None:
    def refuse(peer: Peer, received: Received) -> None:
        peer.send(reply({"message": "no"}, 500))

    with ScriptedServer(refuse) as server, client_of(server) as client:
        for _ in range(3):
            with pytest.raises(ApiError):
                client.retrieve("a")
    assert server.connections == 1


def test_chunked_replies_keep_the_connection() -> None:
    data = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'10\r\n{"id":"a","statu\r\nb\r\ns":"queued"\r\n1\r\n}\r\n0\r\n\r\n'
    )

    def chunked(peer: Peer, received: Received) -> None:
        peer.send(data)

    with ScriptedServer(chunked) as server, client_of(server) as client:
        for _ in range(3):
            assert client.retrieve("a").status == "queued"
    assert server.connections == 1


@pytest.mark.parametrize(
    "data",
    [
        reply(video(), headers={"Connection": "close"}),
        reply(video()).replace(b"HTTP/1.1", b"HTTP/1.0"),
        b"HTTP/1.1 200 OK\r\n\r\n" + reply(video()).partition(b"\r\n\r\n")[2],
    ],
)
def test_reply_that_ends_its_connection_is_read_and_the_next_uses_another(data: bytes) -> None:
    def last(peer: Peer, received: Received) -> None:
        peer.send(data)
        peer.close()

    with ScriptedServer(last) as server, client_of(server) as client:
        for _ in range(3):
            assert client.retrieve("a").status == "in_progress"
    assert server.connections == 3


def test_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    def answer_once(peer: Peer, received: Received) -> None:
        answer(peer, received)
        peer.close()

    with ScriptedServer(answer_once) as server, client_of(server) as client:
        for _ in range(5):
            assert client.retrieve("a").model == "a"
    assert len(server.requests) == 5


def only_first(finish: Callable[[Peer], None]) -> Callable[[Peer, Received], None]:
    """Answer the first request of a connection, and finish at the second."""
    seen: set[int] = set()

    def script(peer: Peer, received: Received) -> None:
        if peer.connection in seen:
            finish(peer)
        else:
            seen.add(peer.connection)
            answer(peer, received)

    return script


@pytest.mark.parametrize("finish", [Peer.close, Peer.reset])
def test_kept_connection_that_ends_as_it_is_used_is_replaced_without_an_error(
    finish: Callable[[Peer], None],
) -> None:
    with ScriptedServer(only_first(finish)) as server, client_of(server) as client:
        for _ in range(3):
            assert client.retrieve("a").model == "a"
    # The second and third request were each seen twice: once in vain, once on a new connection.
    assert [request.connection for request in server.requests] == [1, 1, 2, 2, 3]


def test_reply_that_breaks_off_on_a_kept_connection_is_not_asked_for_again() -> None:
    def break_off(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 2")
        peer.close()

    with ScriptedServer(only_first(break_off)) as server, client_of(server) as client:
        client.retrieve("a")
        with pytest.raises(ReplyLost):
            client.retrieve("a")
    assert len(server.requests) == 2


def test_new_connection_that_ends_at_once_is_not_tried_again() -> None:
    with (
        ScriptedServer(lambda peer, _: peer.close()) as server,
        client_of(server) as client,
        pytest.raises(ReplyLost),
    ):
        client.retrieve("a")
    assert len(server.requests) == 1


def test_silence_on_a_kept_connection_is_not_tried_again() -> None:
    with (
        ScriptedServer(only_first(Peer.hang)) as server,
        client_of(server, total=0.5) as client,
    ):
        client.retrieve("a")
        with pytest.raises(ReplyLost):
            client.retrieve("a")
    assert len(server.requests) == 2


def test_bytes_that_nobody_asked_for_are_not_taken_as_the_next_reply() -> None:
    is_answered, is_sent = threading.Event(), threading.Event()

    def add_a_stray(peer: Peer, received: Received) -> None:
        answer(peer, received)
        if peer.connection == 1:
            assert is_answered.wait(5)
            peer.send(reply(video(model="stray")))
            is_sent.set()

    with ScriptedServer(add_a_stray) as server, client_of(server) as client:
        client.retrieve("a")
        is_answered.set()
        assert is_sent.wait(5)
        assert client.retrieve("b").model == "b"


def test_threads_get_their_own_answers_and_keep_few_connections() -> None:
    with ScriptedServer(answer) as server, client_of(server) as client:
        ids = [f"task_{number}" for number in range(200)]
        with ThreadPoolExecutor(8) as pool:
            tasks = list(pool.map(client.retrieve, ids))
    assert [task.model for task in tasks] == ids
    assert server.connections <= 8


def test_connections_kept_for_later_are_bounded() -> None:
    barrier = threading.Barrier(40)

    def answer_together(peer: Peer, received: Received) -> None:
        barrier.wait(20)
        answer(peer, received)

    with ScriptedServer(answer_together) as server, client_of(server) as client:
        with ThreadPoolExecutor(40) as pool:
            list(pool.map(client.retrieve, ["a"] * 40))
        [adapter] = client._session.adapters.values()
        assert len(adapter.transport._idle) == 32


def test_connection_that_was_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_AGE", 0.0)
    with ScriptedServer(answer) as server, client_of(server) as client:
        client.retrieve("a")
        client.retrieve("a")
    assert server.connections == 2


def test_closed_client_keeps_nothing_and_can_be_used_again() -> None:
    with ScriptedServer(answer) as server, client_of(server) as client:
        client.retrieve("a")
        client.close()
        client.retrieve("a")
    assert server.connections == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_does_not_use_its_parents_connection() -> None:
    with ScriptedServer(answer) as server, client_of(server) as client:
        client.retrieve("parent")
        child = os.fork()
        if not child:
            is_right = all(client.retrieve(f"c{n}").model == f"c{n}" for n in range(3))
            os._exit(0 if is_right else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert client.retrieve("parent").model == "parent"
    assert [request.connection for request in server.requests] == [1, 2, 2, 2, 1]


GEVENT = """
from gevent import monkey; monkey.patch_all()
import time
import gevent
from gevent.pool import Pool
from seedance_celery.client import Client
from seedance_celery.exceptions import ReplyLost
from tests.unit.scripted_server import ScriptedServer, reply, video

def script(peer, received):
    name = received.path.rpartition("/")[2]
    if name == "trickle":
        peer.trickle(reply(video()), 0.05)
    else:
        gevent.sleep(0.02)
        peer.send(reply(video(model=name)))

with ScriptedServer(script) as server, Client("sk-x", server.url, (1, 5), total=0.5) as client:
    began = time.monotonic()
    ids = [f"t{n}" for n in range(100)]
    assert [task.model for task in Pool(10).map(client.retrieve, ids)] == ids
    assert server.connections <= 10, server.connections
    assert time.monotonic() - began < 1.8, "the requests waited for each other"
    began = time.monotonic()
    try:
        client.retrieve("trickle")
    except ReplyLost:
        assert time.monotonic() - began < 1.5
    else:
        raise AssertionError("a trickling server was not cut off")
"""


def test_greenlets_share_few_connections_and_do_not_wait_for_each_other() -> None:
    pytest.importorskip("gevent")
    subprocess.run([sys.executable, "-c", GEVENT], check=True, timeout=60)
