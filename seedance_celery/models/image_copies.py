"""Images that wait in the storage until the create that sends them is answered.

A row keeps each as `[name, is_copy]`. That form comes from here alone: callers hand in names and
open files, and only the copy of an open file is the package's to remove.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.files import File
from django.core.files.storage import Storage, storages

from ..api.arguments import checked_images, checked_name, is_file
from ..api.catalog import IMAGE_HEAD
from ..conf import get_settings
from ..exceptions import InvalidRequest

__all__ = ["Image", "heads_of", "remove", "stored"]

logger = logging.getLogger(__name__)

FOLDER = "seedance/uploads/"
CHUNK = 64 * 1024

# Copies are named by a random hexadecimal number; a storage that finds the name taken adds to it.
_COPY = re.compile(re.escape(FOLDER) + r"[0-9a-f]{32}[\w-]*", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Image:
    """An image in the storage, and whether it is a copy that the package made."""

    name: str
    is_copy: bool = False

    def as_row(self) -> list[Any]:
        """Return the image as a row keeps it."""
        return [self.name, self.is_copy]

    def read(self, *, whole: bool) -> tuple[bytes, str]:
        """Return the first bytes, and the hash of all bytes where the `whole` file is wanted."""
        try:
            with _storage().open(self.name, "rb") as file:
                return _read(file, whole=whole)
        # The storage's own complaint about a name is a SuspiciousOperation or a ValueError.
        except (OSError, ValueError, SuspiciousOperation):
            raise InvalidRequest(f"The storage has no image {self.name!r}.", "images") from None


def _read(file: Any, *, whole: bool) -> tuple[bytes, str]:
    head = bytes(file.read(IMAGE_HEAD))
    if not whole:
        return head, ""
    content = hashlib.sha256(head)
    while chunk := file.read(CHUNK):
        content.update(chunk)
    return head, content.hexdigest()


def _storage() -> Storage:
    return storages[get_settings().storage]


@contextlib.contextmanager
def stored(images: Any, *, takes_files: bool) -> Iterator[list[Image]]:
    """Yield the images of an order; copy open files into the storage where they are taken.

    Names stay as they are. Where the block raises, the copies are removed again.
    """
    given = [_checked(image, takes_files=takes_files) for image in checked_images(images)]
    found: list[Image] = []
    try:
        for image in given:
            found.append(Image(image) if isinstance(image, str) else _copied(image))
        yield found
    except BaseException:
        remove(image.as_row() for image in found)
        raise


def _checked(image: Any, *, takes_files: bool) -> Any:
    """Return a name, or an open file that gives bytes."""
    if not is_file(image):
        return checked_name(image)
    if not takes_files:
        message = "images are names in the storage here: only generate_video takes open files."
        raise InvalidRequest(message, "images")
    try:
        is_open = isinstance(image.read(0), bytes)
    except (AttributeError, OSError, TypeError, ValueError):  # closed, opened to write, or gone
        is_open = False
    if not is_open:
        message = "An image is a closed file, or not open in binary mode. Open it again."
        raise InvalidRequest(message, "images")
    return image


def _copied(file: Any) -> Image:
    return Image(_storage().save(FOLDER + uuid.uuid4().hex, File(file)), is_copy=True)


def heads_of(images: Any) -> list[bytes]:
    """Return the first bytes of names and of open files, which are left at their beginning."""
    return [_head(_checked(image, takes_files=True)) for image in checked_images(images)]


def _head(image: Any) -> bytes:
    if isinstance(image, str):
        return Image(image).read(whole=False)[0]
    try:
        image.seek(0)
        head = bytes(image.read(IMAGE_HEAD))
        image.seek(0)
    except (AttributeError, OSError, ValueError):
        message = "An image is a file that cannot be read from its beginning. Open it again."
        raise InvalidRequest(message, "images") from None
    return head


def remove(images: Any) -> None:
    """Remove the copies among the images of a row; the user's own files stay.

    What a row says is not enough: a name that the package did not make is left alone, whoever
    wrote the row. A storage that is away keeps a copy longer: the end of its video removes it, or
    `prune`.
    """
    for name in _copies(images):
        if not _COPY.fullmatch(name):
            logger.warning("A row calls a file its copy that is none, and it is not removed")
            continue
        try:
            _storage().delete(name)
        except Exception as error:  # noqa: BLE001  (a storage may raise anything)
            logger.warning("The copy %s is not removed yet (%s)", name, type(error).__name__)


def _copies(images: Any) -> Iterator[str]:
    """Yield the names that a row calls copies; skip what is not in the form of this module."""
    for image in images if isinstance(images, Iterable) else ():
        match image:
            case [str(name), True]:
                yield name
