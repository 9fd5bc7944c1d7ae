"""What the simulator is asked: a WSGI environ as a value, and multipart forms."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from functools import cached_property
from typing import Any

__all__ = ["BadForm", "Form", "Request", "Upload", "parse_form"]


class BadForm(ValueError):  # noqa: N818
    """The body is not the multipart form that its header promises."""


@dataclass(frozen=True)
class Upload:
    """One file of a form: its field, name, type, size in bytes, SHA-256 and first 16 bytes."""

    field: str
    filename: str
    content_type: str
    size: int
    sha256: str
    start: bytes = b""


@dataclass(frozen=True)
class Form:
    """The fields (the last of a name wins) and the files of a form."""

    fields: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Upload, ...] = ()


@dataclass(frozen=True)
class Request:
    """One request, before its body is read; `id` is what the API calls it."""

    environ: Mapping[str, Any] = field(repr=False)
    id: str = ""

    @property
    def method(self) -> str:
        """Return the method, in capitals."""
        return str(self.environ["REQUEST_METHOD"]).upper()

    @property
    def path(self) -> str:
        """Return the path, unquoted."""
        return str(self.environ.get("PATH_INFO") or "/")

    @property
    def query(self) -> str:
        """Return the query string exactly as it was sent."""
        return str(self.environ.get("QUERY_STRING", ""))

    @cached_property
    def headers(self) -> dict[str, str]:
        """Return the headers by their lower-case names."""
        found = {
            name[5:].replace("_", "-").lower(): str(value)
            for name, value in self.environ.items()
            if name.startswith("HTTP_")
        }
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if self.environ.get(name):
                found[name.replace("_", "-").lower()] = str(self.environ[name])
        return found

    @property
    def key(self) -> str:
        """Return the bearer key, or an empty string."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""

    @property
    def origin(self) -> str:
        """Return scheme, host and port that the client used, without a slash."""
        host = self.environ.get("HTTP_HOST") or "{SERVER_NAME}:{SERVER_PORT}".format(**self.environ)
        return f"{self.environ['wsgi.url_scheme']}://{host}"

    @property
    def size(self) -> int:
        """Return the announced size of the body in bytes; 0 where none or nonsense is said."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() else 0

    def read(self) -> bytes:
        """Read the body; raise `ConnectionAbortedError` when the client did not send it whole."""
        stream = self.environ["wsgi.input"]
        if self.environ.get("wsgi.input_terminated"):
            return bytes(stream.read())
        body = bytes(stream.read(self.size))
        if len(body) < self.size:
            raise ConnectionAbortedError("the client went away in the middle of its body")
        return body


def parse_form(content_type: str, body: bytes) -> Form:
    """Parse a `multipart/form-data` body; raise `BadForm` when it is not one."""
    header = message_from_bytes(b"Content-Type: " + content_type.encode("latin-1", "replace"))
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        raise BadForm("the content type is not multipart/form-data with a boundary")
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))
    if not parts or not parts[-1].startswith(b"--"):
        raise BadForm("the form's closing boundary is missing")
    return _collect(parts[:-1])


def _collect(parts: list[bytes]) -> Form:
    fields: dict[str, str] = {}
    files: list[Upload] = []
    for part in parts:
        head, blank, content = part.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
        message = message_from_bytes(head)
        name = message.get_param("name", header="content-disposition")
        if not blank or not isinstance(name, str):
            raise BadForm("a part of the form has no name or no body")
        filename = message.get_filename()
        if filename is None:
            fields[name] = content.decode("utf-8", "replace")
        else:
            kind, digest = message.get_content_type(), hashlib.sha256(content).hexdigest()
            files.append(Upload(name, filename, kind, len(content), digest, content[:16]))
    return Form(fields, tuple(files))
