"""The multipart body of a create, read from its files as it is sent."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Protocol, TypeAlias

from requests_toolbelt import MultipartEncoder  # type: ignore[import-untyped]  # it ships no types

from ..api.catalog import IMAGE_HEAD, image_type
from ..api.redaction import storable_text
from ..exceptions import ConnectFailed, InvalidRequest

__all__ = ["Image", "ImageFile", "Upload"]

CHUNK = 64 * 1024
MAX_NAME = 100


class BinaryReader(Protocol):
    """An open binary file, or anything else with its `read`."""

    def read(self, size: int = ..., /) -> bytes:
        """Return up to `size` bytes."""


Image: TypeAlias = "BinaryReader | tuple[str, BinaryReader, str]"
"""An open binary file, or (name, file, MIME type). It is sent from its beginning."""


class ImageFile:
    """One image: its first bytes, and what the multipart encoder asks for (`len` and `read`).

    A file that cannot seek is copied to a temporary file first, to know its size; `close` removes
    that copy and leaves the file itself to the caller. Raises
    `ConnectFailed` where the file cannot be read, as the request does not go out whole then, and
    `InvalidRequest` for what is not an open binary file.
    """

    def __init__(self, image: Image, number: int) -> None:
        name, file, kind = _parts(image, number)
        if not callable(getattr(file, "read", None)):
            raise InvalidRequest(f"Image {number} is not an open file.", "images")
        self._number = number
        self._copy: IO[bytes] | None = None
        self.deadline = math.inf
        self._file, self.len = self._measured(file)
        self.head = self._bytes(IMAGE_HEAD)
        self._guarded(self._file.seek, 0)
        self.type = image_type(self.head) or kind or "application/octet-stream"
        suffix = self.type.rpartition("/")[2]
        self.name = storable_text(name, MAX_NAME) or f"image-{number}.{suffix}"

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; the file must be as long as it was at first.

        A file that gives little at a time is not read past `deadline` (`time.monotonic`).
        """
        if time.monotonic() > self.deadline:
            message = f"Image {self._number} took too long to read; nothing was sent whole."
            raise ConnectFailed(message)
        wanted = self.len if size < 0 else min(size, self.len)
        data = self._bytes(wanted)
        if wanted and not data:
            raise ConnectFailed(f"Image {self._number} became shorter; nothing was sent whole.")
        self.len -= len(data)
        return data

    def close(self) -> None:
        """Remove the copy, if one was made."""
        if self._copy is not None:
            self._copy.close()

    def _bytes(self, size: int) -> bytes:
        data = self._guarded(self._file.read, size)
        if not isinstance(data, bytes):
            message = f"Image {self._number} must be opened in binary mode."
            raise InvalidRequest(message, "images")
        return data

    def _measured(self, file: Any) -> tuple[Any, int]:
        try:
            file.seek(0, 2)
            size = int(file.tell())
            file.seek(0)
        except (AttributeError, OSError):
            self._copy, size = self._guarded(_copied, file)
            return self._copy, size
        except ValueError:
            message = f"Image {self._number} is a closed file. Open it again."
            raise InvalidRequest(message, "images") from None
        return file, size

    def _guarded(self, step: Any, argument: Any) -> Any:
        try:
            return step(argument)
        except Exception as error:  # a storage may raise anything
            message = f"Image {self._number} could not be read ({type(error).__name__})."
            raise ConnectFailed(f"{message} Nothing was sent whole.") from error


def _parts(image: Any, number: int) -> tuple[str, Any, str]:
    """Return the name, the file and the MIME type of an image; "" where it has none."""
    parts = image if isinstance(image, tuple) else ("", image, "")
    is_right = len(parts) == 3 and isinstance(parts[0], str) and isinstance(parts[2], str)
    # The type stands in a header of the upload.
    if is_right and parts[2].isascii() and parts[2].isprintable():
        return parts[0], parts[1], parts[2]
    message = f"Image {number} is an open file, or (name, file, MIME type)."
    raise InvalidRequest(message, "images")


def _copied(file: Any) -> tuple[IO[bytes], int]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the image
    shutil.copyfileobj(file, copy)
    size = copy.tell()
    copy.seek(0)
    return copy, size


class Upload:
    """A multipart body. CometAPI documents it for every create, with or without a file."""

    def __init__(
        self, fields: Mapping[str, str], images: Iterable[ImageFile], deadline: float
    ) -> None:
        parts: list[tuple[str, Any]] = list(fields.items())
        for image in images:
            image.deadline = deadline
            parts.append(("input_reference", (image.name, image, image.type)))
        self._encoder = MultipartEncoder(parts)
        self.content_type: str = self._encoder.content_type
        self.length: int = self._encoder.len

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, at most 64 KiB at a time."""
        while chunk := self._encoder.read(CHUNK):
            yield chunk
