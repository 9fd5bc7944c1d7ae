"""How a download that broke off goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from seedance_celery.exceptions import (
    DownloadChanged,
    DownloadInterrupted,
    DownloadRefused,
    FileTooLarge,
    UrlExpired,
)

from ..unit.scripted_server import Peer, Received, Script, reply
from .conftest import NewDownload
from .file_server import (
    ETAG,
    chunked,
    cut,
    file_server,
    head,
    mp4,
    ranged,
    redirect,
    refuse,
    whole,
)
from .test_download import taken

VIDEO = mp4(200_000)
OTHER = mp4(200_000, seed=2)
LONGER = mp4(200_001)
OLD, NEW = "Mon, 06 Jul 2026 10:00:00 GMT", "Mon, 06 Jul 2026 10:02:00 GMT"


def part(start: int, stop: int, span: str, body: bytes = VIDEO, **fields: str | int) -> Script:
    """Answer 206 with these bytes and this `Content-Range`."""

    def step(peer: Peer, received: Received) -> None:
        fields.setdefault("content_length", stop - start)
        peer.send(head(206, content_range=span, **fields) + body[start:stop])
        peer.close()

    return step


@pytest.mark.parametrize("at", [12, 1000, 65_536, 199_999])
def test_cut_download_goes_on_where_it_was(new_download: NewDownload, at: int) -> None:
    with file_server(ranged(VIDEO, at), ranged(VIDEO)) as server:
        download = new_download(server.url)
        assert taken(download) == VIDEO
    assert download.sha256 == hashlib.sha256(VIDEO).hexdigest()
    again = server.requests[1].headers
    assert (again["range"], again["if-range"]) == (f"bytes={at}-", ETAG)


def test_download_that_is_cut_again_and_again_goes_on(new_download: NewDownload) -> None:
    steps = [ranged(VIDEO, at) for at in (50_000, 100_000, 150_000)]
    with file_server(*steps, ranged(VIDEO)) as server:
        assert taken(new_download(server.url)) == VIDEO
    asked = [got.headers.get("range") for got in server.requests]
    assert asked == [None, "bytes=50000-", "bytes=100000-", "bytes=150000-"]


def test_attempts_are_bounded(new_download: NewDownload) -> None:
    steps = [cut(VIDEO, at) for at in (50_000, 60_000, 70_000, 80_000)]
    with file_server(*steps) as server, pytest.raises(DownloadInterrupted):
        taken(new_download(server.url, attempts=3))
    assert len(server.requests) == 3


@pytest.mark.parametrize("serve", [cut, ranged])
def test_download_that_ends_twice_at_the_same_byte_is_left_for_later(
    new_download: NewDownload, serve: Callable[..., Script]
) -> None:
    with file_server(serve(VIDEO, 50_000)) as server, pytest.raises(DownloadInterrupted):
        taken(new_download(server.url))
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 405, 406, 412, 416, 501])
def test_host_that_refuses_a_range_is_asked_for_the_whole_file(
    new_download: NewDownload, status: int
) -> None:
    def step(peer: Peer, received: Received) -> None:
        if "range" in received.headers:
            peer.send(reply(b"", status))
        else:
            next(plain)(peer, received)

    plain = iter([cut(VIDEO, 50_000), cut(VIDEO, 90_000), whole(VIDEO)])
    with file_server(step) as server:
        assert taken(new_download(server.url)) == VIDEO
    assert ["range" in got.headers for got in server.requests] == [False, True, False, False]


@pytest.mark.parametrize("status", [403, 404, 405])
def test_host_that_refuses_the_whole_file_as_well_has_refused_the_link(
    new_download: NewDownload, status: int
) -> None:
    error = DownloadRefused if status == 405 else UrlExpired
    with file_server(cut(VIDEO, 50_000), refuse(status)) as server, pytest.raises(error):
        taken(new_download(server.url))
    assert ["range" in got.headers for got in server.requests] == [False, True, False]


@pytest.mark.parametrize("trouble", ["503", "reset"])
def test_host_that_fails_at_each_range_is_asked_for_the_whole_file(
    new_download: NewDownload, trouble: str
) -> None:
    def step(peer: Peer, received: Received) -> None:
        if "range" not in received.headers:
            next(plain)(peer, received)
        elif trouble == "reset":
            peer.reset()
        else:
            peer.send(reply(b"", 503))

    plain = iter([cut(VIDEO, 50_000), whole(VIDEO)])
    with file_server(step) as server:
        assert taken(new_download(server.url)) == VIDEO
    assert ["range" in got.headers for got in server.requests] == [False, True, True, False]


@pytest.mark.parametrize("is_first", [True, False])
def test_206_with_the_whole_file_is_the_whole_file(
    new_download: NewDownload, is_first: bool
) -> None:
    step = part(0, 200_000, "bytes 0-199999/200000", etag=ETAG)
    steps = [step] if is_first else [cut(VIDEO, 50_000), step]
    with file_server(*steps) as server:
        assert taken(new_download(server.url)) == VIDEO
    assert len(server.requests) == len(steps)


def test_etag_that_is_weak_in_the_range_alone_is_the_same_file(new_download: NewDownload) -> None:
    rest = part(50_000, 200_000, "bytes 50000-199999/200000", etag=f"W/{ETAG}")
    with file_server(cut(VIDEO, 50_000), rest) as server:
        assert taken(new_download(server.url)) == VIDEO
    assert len(server.requests) == 2


@pytest.mark.parametrize("label", ["aws-chunked", "identity", "utf-8"])
def test_range_is_used_whatever_its_plain_bytes_are_called(
    new_download: NewDownload, label: str
) -> None:
    span = "bytes 50000-199999/200000"
    rest = part(50_000, 200_000, span, content_encoding=label)
    with file_server(cut(VIDEO, 50_000), rest) as server:
        assert taken(new_download(server.url)) == VIDEO
    assert len(server.requests) == 2


def test_redirect_that_comes_only_with_the_second_try_is_followed(
    new_download: NewDownload,
) -> None:
    steps = cut(VIDEO, 50_000), redirect("/elsewhere"), ranged(VIDEO)
    with file_server(*steps) as server:
        assert taken(new_download(server.url)) == VIDEO
    assert server.requests[2].headers["range"] == "bytes=50000-"


def test_download_without_a_byte_is_left_for_later(new_download: NewDownload) -> None:
    with file_server(cut(VIDEO, 0)) as server, pytest.raises(DownloadInterrupted):
        taken(new_download(server.url))
    assert len(server.requests) == 1


def test_200_to_a_range_request_starts_again_from_zero(new_download: NewDownload) -> None:
    with file_server(cut(VIDEO, 70_000), whole(VIDEO)) as server:
        download = new_download(server.url)
        assert taken(download) == VIDEO
    assert download.sha256 == hashlib.sha256(VIDEO).hexdigest()


@pytest.mark.parametrize("body", [OTHER, LONGER], ids=["same length", "longer"])
def test_file_that_changed_meanwhile_is_not_mixed(new_download: NewDownload, body: bytes) -> None:
    steps = cut(VIDEO, 70_000), whole(body, etag='"two"')
    with file_server(*steps) as server, pytest.raises(DownloadChanged):
        taken(new_download(server.url))


@pytest.mark.parametrize("body", [OTHER, VIDEO[:500]], ids=["same length", "shorter"])
def test_chunked_file_that_changed_meanwhile_is_not_mixed(
    new_download: NewDownload, body: bytes
) -> None:
    steps = chunked(VIDEO[:70_000], is_ended=False), chunked(body)
    with file_server(*steps) as server, pytest.raises(DownloadChanged):
        taken(new_download(server.url))


@pytest.mark.parametrize(
    "wrong",
    [
        part(0, 150_000, "bytes 0-149999/200000"),
        part(60_000, 200_000, "bytes 60000-199999/200000"),
        part(50_000, 100_000, "bytes 50000-99999/200000"),
        part(50_000, 100_000, "bytes 50000-99999/200000", content_length=""),
        part(50_000, 200_000, "bytes 50000-199999/*"),
        part(50_000, 200_000, ""),
        part(50_000, 200_000, "bytes 50000-199999/200000", content_length=140_000),
        part(50_000, 200_000, "bytes 50000-199999/200000", content_encoding="gzip"),
        refuse(416),
    ],
    ids=[
        "start",
        "gap",
        "end",
        "end without length",
        "no total",
        "nothing",
        "length",
        "encoding",
        "416",
    ],
)
def test_wrong_range_is_not_used(new_download: NewDownload, wrong: Script) -> None:
    with file_server(cut(VIDEO, 50_000), wrong, whole(VIDEO)) as server:
        assert taken(new_download(server.url)) == VIDEO
    assert "range" in server.requests[1].headers
    assert "range" not in server.requests[2].headers


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (part(50_000, 200_001, "bytes 50000-200000/200001", LONGER), DownloadChanged),
        (part(50_000, 200_000, "bytes 50000-199999/200000", etag='"two"'), DownloadChanged),
    ],
    ids=["another total", "another file"],
)
def test_resume_stops_where_it_would_be_wrong(
    new_download: NewDownload, step: Script, error: type[Exception]
) -> None:
    with file_server(cut(VIDEO, 50_000), step) as server, pytest.raises(error):
        taken(new_download(server.url))


@pytest.mark.parametrize(
    ("fields", "validator"),
    [
        ({"etag": 'W/"weak"'}, None),
        ({"etag": "", "last_modified": OLD, "date": NEW}, OLD),
        ({"etag": "", "last_modified": NEW, "date": NEW}, None),
        ({"etag": "", "last_modified": OLD}, None),
        ({"etag": "", "last_modified": "soon", "date": "now"}, None),
    ],
)
def test_only_a_strong_validator_asks_for_a_range(
    new_download: NewDownload, fields: dict[str, str | int], validator: str | None
) -> None:
    with file_server(cut(VIDEO, 50_000, **fields), whole(VIDEO, **fields)) as server:
        assert taken(new_download(server.url)) == VIDEO
    again = server.requests[1].headers
    assert again.get("if-range") == validator
    assert ("range" in again) == (validator is not None)


def test_cut_chunked_body_goes_on_with_a_range(new_download: NewDownload) -> None:
    with file_server(chunked(VIDEO[:50_000], is_ended=False), ranged(VIDEO)) as server:
        assert taken(new_download(server.url)) == VIDEO
    assert server.requests[1].headers["range"] == "bytes=50000-"


def test_size_is_limited_in_a_resumed_download_too(new_download: NewDownload) -> None:
    steps = chunked(VIDEO[:50_000], is_ended=False), ranged(VIDEO)
    with file_server(*steps) as server, pytest.raises(FileTooLarge):
        taken(new_download(server.url, max_size=100_000))


def test_busy_host_in_a_resume_is_asked_again(new_download: NewDownload) -> None:
    with file_server(ranged(VIDEO, 50_000), refuse(503), ranged(VIDEO)) as server:
        assert taken(new_download(server.url)) == VIDEO


def test_host_that_says_when_to_come_back_is_obeyed(new_download: NewDownload) -> None:
    told = refuse(429, **{"Retry-After": "30"})
    server = file_server(ranged(VIDEO, 50_000), told)
    with server, pytest.raises(DownloadInterrupted) as caught:
        taken(new_download(server.url))
    assert caught.value.retry_after == 30
    assert len(server.requests) == 2
