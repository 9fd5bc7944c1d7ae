"""The simulator's signed files: links, ranges, and how they go wrong."""

from __future__ import annotations

from typing import Any

import pytest

from seedance_celery.simulator import SimulatorApp
from seedance_celery.simulator.files import Media, kite

from .simulator_calls import Answer, ask, bought, finished, new_app, retrieve


def _url(app: SimulatorApp, prompt: str = "A kite") -> str:
    return str(finished(app, prompt)["video_url"])


def _get(app: SimulatorApp, url: str, **headers: Any) -> Answer:
    return ask(app, "GET", url, key=None, **headers)


def test_file_is_the_bundled_mp4() -> None:
    app = new_app()
    answer = _get(app, _url(app))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "video/mp4")
    assert answer.body == kite().start
    assert answer.body[4:8] == b"ftyp"
    assert answer.body.index(b"moov") < answer.body.index(b"mdat")
    assert len(answer.body) < 200_000


def test_same_link_is_given_until_it_expires_and_after() -> None:
    app = new_app(link_lifetime=3600)
    url = _url(app)
    api_id = next(iter(app.videos))
    app.advance(3000 - 1)
    assert _get(app, url).status == 200
    app.advance(7)
    expired = _get(app, url)
    assert (expired.status, expired.headers["Content-Type"]) == (403, "application/xml")
    assert b"Request has expired" in expired.body
    assert retrieve(app, api_id).json["video_url"] == url


def test_link_whose_query_was_encoded_again_is_refused() -> None:
    app = new_app()
    url = _url(app)
    assert "%3D" in url
    for other in (url.replace("%3D", "="), url.replace("%", "%25"), url + "&a=b", url[:-5]):
        assert _get(app, other).status == 403


def test_link_with_another_expiry_or_of_another_video_is_refused() -> None:
    app = new_app()
    url, other = _url(app), bought(app)
    assert _get(app, url.replace("expires=1", "expires=2")).status == 403
    assert _get(app, url.replace(next(iter(app.videos)), other)).status == 403
    assert _get(app, url.partition("?")[0]).status == 403


def test_head_is_refused() -> None:
    app = new_app()
    assert ask(app, "HEAD", _url(app), key=None).status == 403


def test_key_that_is_sent_to_a_file_is_refused_and_counted() -> None:
    app = new_app()
    url = _url(app)
    _get(app, url)
    assert app.bearer_on_files == 0
    assert ask(app, "GET", url, key="sk-one").status == 400
    assert app.bearer_on_files == 1


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=60000-", 60000, None),
        ("bytes=-10", -10, None),
        ("bytes=60180-99999999", 60180, None),
    ],
)
def test_range_is_served(wanted: str, start: int, stop: int | None) -> None:
    app = new_app()
    answer = _get(app, _url(app), range=wanted)
    whole = kite().start
    assert (answer.status, answer.body) == (206, whole[start:stop])
    first = start % len(whole)
    last = first + len(answer.body) - 1
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(whole)}"


@pytest.mark.parametrize("wanted", ["bytes=1-2,4-5", "bytes=-", "items=1-2", "bytes=a-b"])
def test_range_that_is_not_understood_is_ignored(wanted: str) -> None:
    app = new_app()
    assert _get(app, _url(app), range=wanted).status == 200


def test_range_behind_the_end_is_refused() -> None:
    app = new_app()
    answer = _get(app, _url(app), range="bytes=99999999-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{kite().size}")


def test_if_range_of_another_file_brings_the_whole() -> None:
    app = new_app()
    url = _url(app)
    etag = _get(app, url).headers["ETag"]
    assert _get(app, url, range="bytes=5-9", if_range=etag).status == 206
    assert _get(app, url, range="bytes=5-9", if_range='"other"').status == 200


def test_expired_link_is_renewed_by_the_next_retrieve() -> None:
    app = new_app()
    body = finished(app, "A kite [file_expired_then_renewed]")
    assert _get(app, body["video_url"]).status == 403
    renewed = retrieve(app, body["id"]).json["video_url"]
    assert renewed != body["video_url"]
    assert _get(app, renewed).status == 200


