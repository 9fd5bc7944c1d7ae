"""How a finished file can be served. They belong to a video; as a fault, to every file."""

from __future__ import annotations

from itertools import repeat
from typing import Any

from ..files import Media, serve_file
from ..reply import Body, Reply, Wire, html_page, xml_error
from ..request import Request
from .base import Call, Scenario, Step, body, merge, reply

__all__ = ["EXPIRED_LINK", "FILE_SCENARIOS"]

EXPIRED_LINK = xml_error(403, "AccessDenied", "Request has expired")

_NO_KEY = xml_error(404, "NoSuchKey", "The specified key does not exist")
_DENIED = xml_error(403, "AccessDenied", "Access denied")
_HUGE = 5 * 1024**3


def _dead_link(data: Body, call: Call) -> Body:
    """Give a link whose signature ran out, as long as nobody has asked again."""
    url = str(data.get("video_url", ""))
    dead = url.partition("?")[0] + f"?expires={int(call.now) - 60}&signature=expired"
    return merge(data, video_url=dead) if url and not call.ended else data


def _shift(by: int) -> Step:
    """Announce `by` bytes more than are sent (fewer, when negative)."""

    def step(call: Call) -> Reply:
        announced = call.normal.announced()
        return call.normal if announced is None else call.normal.but(length=announced + by)

    return step


def _cut(call: Call) -> Reply:
    return call.normal.but(cut=int(call.value))


def _reset(call: Call) -> Reply:
    return _cut(call).but(wire=Wire(end="reset"))


def _wrong_range(call: Call) -> Reply:
    """Answer a range with as many bytes from the start of the file."""
    length = call.normal.announced()
    if call.normal.status != 206 or length is None:
        return call.normal
    span = f"bytes 0-{length - 1}/{call.media.size}"
    wrong = call.normal.with_header("Content-Range", span)
    return wrong.but(stream=lambda: call.media.read(0, length))


def _ignores_range(call: Call) -> Reply:
    environ = {name: value for name, value in call.request.environ.items() if name != "HTTP_RANGE"}
    return serve_file(Request(environ), call.media)


def _sized(call: Call) -> Reply:
    return serve_file(call.request, Media.of_size(int(call.value)))


def _changed(call: Call) -> Reply:
    """Serve another file than the last time."""
    return serve_file(call.request, Media.of_size(100_000 + call.asked))


def _not_mp4(call: Call) -> Reply:
    return serve_file(call.request, Media(b"\x00\x00\x00\x18nonsense", 60_000))


def _empty(call: Call) -> Reply:
    return serve_file(call.request, Media(b"", 0))


def _endless(call: Call) -> Reply:
    block = Media.of_size(0).start
    return call.normal.but(stream=lambda: repeat(block), announce=False)


def _unannounced(**wire: Any) -> Step:
    return lambda call: call.normal.but(announce=False, wire=Wire(**wire))


def _redirect(call: Call) -> Reply:
    return html_page(302, "Found").with_header("Location", call.value)


def _redirect_loop(call: Call) -> Reply:
    here = f"{call.request.path}?{call.request.query}"
    return html_page(302, "Found").with_header("Location", here)


def _trickle(call: Call) -> Reply:
    return call.normal.but(wire=Wire(pace=call.number))


def _hang(call: Call) -> Reply:
    return call.normal.but(wire=Wire(silence=call.number, head=False, end="close"))


def _at_first(answer: Reply) -> Step:
    """Give `answer` in the first seconds after the end of the render."""
    return lambda call: answer if call.since_end < call.number else call.normal


def _refuses_range(call: Call) -> Reply:
    return EXPIRED_LINK if "range" in call.request.headers else call.normal


def _labelled(name: str, value: str) -> Step:
    return lambda call: call.normal.with_header(name, value)


def _trailing(call: Call) -> Reply:
    media = Media(call.media.start + b"\r\n0\r\n\r\n", call.media.size + 7)
    return serve_file(call.request, media)


def _file(name: str, about: str, step: Step | Reply, **more: Any) -> Scenario:
    file = reply(step) if isinstance(step, Reply) else step
    return Scenario(name=f"file_{name}", about=about, file=file, **more)


_LINKS = (
    Scenario(
        name="file_expired_then_renewed",
        about="the first link has expired; the next retrieve brings a good one",
        retrieve=body(_dead_link),
    ),
    _file("expired", "the link has expired and stays so", EXPIRED_LINK),
    _file("403", "403, *times", EXPIRED_LINK, times=1),
    _file("404", "404", _NO_KEY),
    _file("403_at_first", "403 for =150 s after the end", _at_first(_DENIED), value="150"),
    _file("404_at_first", "404 for =150 s after the end", _at_first(_NO_KEY), value="150"),
    _file("410", "410", xml_error(410, "Gone", "The object is gone")),
    _file("503", "503, *times", xml_error(503, "SlowDown", "Reduce your request rate"), times=1),
    _file("redirect", "302 to =url", _redirect, value="http://169.254.169.254/latest/meta-data/"),
    _file("redirect_loop", "302 to itself", _redirect_loop),
)

_LENGTHS = (
    _file("cut", "broken off at byte =20000, *times", _cut, value="20000", times=1),
    _file("reset", "reset at byte =20000, *times", _reset, value="20000", times=1),
    _file("length_above", "Content-Length is 1000 bytes too much", _shift(1000)),
    _file("length_below", "Content-Length is 1000 bytes too little", _shift(-1000)),
    _file("huge_length", "Content-Length says 5 GB", lambda call: call.normal.but(length=_HUGE)),
    _file("chunked", "chunked, without a length", _unannounced()),
    _file("no_length", "ends when the connection closes", _unannounced(end="close")),
    _file("endless", "never ends", _endless),
    _file("size", "=2000000000 bytes long", _sized, value="2000000000"),
)

_RANGES = (
    _file("wrong_range", "206 of another range", _wrong_range),
    _file("ignores_range", "200 to a Range request", _ignores_range),
    _file("refuses_range", "403 to a Range request", _refuses_range),
    _file("changed", "another file each time", _changed),
)

_CONTENTS = (
    _file("html", "a page for people with 200", html_page()),
    _file("xml", "the storage's error with 200", EXPIRED_LINK.but(status=200)),
    _file("not_mp4", "called video/mp4, but no ftyp box", _not_mp4),
    _file("empty", "200 with nothing in it", _empty),
    _file(
        "aws_chunked",
        "a plain body, called Content-Encoding: aws-chunked",
        _labelled("Content-Encoding", "aws-chunked"),
    ),
    _file("text_plain", "called text/plain", _labelled("Content-Type", "text/plain")),
    _file("trailing_bytes", "a few bytes after the last box", _trailing),
)

_SPEEDS = (
    _file("trickle", "a byte every =1 s", _trickle, value="1"),
    _file("hang", "silence for =60 s, then closed", _hang, value="60"),
)

FILE_SCENARIOS = (*_LINKS, *_LENGTHS, *_RANGES, *_CONTENTS, *_SPEEDS)
