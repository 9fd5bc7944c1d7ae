"""A host of files that plays a script: one step for each request, the last one for all others."""

from __future__ import annotations

import random
import re
import ssl
from collections.abc import Callable

from ..unit.scripted_server import Peer, Received, Script, ScriptedServer, reply

__all__ = ["chunked", "cut", "file_server", "film", "head", "mp4", "ranged", "redirect", "whole"]

ETAG = '"one"'
RANGE = re.compile(r"bytes=(\d+)-")


def mp4(size: int, seed: int = 1) -> bytes:
    """Return `size` bytes that look like an MP4 from outside."""
    start = (24).to_bytes(4, "big") + b"ftypisom" + bytes(4) + b"isommp42"
    content = random.Random(seed).randbytes(size - len(start) - 8)
    return start + (len(content) + 8).to_bytes(4, "big") + b"mdat" + content


def film(size: int, seed: int = 1) -> bytes:
    """Return `size` bytes of an MP4 with pictures and, behind them, an index."""
    return mp4(size - 108, seed) + (108).to_bytes(4, "big") + b"moov" + bytes(100)


def file_server(*steps: Script, tls: ssl.SSLContext | None = None) -> ScriptedServer:
    """Return a server that plays the steps in turn."""
    rest = iter(steps[:-1])
    return ScriptedServer(lambda peer, got: next(rest, steps[-1])(peer, got), tls=tls)


def head(status: int = 200, /, **fields: str | int) -> bytes:
    """Return the head of a reply of type `video/mp4`; `content_range="…"` sends `Content-Range`."""
    lines = {"Content-Type": "video/mp4"}
    lines |= {name.replace("_", "-").title(): str(value) for name, value in fields.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Whatever\r\n{text}\r\n".encode()


def whole(body: bytes, **fields: str | int) -> Script:
    """Send all of a file, whatever was asked."""
    return cut(body, len(body), **fields)


def cut(body: bytes, at: int, **fields: str | int) -> Script:
    """Announce all of a file and close the connection at byte `at`."""

    def step(peer: Peer, received: Received) -> None:
        peer.send(head(200, **{"etag": ETAG, "content_length": len(body), **fields}) + body[:at])
        peer.close()

    return step


def ranged(body: bytes, at: int | None = None, etag: str = ETAG) -> Script:
    """Serve the range that is asked for, if `If-Range` fits, and close at byte `at` of the file."""

    def step(peer: Peer, received: Received) -> None:
        match = RANGE.fullmatch(received.headers.get("range", ""))
        if match is None or received.headers.get("if-range") != etag:
            cut(body, len(body) if at is None else at, etag=etag)(peer, received)
            return
        start = int(match[1])
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        length = len(body) - start
        peer.send(head(206, etag=etag, content_length=length, content_range=span))
        peer.send(body[start:at])
        peer.close()

    return step


def chunked(body: bytes, *, is_ended: bool = True, **fields: str | int) -> Script:
    """Send a file in chunks of 1000 bytes, without a length."""

    def step(peer: Peer, received: Received) -> None:
        peer.send(head(200, transfer_encoding="chunked", etag=ETAG, **fields))
        for start in range(0, len(body), 1000):
            piece = body[start : start + 1000]
            peer.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        if is_ended:
            peer.send(b"0\r\n\r\n")
        peer.close()

    return step


def refuse(status: int, **fields: str) -> Script:
    """Answer with an error."""
    return lambda peer, received: peer.send(reply(b"<Error/>", status, fields))


def redirect(url: Callable[[], str] | str, status: int = 302) -> Script:
    """Answer with a redirect."""
    target = url if callable(url) else lambda: url
    return lambda peer, received: peer.send(reply(b"", status, {"Location": target()}))