def test_file_is_cut_once_and_can_be_resumed() -> None:
    app = new_app()
    url = _url(app, "A kite [file_cut=1000]")
    first = _get(app, url)
    assert first.body == kite().start[:1000]
    assert first.headers["Content-Length"] == str(kite().size)
    rest = _get(app, url, range="bytes=1000-", if_range=first.headers["ETag"])
    assert first.body + rest.body == kite().start


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("file_length_above", kite().size + 1000),
        ("file_length_below", kite().size - 1000),
        ("file_huge_length", 5 * 1024**3),
    ],
)
def test_length_that_is_a_lie(name: str, length: int) -> None:
    app = new_app()
    answer = _get(app, _url(app, f"A kite [{name}]"))
    assert answer.headers["Content-Length"] == str(length)
    assert len(answer.body) == kite().size


@pytest.mark.parametrize("name", ["file_chunked", "file_no_length"])
def test_length_that_is_not_said(name: str) -> None:
    app = new_app()
    answer = _get(app, _url(app, f"A kite [{name}]"))
    assert "Content-Length" not in answer.headers
    assert answer.body == kite().start


def test_file_of_any_size_still_is_an_mp4() -> None:
    app = new_app()
    url = _url(app, "A kite [file_size=1000000]")
    answer = _get(app, url)
    assert (len(answer.body), answer.headers["Content-Length"]) == (1_000_000, "1000000")
    assert answer.body.startswith(kite().start)
    box = answer.body[kite().size :]
    assert box[4:8] == b"free"
    assert int.from_bytes(box[8:16], "big") == len(box)
    assert _get(app, url, range="bytes=60180-60220").body == answer.body[60180:60221]
    assert _get(app, url, range="bytes=999990-").body == bytes(10)


def test_range_of_a_large_file_is_not_built_in_memory() -> None:
    media = Media.of_size(10**15)
    assert b"".join(media.read(10**15 - 5)) == bytes(5)


def test_206_of_another_range() -> None:
    app = new_app()
    url = _url(app, "A kite [file_wrong_range]")
    assert _get(app, url).body == kite().start
    answer = _get(app, url, range="bytes=1000-1009")
    assert (answer.status, answer.body) == (206, kite().start[:10])
    assert answer.headers["Content-Range"] == f"bytes 0-9/{kite().size}"


def test_200_to_a_range_request() -> None:
    app = new_app()
    answer = _get(app, _url(app, "A kite [file_ignores_range]"), range="bytes=1000-1009")
    assert (answer.status, answer.body) == (200, kite().start)


def test_file_that_changes_does_not_honour_if_range() -> None:
    app = new_app()
    url = _url(app, "A kite [file_changed]")
    etag = _get(app, url).headers["ETag"]
    assert _get(app, url, range="bytes=5-", if_range=etag).status == 200


@pytest.mark.parametrize(
    ("name", "status", "content_type"),
    [
        ("file_expired", 403, "application/xml"),
        ("file_403", 403, "application/xml"),
        ("file_404", 404, "application/xml"),
        ("file_410", 410, "application/xml"),
        ("file_503", 503, "application/xml"),
        ("file_html", 200, "text/html; charset=utf-8"),
        ("file_xml", 200, "application/xml"),
        ("file_not_mp4", 200, "video/mp4"),
        ("file_empty", 200, "video/mp4"),
    ],
)
def test_what_is_served_in_place_of_the_file(name: str, status: int, content_type: str) -> None:
    app = new_app()
    answer = _get(app, _url(app, f"A kite [{name}]"))
    assert (answer.status, answer.headers["Content-Type"]) == (status, content_type)
    assert b"ftyp" not in answer.body


def test_redirects() -> None:
    app = new_app()
    answer = _get(app, _url(app, "A kite [file_redirect=http://169.254.169.254/x]"))
    assert (answer.status, answer.headers["Location"]) == (302, "http://169.254.169.254/x")
    url = _url(app, "A kite [file_redirect_loop]")
    assert url.endswith(_get(app, url).headers["Location"])


def test_endless_body_does_not_end() -> None:
    app = new_app()
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": _url(app, "A kite [file_endless]").split("simulator:80")[1].split("?")[0],
        "QUERY_STRING": "",
        "wsgi.url_scheme": "http",
    }
    api_id = next(iter(app.videos))
    environ["QUERY_STRING"] = retrieve(app, api_id).json["video_url"].partition("?")[2]
    chunks = iter(app(environ, lambda status, headers: None))
    assert sum(len(next(chunks)) for _ in range(100)) > 5_000_000


def test_file_fault_concerns_every_file_and_no_other_route() -> None:
    app = new_app()
    url = _url(app)
    app.fault("file_404")
    app.fault("http_503")
    assert _get(app, url).status == 404
    app.clear()
    assert _get(app, url).status == 200
