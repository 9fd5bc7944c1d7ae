"""A create: one POST, multipart, streamed, never sent twice, and its outcome never guessed."""

from __future__ import annotations

import io
import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seedance_celery.api.replies import Outcome, create_outcome
from seedance_celery.client import Client
from seedance_celery.exceptions import (
    ApiError,
    BrokenReply,
    ConnectFailed,
    InvalidRequest,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    ReplyLost,
    RequestRefused,
)

from .scripted_server import Peer, Received, ScriptedServer, reply, video

KEY = "sk-test0123456789"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
CLOSED = io.BytesIO(PNG)
CLOSED.close()
CREATED = reply(video("task_9", status="queued"))


def accept(peer: Peer, received: Received) -> None:
    peer.send(CREATED)


def client_of(server: ScriptedServer, **options: Any) -> Client:
    return Client(KEY, server.url, (2, 2), **{"create_timeout": 5, **options})


def parts_of(request: Received) -> list[tuple[str, bytes]]:
    """Return the head and the content of each part."""
    match = re.fullmatch("multipart/form-data; boundary=(.+)", request.headers["content-type"])
    assert match is not None
    pieces = request.body.split(b"--" + match[1].encode())[1:-1]
    heads = (piece.strip(b"\r\n").partition(b"\r\n\r\n") for piece in pieces)
    return [(head.decode(), content) for head, _, content in heads]


def test_create_without_a_file_is_multipart_with_text_fields() -> None:
    with ScriptedServer(accept) as server, client_of(server) as client:
        task = client.create("Ein „Drachen“\r\n--x", model="m", seconds=5, size="16:9")
    assert (task.id, task.status) == ("task_9", "queued")
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/videos")
    assert parts_of(request) == [
        ('Content-Disposition: form-data; name="prompt"', "Ein „Drachen“\r\n--x".encode()),
        ('Content-Disposition: form-data; name="model"', b"m"),
        ('Content-Disposition: form-data; name="seconds"', b"5"),
        ('Content-Disposition: form-data; name="size"', b"16:9"),
    ]


def test_what_is_not_given_is_not_sent() -> None:
    with ScriptedServer(accept) as server, client_of(server) as client:
        client.create("x")
    names = [head for head, _ in parts_of(server.requests[0])]
    assert [name.rpartition("=")[2] for name in names] == ['"prompt"', '"model"']


class OnlyRead:
    """A reader that can neither seek nor tell its size."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)


def test_images_of_every_kind_of_file_are_sent_in_order(tmp_path: Path) -> None:
    path = tmp_path / "private name.bin"
    path.write_bytes(PNG)
    jpeg = b"\xff\xd8\xff" + bytes(20)
    with ScriptedServer(accept) as server, client_of(server) as client, path.open("rb") as file:
        file.read(50)
        named = ('a"\r\nb.jpg', io.BytesIO(jpeg), "image/png")
        client.create("x", images=[file, named, OnlyRead(PNG)])
    heads_and_contents = parts_of(server.requests[0])[2:]
    assert [content for _, content in heads_and_contents] == [PNG, jpeg, PNG]
    heads = [head for head, _ in heads_and_contents]
    assert all('name="input_reference"' in head for head in heads)
    assert "image-1.png" in heads[0]
    assert "Content-Type: image/png" in heads[0]
    assert "Content-Type: image/jpeg" in heads[1]
    assert len(heads[1].splitlines()) == 2
    assert "private" not in heads[0]


def test_large_image_is_never_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.write(PNG)
        file.truncate(40_000_000)
    with (
        ScriptedServer(accept, keeps_bodies=False) as server,
        path.open("rb") as file,
        client_of(server, create_timeout=60) as client,
    ):
        tracemalloc.start()
        try:
            client.create("x", images=[file])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 4_000_000
    assert int(server.requests[0].headers["content-length"]) > 40_000_000


@pytest.mark.parametrize(
    ("images", "field"),
    [
        ([io.BytesIO(b"GIF89a")], "images"),
        ([io.StringIO("text")], "images"),
        (["a.png"], "images"),
        ([io.BytesIO(b"")], "images"),
        ([CLOSED], "images"),
    ],
)
def test_what_is_no_image_sends_nothing(images: list[Any], field: str) -> None:
    with ScriptedServer(accept) as server, client_of(server) as client:
        with pytest.raises(InvalidRequest) as caught:
            client.create("x", images=images)
        assert caught.value.field == field
    assert server.connections == 0


def test_invalid_arguments_send_nothing() -> None:
    with ScriptedServer(accept) as server, client_of(server) as client:
        for arguments in ({"prompt": " "}, {"prompt": "x", "seconds": 99}):
            with pytest.raises(InvalidRequest):
                client.create(**arguments)
    assert server.connections == 0


class Breaks(io.BytesIO):
    """A file whose storage fails half-way."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 50:
            raise RuntimeError("the storage is away")
        return super().read(60)


