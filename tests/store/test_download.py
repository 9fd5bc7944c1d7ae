"""What is checked of a file while it comes."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from seedance_celery.exceptions import (
    DownloadError,
    DownloadInterrupted,
    DownloadRefused,
    FileTooLarge,
    NotAVideo,
    UrlExpired,
    UrlOutdated,
)
from seedance_celery.net.download import Download

from ..unit.scripted_server import Peer, Received, Script, reply
from .conftest import Authority, NewDownload
from .file_server import chunked, cut, file_server, film, head, mp4, refuse, whole

VIDEO = mp4(50_000)
FILM = film(50_000)
SECRET = "Signature=c2VjcmV0"


def taken(download: Download) -> bytes:
    return b"".join(download.chunks())


def slowly(download: Download) -> None:
    """Take a file more slowly than it comes, so that the host is never waited for."""
    for _ in download.chunks():
        time.sleep(0.01)


def unframed(body: bytes) -> Script:
    def step(peer: Peer, received: Received) -> None:
        peer.send(head() + body)
        peer.close()

    return step


def sends(data: bytes) -> Script:
    return lambda peer, received: peer.send(data)


@pytest.mark.parametrize("step", [whole(VIDEO), chunked(VIDEO), unframed(VIDEO)])
def test_whole_file_arrives_with_its_size_and_digest(
    new_download: NewDownload, step: Script
) -> None:
    with file_server(step) as server:
        download = new_download(server.url)
        assert taken(download) == VIDEO
    assert (download.size, download.sha256) == (50_000, hashlib.sha256(VIDEO).hexdigest())


def test_request_carries_nothing_but_the_url_as_it_is(
    new_download: NewDownload, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    path = "/a%7eb/%2f.mp4?sig=a%2fb%7E+c%20[x]|y~&x=%E4%B8%AD&&z"
    with file_server(whole(VIDEO)) as server:
        taken(new_download(server.url.replace("//", "//user:pass@") + path))
    got = server.requests[0]
    assert got.path == path
    assert set(got.headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert got.headers["accept-encoding"] == "identity"


def test_only_what_cannot_be_sent_is_quoted(new_download: NewDownload) -> None:
    with file_server(whole(VIDEO)) as server:
        taken(new_download(f"{server.url}/kite é.mp4?a=%2f"))
    assert server.requests[0].path == "/kite%20%C3%A9.mp4?a=%2f"


def test_file_comes_over_tls_from_the_named_host(
    new_download: NewDownload, authority: Authority
) -> None:
    with file_server(whole(VIDEO), tls=authority.server) as server:
        assert taken(new_download(server.url, tls=authority.client)) == VIDEO
        other = server.url.replace("localhost", "127.0.0.1")
        with pytest.raises(DownloadInterrupted, match="SSLCertVerificationError"):
            taken(new_download(other, tls=authority.client))


@pytest.mark.parametrize(
    "step",
    [
        whole(b"<html>Sign in to the Wi-Fi</html>", content_type="text/html; charset=utf-8"),
        whole(b"<Error/>", content_type="application/xml"),
        whole(b'{"error":{}}', content_type="application/json"),
        whole(b"<html>" + bytes(100), content_type="video/mp4"),
        whole(gzip.compress(b"<html>" + bytes(100)), content_encoding="gzip"),
        whole(gzip.compress(VIDEO)[:20] + b"?" * 500, content_encoding="gzip"),
        whole(b"\x8b\x5b\x80" + bytes(100), content_encoding="br"),
        whole(b"\0\0\0\x18ftyp"),
        whole(b""),
    ],
    ids=[
        "html",
        "xml",
        "json",
        "html called a video",
        "compressed page",
        "damaged compression",
        "unknown compression",
        "too short",
        "empty",
    ],
)
def test_page_served_with_200_is_not_a_video(new_download: NewDownload, step: Script) -> None:
    with file_server(step) as server, pytest.raises(NotAVideo):
        taken(new_download(server.url))


KINDS = (
    *("video/mp4", "application/octet-stream", "binary/octet-stream", "text/plain", "text/html"),
    *("application/json", "application/xml", "", "video/mp4; charset=utf-8", "nonsense"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_video_is_taken_whatever_type_it_is_called(new_download: NewDownload, kind: str) -> None:
    with file_server(whole(VIDEO, content_type=kind)) as server:
        assert taken(new_download(server.url)) == VIDEO


LABELS = (
    *("aws-chunked", "AWS-Chunked", "identity", "binary", "none", "utf-8", "UTF-8, aws-chunked"),
    *("application/octet-stream", "video/mp4", "8bit", ",", "gzip", "br", "aws-chunked,gzip"),
)


@pytest.mark.parametrize("label", LABELS)
def test_plain_video_is_taken_whatever_its_coding_is_called(
    new_download: NewDownload, label: str
) -> None:
    with file_server(whole(VIDEO, content_encoding=label)) as server:
        assert taken(new_download(server.url)) == VIDEO


PACKED = [
    pytest.param(gzip.compress(VIDEO), "gzip", id="gzip"),
    pytest.param(gzip.compress(VIDEO), "", id="gzip without a label"),
    pytest.param(gzip.compress(VIDEO), "aws-chunked,x-gzip", id="gzip beside no coding"),
    pytest.param(zlib.compress(VIDEO), "deflate", id="deflate"),
]


@pytest.mark.parametrize(("body", "label"), PACKED)
def test_compressed_video_is_unpacked(new_download: NewDownload, body: bytes, label: str) -> None:
    with file_server(whole(body, content_encoding=label)) as server:
        download = new_download(server.url)
        assert taken(download) == VIDEO
    assert (download.size, download.sha256) == (50_000, hashlib.sha256(VIDEO).hexdigest())


def test_compressed_video_is_bounded_as_any_other(new_download: NewDownload) -> None:
    bomb = gzip.compress(VIDEO[:24] + (2**31).to_bytes(4, "big") + b"mdat" + bytes(30_000_000))
    assert len(bomb) < 100_000
    with file_server(whole(bomb, content_encoding="gzip")) as server:
        download = new_download(server.url, max_size=1_000_000)
        with pytest.raises(FileTooLarge):
            taken(download)
    assert download.size <= 1_000_000


def test_compressed_video_that_breaks_off_is_fetched_again_from_its_start(
    new_download: NewDownload,
) -> None:
    packed = gzip.compress(VIDEO)
    steps = cut(packed, 30_000, content_encoding="gzip"), whole(packed, content_encoding="gzip")
    with file_server(*steps) as server:
        assert taken(new_download(server.url)) == VIDEO
    assert all("range" not in got.headers for got in server.requests)


def test_compressed_video_that_lacks_its_end_is_no_whole_file(new_download: NewDownload) -> None:
    packed = gzip.compress(VIDEO)[:-20]
    with file_server(whole(packed)) as server, pytest.raises(DownloadInterrupted):
        taken(new_download(server.url))


@pytest.mark.parametrize("tail", [b"JUNKJUNKJUNK", b"\r\n", bytes(64), b"--boundary--\r\n"])
@pytest.mark.parametrize("serve", [whole, chunked])
def test_bytes_behind_the_last_box_are_kept_with_the_file(
    new_download: NewDownload, serve: Callable[..., Script], tail: bytes
) -> None:
    with file_server(serve(FILM + tail)) as server:
        assert taken(new_download(server.url)) == FILM + tail


@pytest.mark.parametrize("more", [1, 12, 5_000])
@pytest.mark.parametrize("is_range_taken", [True, False])
def test_length_that_is_a_little_too_long_does_not_cost_the_film(
    new_download: NewDownload, more: int, is_range_taken: bool
) -> None:
    told = len(FILM) + more

    def step(peer: Peer, received: Received) -> None:
        if is_range_taken and "range" in received.headers:
            peer.send(reply(b"", 416, {"Content-Range": f"bytes */{len(FILM)}"}))
        else:
            peer.send(head(etag='"one"', content_length=told) + FILM)
        peer.close()

    with file_server(step) as server:
        download = new_download(server.url)
        assert taken(download) == FILM
    assert download.received <= (1 if is_range_taken else 2) * len(FILM)


def test_length_that_is_far_too_long_is_believed(new_download: NewDownload) -> None:
    step = whole(FILM, content_length=len(FILM) + 1_000_000)
    with file_server(step) as server, pytest.raises(DownloadInterrupted):
        taken(new_download(server.url))


def test_film_that_breaks_off_once_at_the_end_of_a_box_is_not_taken_for_whole(
    new_download: NewDownload,
) -> None:
    longer = FILM + (1008).to_bytes(4, "big") + b"udta" + bytes(1000)
    with file_server(cut(longer, len(FILM)), whole(longer)) as server:
        assert taken(new_download(server.url)) == longer


def test_head_in_single_bytes_is_recognised(new_download: NewDownload) -> None:
    def step(peer: Peer, received: Received) -> None:
        peer.send(head(content_length=len(VIDEO)))
        peer.trickle(VIDEO[:14], 0.01)
        peer.send(VIDEO[14:])

    with file_server(step) as server:
        assert taken(new_download(server.url)) == VIDEO


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refused_link_asks_for_a_new_one(new_download: NewDownload, status: int) -> None:
    with file_server(refuse(status)) as server, pytest.raises(UrlExpired) as caught:
        taken(new_download(f"{server.url}/a.mp4?{SECRET}"))
    assert caught.value.http_status == status
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 410])
@pytest.mark.parametrize(
    "words",
    [
        b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
        b"<Error><Code>ExpiredToken</Code></Error>",
        b'{"message":"URL expired"}',
    ],
)
def test_link_that_the_host_calls_expired_is_told_apart(
    new_download: NewDownload, status: int, words: bytes
) -> None:
    step: Script = lambda peer, got: peer.send(reply(words, status))  # noqa: E731
    with file_server(step) as server, pytest.raises(UrlOutdated):
        taken(new_download(server.url))


def test_file_that_is_not_there_has_not_expired(new_download: NewDownload) -> None:
    step: Script = lambda peer, got: peer.send(reply(b"expired", 404))  # noqa: E731
    with file_server(step) as server, pytest.raises(UrlExpired) as caught:
        taken(new_download(server.url))
    assert not isinstance(caught.value, UrlOutdated)


def test_endless_error_is_not_read_to_its_end(new_download: NewDownload) -> None:
    def endless(peer: Peer, received: Received) -> None:
        peer.send(head(403, transfer_encoding="chunked"))
        while True:
            peer.send(b"%x\r\n%s\r\n" % (len(VIDEO), VIDEO))

    with file_server(endless) as server, pytest.raises(UrlExpired):
        taken(new_download(server.url))


@pytest.mark.parametrize(
    "status", [202, 204, 206, 408, 409, 421, 423, 425, 429, 500, 502, 503, 504, 524]
)
def test_busy_host_is_tried_later(new_download: NewDownload, status: int) -> None:
    step = refuse(status, **{"Retry-After": "7"})
    with file_server(step) as server, pytest.raises(DownloadInterrupted) as caught:
        taken(new_download(server.url))
    assert (caught.value.http_status, caught.value.retry_after) == (status, 7)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [304, 402, 405, 451])
def test_other_status_is_final(new_download: NewDownload, status: int) -> None:
    with file_server(refuse(status)) as server, pytest.raises(DownloadRefused):
        taken(new_download(server.url))


def test_five_gigabytes_by_a_lie_are_refused_unread(new_download: NewDownload) -> None:
    with file_server(whole(VIDEO, content_length=5 * 1024**3)) as server:
        with pytest.raises(FileTooLarge):
            taken(new_download(server.url))
        with pytest.raises(DownloadInterrupted):
            taken(new_download(server.url, max_size=6 * 1024**3, attempts=2))


def test_endless_body_ends_at_the_largest_size(new_download: NewDownload) -> None:
    def endless(peer: Peer, received: Received) -> None:
        peer.send(head(transfer_encoding="chunked"))
        while True:
            peer.send(b"%x\r\n%s\r\n" % (len(VIDEO), VIDEO))

    with file_server(endless) as server:
        download = new_download(server.url, max_size=1_000_000)
        with pytest.raises(FileTooLarge):
            taken(download)
    assert download.size <= 1_000_000


def test_endless_body_ends_at_the_total_time(new_download: NewDownload) -> None:
    def endless(peer: Peer, received: Received) -> None:
        peer.send(head())
        while True:
            peer.send(VIDEO)

    began = time.monotonic()
    with file_server(endless) as server, pytest.raises(DownloadInterrupted):
        slowly(new_download(server.url, total=0.5))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("told", [len(VIDEO) + 1000, len(VIDEO) - 1000])
def test_wrong_length_is_no_whole_file(new_download: NewDownload, told: int) -> None:
    step = whole(VIDEO, content_length=told)
    with file_server(step) as server, pytest.raises(DownloadInterrupted):
        taken(new_download(server.url))


@pytest.mark.parametrize("step", [chunked(VIDEO[:-1], is_ended=False), unframed(VIDEO[:-1])])
def test_body_without_length_that_breaks_off_is_no_whole_file(
    new_download: NewDownload, step: Script
) -> None:
    with file_server(step) as server, pytest.raises(DownloadInterrupted):
        taken(new_download(server.url))


@pytest.mark.parametrize("part", ["head", "body"])
def test_slow_drip_is_bounded_in_time(new_download: NewDownload, part: str) -> None:
    def drip(peer: Peer, received: Received) -> None:
        if part == "body":
            peer.send(head(content_length=len(VIDEO)) + VIDEO[:100])
        peer.trickle(b"HTTP/1.1 200 OK\r\nX: " + bytes(10_000), 0.02)

    began = time.monotonic()
    with file_server(drip) as server, pytest.raises(DownloadInterrupted, match="too long"):
        taken(new_download(server.url, total=0.5))
    assert time.monotonic() - began < 5


def test_host_below_the_least_rate_is_given_up(new_download: NewDownload) -> None:
    def drip(peer: Peer, received: Received) -> None:
        peer.send(head(content_length=len(VIDEO)) + VIDEO[:100])
        peer.trickle(VIDEO[100:], 0.02)

    began = time.monotonic()
    with file_server(drip) as server, pytest.raises(DownloadInterrupted, match="too long"):
        taken(new_download(server.url, min_rate=1000, window=0.5, attempts=1))
    assert time.monotonic() - began < 15


def test_slow_storage_is_not_taken_for_a_slow_host(new_download: NewDownload) -> None:
    with file_server(whole(mp4(300_000))) as server:
        chunks = new_download(server.url, min_rate=1_000_000, window=1, attempts=1).chunks()
        next(chunks)
        time.sleep(1.2)
        assert b"".join(chunks)


def test_silent_host_is_given_up(new_download: NewDownload) -> None:
    def silent(peer: Peer, received: Received) -> None:
        peer.hang()

    with file_server(silent) as server, pytest.raises(DownloadInterrupted, match="too long"):
        taken(new_download(server.url, read=0.2))


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200, os.urandom(500)],
)
def test_broken_reply_is_a_typed_error(new_download: NewDownload, data: bytes) -> None:
    def step(peer: Peer, received: Received) -> None:
        peer.send(data)
        peer.close()

    with file_server(step) as server, pytest.raises(DownloadInterrupted):
        taken(new_download(server.url))


def test_refused_connection_is_tried_later(new_download: NewDownload) -> None:
    with file_server(whole(VIDEO)) as server:
        url = server.url
    with pytest.raises(DownloadInterrupted):
        taken(new_download(url))


@pytest.mark.parametrize(
    "step",
    [
        refuse(403),
        refuse(418),
        refuse(503),
        cut(VIDEO, 5000),
        cut(VIDEO, 0),
        whole(b"<html>", content_type="text/html"),
        whole(VIDEO, content_length=10**12),
        sends(reply(b"", 302, {"Location": f"http://10.0.0.1/?{SECRET}"})),
        sends(reply(b"", 302, {"Location": f"ftp://x/?{SECRET}"})),
        sends(b"\r\n\r\n"),
    ],
)
def test_no_error_tells_the_signature(new_download: NewDownload, step: Script) -> None:
    with file_server(step) as server, pytest.raises(DownloadError) as caught:
        taken(new_download(f"{server.url}/a b.mp4?{SECRET}", attempts=2))
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error} {error!r} {error.args}"
        error = error.__cause__
