"""Keep a download in a Django storage: whole, under a name that shows nothing before it is whole.

`store` chooses how: a file system gets a temporary file beside the final one, S3 a multipart
upload, any other storage a finished temporary file through its own `save`. A storage whose class
has its own idea of saving (one that encrypts, say) always gets the last.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Protocol, TypeVar

from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage
from django.core.files.utils import validate_file_name
from django.utils.text import get_valid_filename

from ..exceptions import StorageError
from .filesystem import save_to_directory
from .s3 import save_to_bucket

__all__ = ["Source", "StoredFile", "discard", "store", "upload_name"]

logger = logging.getLogger(__name__)


class Source(Protocol):
    """What is stored: a `Download`, or anything alike."""

    def chunks(self) -> Generator[bytes, None, None]:
        """Yield the file, and raise where it does not come to its end."""

    @property
    def size(self) -> int:
        """The size in bytes, once all chunks have been taken."""

    @property
    def sha256(self) -> str:
        """The SHA-256 in hexadecimal, once all chunks have been taken."""


class HasPk(Protocol):
    """A row, as far as its file's name needs it."""

    @property
    def pk(self) -> Any:
        """The primary key."""


V = TypeVar("V", bound=HasPk)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A kept file: its name in the storage, its size in bytes and its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


def store(
    source: Source,
    storage: Storage,
    name: str,
    *,
    max_length: int | None = None,
    temp_dir: str | None = None,
) -> StoredFile:
    """Keep a file and return what became of it; the storage may have changed the name.

    Where the same bytes are there under `name` already (a task that died before it could say so,
    another one that was faster), those stay and no second file is left. `max_length` limits the
    name, `temp_dir` is where a temporary file goes for storages that need one.

    Raises what `source.chunks()` raises, `StorageError` where the storage kept something else,
    and whatever the storage raises itself; nothing is left under the name then.
    """
    with closing(source.chunks()) as chunks:
        kept = _save(chunks, storage, name, max_length, temp_dir)
    _check_kept(source, storage, kept)
    if kept != name and _holds(storage, name, source.size, source.sha256):
        storage.delete(kept)
        kept = name
    return StoredFile(kept, source.size, source.sha256)


def discard(storage: Storage, name: str, *, kept: str) -> None:
    """Remove a file that nobody points to, unless it is `kept`, the name that the row has."""
    if name and name != kept:
        storage.delete(name)


def upload_name(upload_to: str | Callable[[V], str], video: V, when: datetime) -> str:
    """Return the name for a video's file: `<folder>/<pk>.mp4`.

    `upload_to` is the folder, a strftime format that `when` fills in, or a callable that takes
    the video and returns a name, or a folder if that ends with a slash. For one video `when` must
    always be the same moment, or a repeated store makes a second file.

    Raises `SuspiciousFileOperation` for a name that leaves the storage's root.
    """
    name = upload_to(video) if callable(upload_to) else when.strftime(upload_to).rstrip("/") + "/"
    if not name or name.endswith("/"):
        name = f"{name}{video.pk}.mp4"
    name = posixpath.normpath(validate_file_name(name.lstrip("/"), allow_relative_path=True))
    return "/".join(get_valid_filename(part) for part in name.replace("\\", "/").split("/"))


def _save(
    chunks: Generator[bytes, None, None],
    storage: Storage,
    name: str,
    max_length: int | None,
    temp_dir: str | None,
) -> str:
    validate_file_name(name, allow_relative_path=True)
    if isinstance(storage, FileSystemStorage) and _saves_like(storage, FileSystemStorage):
        return save_to_directory(chunks, storage, name, max_length)
    s3 = getattr(sys.modules.get("storages.backends.s3"), "S3Storage", None)
    if s3 is not None and isinstance(storage, s3) and _saves_like(storage, s3):
        return save_to_bucket(chunks, storage, name, max_length)
    with tempfile.TemporaryFile(dir=temp_dir) as spool:
        for chunk in chunks:
            spool.write(chunk)
        return _save_spooled(spool, storage, name, max_length)


def _saves_like(storage: Storage, base: type[Storage]) -> bool:
    # `__class__`, because a lazy storage only claims to be of its class.
    methods = ("open", "_open", "save", "_save")
    return all(getattr(storage.__class__, name) is getattr(base, name) for name in methods)


def _save_spooled(spool: IO[bytes], storage: Storage, name: str, max_length: int | None) -> str:
    spool.flush()
    size, sha256 = spool.tell(), _digest(spool)
    spool.seek(0)
    name = storage.get_available_name(name, max_length=max_length)
    was_there = storage.exists(name)
    try:
        return storage.save(name, File(spool, name=name), max_length=max_length)
    except BaseException:
        if not was_there:
            _remove_partial(storage, name, size, sha256)
        raise


def _remove_partial(storage: Storage, name: str, size: int, sha256: str) -> None:
    try:
        # Whole and the same: another task's, which came in between.
        if not _holds(storage, name, size, sha256):
            storage.delete(name)
    except Exception as error:  # noqa: BLE001  # whatever a storage raises; the first error counts
        logger.warning("A partial file stays in the storage: %s", type(error).__name__)


def _check_kept(source: Source, storage: Storage, name: str) -> None:
    try:
        size = storage.size(name)
    except NotImplementedError:
        return
    if size != source.size:
        storage.delete(name)
        raise StorageError(f"The storage kept {size} of {source.size} bytes.")


def _holds(storage: Storage, name: str, size: int, sha256: str) -> bool:
    """Tell whether a storage has this very file under a name."""
    try:
        if not storage.exists(name) or storage.size(name) != size:
            return False
        with storage.open(name) as file:
            return _digest(file) == sha256
    except (NotImplementedError, FileNotFoundError):
        return False


def _digest(file: IO[bytes] | File[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(256 * 1024):
        digest.update(chunk)
    return digest.hexdigest()
