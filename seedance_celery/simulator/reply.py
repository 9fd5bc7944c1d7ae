"""What the simulator answers, as plain values.

A `Reply` is everything that a WSGI app can say. Its `wire` is what only a server that owns the
socket can do: silence, a byte at a time, no reply at all, a connection that is reset.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Literal

__all__ = [
    "Body",
    "Reply",
    "Wire",
    "api_error",
    "html_page",
    "json_reply",
    "raw_reply",
    "xml_error",
]

Body = dict[str, Any]

_JSON = (("Content-Type", "application/json; charset=utf-8"),)
_OTHER_REASONS = {524: "A Timeout Occurred"}


@dataclass(frozen=True)
class Wire:
    """How a reply travels; the bundled server understands it.

    `silence` is seconds without a byte before anything is sent, `pace` seconds between two
    bytes of the body. With `head` false nothing is sent at all. `end` says what becomes of the
    connection: kept for the next request, closed, or reset (TCP RST). `interim` is the status of
    a reply that is sent before the real one, such as 103 (Early Hints); 0 sends none.
    """

    silence: float = 0
    pace: float = 0
    head: bool = True
    end: Literal["keep", "close", "reset"] = "keep"
    interim: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether any WSGI server can do it."""
        return self == Wire()


@dataclass(frozen=True)
class Reply:
    """One HTTP reply.

    `data` is a JSON body that scenarios may still change; without it `body`, or `stream` of
    `length` bytes, is sent. `cut` ends the body after so many bytes, whatever was announced.
    Without `announce` there is no `Content-Length`.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    data: Body | None = None
    body: bytes = b""
    stream: Callable[[], Iterable[bytes]] | None = None
    length: int | None = None
    cut: float = math.inf
    announce: bool = True
    wire: Wire = field(default_factory=Wire)

    @property
    def status_line(self) -> str:
        """Return the status as WSGI wants it: `"200 OK"`."""
        known = {int(status): status.phrase for status in HTTPStatus} | _OTHER_REASONS
        return f"{self.status} {known.get(self.status, 'Unknown')}"

    def header(self, name: str, default: str = "") -> str:
        """Return the value of the header `name` (any case), or `default`."""
        return {key.lower(): value for key, value in self.headers}.get(name.lower(), default)

    def but(self, **changes: Any) -> Reply:
        """Return a copy with `changes`."""
        return replace(self, **changes)

    def with_header(self, name: str, value: str) -> Reply:
        """Return a copy whose header `name` is `value`, whatever it was."""
        others = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return replace(self, headers=(*others, (name, value)))

    def encoded(self) -> Reply:
        """Return a copy whose `data` became `body`."""
        if self.data is None:
            return self
        return replace(self, data=None, body=json.dumps(self.data).encode())

    def announced(self) -> int | None:
        """Return what `Content-Length` says, in bytes; None where it is not sent."""
        if not self.announce:
            return None
        return len(self.body) if self.length is None else self.length

    def chunks(self) -> Iterator[bytes]:
        """Yield the body up to `cut`."""
        left = self.cut
        for chunk in self.stream() if self.stream is not None else (self.body,):
            if left <= 0:
                return
            part = chunk if left >= len(chunk) else chunk[: int(left)]
            left -= len(part)
            if part:
                yield part


def json_reply(data: Body, status: int = 200) -> Reply:
    """Return `data` as a JSON reply."""
    return Reply(status, _JSON, data)


def raw_reply(body: bytes, status: int = 200) -> Reply:
    """Return bytes that are called JSON, whatever they are."""
    return Reply(status, _JSON, body=body)


def api_error(status: int, message: str, code: str | None = "", param: str = "") -> Reply:
    """Return CometAPI's usual error envelope."""
    error = {"message": message, "type": "comet_api_error", "param": param, "code": code}
    return json_reply({"error": error}, status)


def html_page(status: int = 200, title: str = "CometAPI") -> Reply:
    """Return a page for people, where a program expected JSON or a file."""
    page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"
    return Reply(status, (("Content-Type", "text/html; charset=utf-8"),), body=page.encode())


def xml_error(status: int, code: str, message: str) -> Reply:
    """Return an error as object storages write it."""
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return Reply(status, (("Content-Type", "application/xml"),), body=document.encode())