class Shrinks(io.BytesIO):
    """A file that is truncated while it is sent."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size) if self.tell() == 0 and size == 12 else b""


@pytest.mark.parametrize("kind", [Breaks, Shrinks])
def test_image_that_breaks_off_is_proof_that_nothing_was_bought(
    kind: Callable[[bytes], io.BytesIO],
) -> None:
    with ScriptedServer(accept) as server, client_of(server) as client:
        began = time.monotonic()
        with pytest.raises(ConnectFailed) as caught:
            client.create("x", images=[kind(PNG + bytes(200_000))])
        assert time.monotonic() - began < 2  # at once, not when the time is up
        assert create_outcome(caught.value) is Outcome.NOT_SENT
    assert server.requests == []


# The server takes the request, and then misbehaves.


def hang(peer: Peer, received: Received) -> None:
    peer.hang()


def reset(peer: Peer, received: Received) -> None:
    peer.reset()


def close(peer: Peer, received: Received) -> None:
    peer.close()


def garble(peer: Peer, received: Received) -> None:
    peer.send(b"\x16\x03\x01 what?\r\n\r\n")
    peer.close()


def stall_in_headers(peer: Peer, received: Received) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    peer.hang()


def reset_before_the_id(peer: Peer, received: Received) -> None:
    peer.send(CREATED[: CREATED.index(b'"id"') + 3])
    peer.reset()


@pytest.mark.parametrize(
    ("script", "cls"),
    [
        (hang, ReplyLost),
        (reset, ReplyLost),
        (close, ReplyLost),
        (garble, ReplyLost),
        (stall_in_headers, ReplyLost),
        (reset_before_the_id, BrokenReply),
    ],
)
def test_create_whose_reply_is_lost_is_unknown_and_sent_once(
    script: Callable[[Peer, Received], None], cls: type[ApiError]
) -> None:
    with (
        ScriptedServer(script) as server,
        client_of(server, create_timeout=0.5) as client,
        pytest.raises(ApiError) as caught,
    ):
        client.create("x")
    assert type(caught.value) is OutcomeUnknown
    assert type(caught.value.__cause__) is cls
    assert create_outcome(caught.value) is Outcome.UNKNOWN
    assert len(server.requests) == 1


def finish_by_reset(peer: Peer) -> None:
    peer.reset()


def finish_by_stall(peer: Peer) -> None:
    peer.hang()


def finish_by_close(peer: Peer) -> None:
    peer.close()


@pytest.mark.parametrize("finish", [finish_by_reset, finish_by_stall, finish_by_close])
def test_create_reply_that_breaks_off_after_its_id_is_adopted(
    finish: Callable[[Peer], None],
) -> None:
    def script(peer: Peer, received: Received) -> None:
        peer.send(CREATED[: CREATED.index(b"task_9") + 8])
        if finish is finish_by_reset:
            # A reset also discards what the client has not read yet.
            peer.stopping.wait(0.2)
        finish(peer)

    with ScriptedServer(script) as server, client_of(server, create_timeout=1) as client:
        assert client.create("x").id == "task_9"


def test_create_reply_of_endless_length_is_adopted_by_its_id() -> None:
    def script(peer: Peer, received: Received) -> None:
        peer.send(b'HTTP/1.1 200 OK\r\n\r\n{"id":"task_9","padding":"')
        for _ in range(64):
            peer.send(b"x" * 65536)

    with ScriptedServer(script) as server, client_of(server) as client:
        assert client.create("x").id == "task_9"


def test_create_never_uses_a_kept_connection() -> None:
    with ScriptedServer(accept) as server, client_of(server) as client:
        client.retrieve("a")
        client.create("x")
        client.create("x")
    assert [request.connection for request in server.requests] == [1, 2, 3]


def test_create_waits_longer_than_the_read_timeout_for_its_reply() -> None:
    def script(peer: Peer, received: Received) -> None:
        peer.stopping.wait(0.6)
        peer.send(CREATED)

    with (
        ScriptedServer(script) as server,
        Client(KEY, server.url, (0.2, 0.2), create_timeout=5) as client,
    ):
        assert client.create("x").id == "task_9"


# The server answers, or goes, before the body is there.


def image(size: int = 30_000_000) -> io.BytesIO:
    return io.BytesIO(PNG + bytes(size))


@pytest.mark.parametrize(
    ("status", "cls", "outcome"),
    [
        (413, RequestRefused, Outcome.REJECTED),
        (429, RateLimited, Outcome.LIMITED),
        (402, QuotaExceeded, Outcome.NO_QUOTA),
        (502, ConnectFailed, Outcome.NOT_SENT),
    ],
)
def test_early_refusal_of_an_upload_is_read(
    status: int, cls: type[ApiError], outcome: Outcome
) -> None:
    def refuse(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.send(reply({"message": "no"}, status))
        peer.reset()

    with (
        ScriptedServer(accept, on_connect=refuse) as server,
        client_of(server) as client,
        pytest.raises(cls) as caught,
    ):
        client.create("x", images=[image()])
    assert create_outcome(caught.value) is outcome


def test_server_that_goes_during_the_upload_bought_nothing() -> None:
    def leave(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.reset()

    with (
        ScriptedServer(accept, on_connect=leave) as server,
        client_of(server) as client,
        pytest.raises(ConnectFailed),
    ):
        client.create("x", images=[image()])
    assert server.requests == []


def test_server_that_stops_reading_the_upload_bought_nothing() -> None:
    def stop_reading(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.hang()

    with (
        ScriptedServer(accept, on_connect=stop_reading) as server,
        client_of(server, create_timeout=0.5) as client,
        pytest.raises(ConnectFailed),
    ):
        client.create("x", images=[image()])
    assert server.requests == []


def test_prompt_that_the_api_echoes_is_not_in_the_error() -> None:
    def echo(peer: Peer, received: Received) -> None:
        peer.send(reply({"message": "bad prompt: a red kite"}, 400))

    with (
        ScriptedServer(echo) as server,
        client_of(server) as client,
        pytest.raises(RequestRefused) as caught,
    ):
        client.create("a red kite")
    assert "kite" not in repr(caught.value.args)
    assert caught.value.reason == "bad prompt: [redacted]"
