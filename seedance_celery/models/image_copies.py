"""Images that wait in the storage until the create that sends them is answered."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.files import File
from django.core.files.storage import Storage, storages

from ..conf import get_settings

__all__ = ["copied", "remove"]

logger = logging.getLogger(__name__)

FOLDER = "seedance/uploads/"


def _storage() -> Storage:
    return storages[get_settings().storage]


@contextlib.contextmanager
def copied(images: Iterable[Any]) -> Iterator[list[list[Any]]]:
    """Copy open files into the storage; names stay as they are.

    Yields `[name, is ours to remove]` for each image. Where the block raises, the copies go.
    """
    names: list[list[Any]] = []
    try:
        for image in [images] if isinstance(images, (str, bytes)) else images:
            names.append(_copied(image))
        yield names
    except BaseException:
        remove(names)
        raise


def _copied(image: Any) -> list[Any]:
    if not hasattr(image, "read"):
        return [image, False]
    return [_storage().save(FOLDER + uuid.uuid4().hex, File(image)), True]


def remove(names: Iterable[Iterable[Any]]) -> None:
    """Remove the copies among these images; the user's own files stay.

    A storage that is away keeps a copy longer: the end of its video removes it, or `prune`.
    """
    for name, is_copy in names:
        if is_copy:
            try:
                _storage().delete(name)
            except Exception as error:  # noqa: BLE001  (a storage may raise anything)
                logger.warning("The copy %s is not removed yet (%s)", name, type(error).__name__)
