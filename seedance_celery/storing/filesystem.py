"""Keep a file in a directory: the final name appears when the file is whole and on the disk."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from django.core.files import locks
from django.core.files.storage import FileSystemStorage

__all__ = ["save_to_directory"]

logger = logging.getLogger(__name__)

PREFIX, SUFFIX = ".seedance-", ".part"


def save_to_directory(
    chunks: Iterable[bytes], storage: FileSystemStorage, name: str, max_length: int | None
) -> str:
    """Write a file and return the name it got, by the storage's rules on names and permissions.

    Temporary files that killed processes left in the same directory are removed.
    """
    name = storage.get_available_name(name, max_length=max_length)
    directory = Path(storage.path(name)).parent
    _make_directory(directory, storage.directory_permissions_mode)
    _remove_leftovers(directory)
    with _temporary_file(directory) as (file, temporary):
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        _set_access(temporary, storage)
        os.fsync(file.fileno())
        final = _publish(temporary, storage, name, max_length)
    _sync_directory(final.parent)
    return final.relative_to(storage.location).as_posix()


def _publish(
    temporary: Path, storage: FileSystemStorage, name: str, max_length: int | None
) -> Path:
    """Give a finished file its final name, never over a file that the storage would not replace."""
    while True:
        final = Path(storage.path(name))
        try:
            _rename_to_new(temporary, final)
        except FileExistsError:
            taken = name
            name = storage.get_available_name(name, max_length=max_length)
            if name == taken:  # this storage replaces files
                temporary.replace(final)
                return final
        else:
            return final


def _rename_to_new(temporary: Path, final: Path) -> None:
    try:
        final.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here (FAT, some network drives). What comes between the two lines could
        # be replaced; Windows refuses even that.
        if os.path.lexists(final):
            raise FileExistsError(str(final)) from None
        temporary.rename(final)


@contextmanager
def _temporary_file(directory: Path) -> Iterator[tuple[IO[bytes], Path]]:
    file, path = _locked_file(directory)
    try:
        with file:
            yield file, path
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def _locked_file(directory: Path) -> tuple[IO[bytes], Path]:
    """Create a file, locked as long as its process lives, by which it is told from a leftover."""
    while True:
        path = directory / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
        file = path.open("xb")
        with suppress(OSError):  # a file system without locks; then no leftover is removed either
            locks.lock(file, locks.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file, path
        file.close()  # taken for a leftover between the two calls


def _remove_leftovers(directory: Path) -> None:
    for path in directory.glob(f"{PREFIX}*{SUFFIX}"):
        # Removed by another task meanwhile, or not ours to lock or remove.
        with suppress(OSError), path.open("r+b") as file:
            if locks.lock(file, locks.LOCK_EX | locks.LOCK_NB):
                path.unlink()
                logger.info("Removed the unfinished file of a process that died")


def _make_directory(directory: Path, mode: int | None) -> None:
    """Create a directory with its parents, all with the storage's mode, and sync their entries."""
    if directory.is_dir():
        return
    _make_directory(directory.parent, mode)
    with suppress(FileExistsError):
        directory.mkdir()
        if mode is not None:
            directory.chmod(mode)
        _sync_directory(directory.parent)
    if not directory.is_dir():
        raise FileExistsError(f"{directory} exists and is not a directory.")


def _set_access(path: Path, storage: FileSystemStorage) -> None:
    if storage.file_permissions_mode is not None:
        path.chmod(storage.file_permissions_mode)
    group = Path(storage.location).stat().st_gid
    if os.name == "posix" and path.stat().st_gid != group:
        with suppress(PermissionError):
            os.chown(path, -1, group)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":  # elsewhere a directory cannot be opened
        return
    # Some file systems sync no directory, and some may only be written to. The file in it is synced
    # and has its name: to raise now would only make another of it.
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
