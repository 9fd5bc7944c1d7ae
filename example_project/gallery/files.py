"""Sending a file, or the part of it that a player asks for: Safari plays nothing without."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase

__all__ = ["file_response"]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_LARGEST_PART = 4 * 1024**2


def file_response(request: HttpRequest, path: str) -> HttpResponseBase:
    """Return the file, or the range of bytes that was asked for."""
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    size = Path(path).stat().st_size
    span = _span(request.headers.get("Range", ""), size)
    response: HttpResponseBase
    if span is None:
        whole = Path(path).open("rb")  # noqa: SIM115  (the response closes it)
        response = FileResponse(whole, content_type=kind)
    else:
        response = _part(path, span, size, kind)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


def _part(path: str, span: tuple[int, int], size: int, kind: str) -> HttpResponse:
    first, last = span
    with Path(path).open("rb") as file:
        file.seek(first)
        body = file.read(last - first + 1)
    headers = {"Content-Range": f"bytes {first}-{last}/{size}"}
    return HttpResponse(body, status=206, content_type=kind, headers=headers)


def _span(header: str, size: int) -> tuple[int, int] | None:
    """Return the first and the last byte of a single range, None for the whole file."""
    match = _RANGE.fullmatch(header)
    if match is None or match[1] == match[2] == "":
        return None
    if not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size), size - 1)
    last = min(last, first + _LARGEST_PART - 1)
    return (first, last) if first <= last else None
