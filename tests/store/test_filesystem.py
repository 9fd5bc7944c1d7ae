"""Keeping a file in a directory."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import psutil
import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage

from seedance_celery.exceptions import DownloadInterrupted
from seedance_celery.storing.saving import StoredFile, store

from .conftest import NewDownload
from .file_server import cut, file_server, mp4, whole
from .sources import Broken, Pieces, break_at

VIDEO = mp4(300_000)
OTHER = mp4(300_000, seed=2)
NAME = "seedance/2026/07/a.mp4"


@pytest.fixture
def storage(tmp_path: Path) -> FileSystemStorage:
    return FileSystemStorage(location=tmp_path / "media")


def files(storage: FileSystemStorage) -> dict[str, bytes]:
    """Return everything below the storage's root, temporary files included."""
    root = Path(storage.location)
    paths = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def test_download_is_kept(storage: FileSystemStorage, new_download: NewDownload) -> None:
    with file_server(whole(VIDEO)) as server:
        kept = store(new_download(server.url), storage, NAME)
    assert kept == StoredFile(NAME, len(VIDEO), hashlib.sha256(VIDEO).hexdigest())
    assert files(storage) == {NAME: VIDEO}


def test_broken_download_leaves_nothing(
    storage: FileSystemStorage, new_download: NewDownload
) -> None:
    with file_server(cut(VIDEO, 150_000)) as server, pytest.raises(DownloadInterrupted):
        store(new_download(server.url, attempts=2), storage, NAME)
    assert files(storage) == {}


def test_name_appears_when_the_file_is_whole(storage: FileSystemStorage) -> None:
    seen: list[dict[str, bytes]] = []
    store(Pieces(VIDEO, lambda done: seen.append(files(storage))), storage, NAME)
    assert all(NAME not in before and len(before) == 1 for before in seen)
    assert files(storage) == {NAME: VIDEO}


def test_file_is_on_the_disk_before_it_gets_its_name_and_then_the_name(
    storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, bool]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        events.append((kind, storage.exists(NAME)))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    store(Pieces(VIDEO), storage, NAME)
    made = len(Path(NAME).parts)  # the root and the folders below it
    expected = [("directory", False)] * made + [("file", False), ("directory", True)]
    assert events == expected


def test_directory_that_cannot_be_synced_gets_the_file_once(
    storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse_directories(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_directories)
    assert [store(Pieces(VIDEO), storage, NAME).name for _ in range(2)] == [NAME, NAME]
    assert files(storage) == {NAME: VIDEO}


@pytest.fixture
def without_hard_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)


def test_file_of_someone_else_is_not_replaced(storage: FileSystemStorage) -> None:
    store(Pieces(OTHER), storage, NAME)
    kept = store(Pieces(VIDEO), storage, NAME)
    assert kept.name != NAME
    assert files(storage) == {NAME: OTHER, kept.name: VIDEO}


def _appears_meanwhile(storage: FileSystemStorage) -> StoredFile:
    path = Path(storage.location, NAME)

    def appear(done: int) -> None:
        path.write_bytes(OTHER)

    return store(Pieces(VIDEO, appear), storage, NAME)


def test_file_that_appears_meanwhile_is_not_replaced(storage: FileSystemStorage) -> None:
    kept = _appears_meanwhile(storage)
    assert kept.name != NAME
    assert files(storage) == {NAME: OTHER, kept.name: VIDEO}


@pytest.mark.usefixtures("without_hard_links")
def test_without_hard_links_it_is_not_replaced_either(storage: FileSystemStorage) -> None:
    kept = _appears_meanwhile(storage)
    assert kept.name != NAME
    assert files(storage) == {NAME: OTHER, kept.name: VIDEO}


@pytest.mark.usefixtures("without_hard_links")
def test_file_is_kept_without_hard_links(storage: FileSystemStorage) -> None:
    assert store(Pieces(VIDEO), storage, NAME).name == NAME
    assert files(storage) == {NAME: VIDEO}


def test_storage_that_replaces_files_replaces(tmp_path: Path) -> None:
    storage = FileSystemStorage(location=tmp_path / "media", allow_overwrite=True)
    store(Pieces(OTHER), storage, NAME)
    assert store(Pieces(VIDEO), storage, NAME).name == NAME
    assert files(storage) == {NAME: VIDEO}


def test_second_store_of_the_same_file_leaves_one(storage: FileSystemStorage) -> None:
    first, second = (store(Pieces(VIDEO), storage, NAME) for _ in range(2))
    assert first == second
    assert files(storage) == {NAME: VIDEO}


def test_two_stores_at_once_leave_one_file(storage: FileSystemStorage) -> None:
    barrier = Barrier(4, timeout=20)

    def meet(done: int) -> None:
        if done == len(VIDEO):
            barrier.wait()

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(store, Pieces(VIDEO, meet), storage, NAME) for _ in range(4)]
        names = {job.result().name for job in jobs}
    assert names == {NAME}
    assert files(storage) == {NAME: VIDEO}


def test_permissions_are_those_of_the_storage(tmp_path: Path) -> None:
    storage = FileSystemStorage(
        location=tmp_path / "media", file_permissions_mode=0o640, directory_permissions_mode=0o750
    )
    store(Pieces(VIDEO), storage, NAME)
    path = Path(storage.path(NAME))
    modes = [stat.S_IMODE(made.stat().st_mode) for made in (path, *path.parents[:3])]
    assert modes == [0o640, 0o750, 0o750, 0o750]


def test_permissions_are_those_of_the_process_by_default(tmp_path: Path) -> None:
    storage = FileSystemStorage(location=tmp_path, file_permissions_mode=None)
    storage.__dict__.update(file_permissions_mode=None, directory_permissions_mode=None)
    mask = os.umask(0o027)
    try:
        store(Pieces(VIDEO), storage, "a.mp4")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.mp4").stat().st_mode) == 0o640


def test_broken_source_leaves_nothing(storage: FileSystemStorage) -> None:
    with pytest.raises(Broken):
        store(Pieces(VIDEO, break_at(100_000)), storage, NAME)
    assert files(storage) == {}


def test_leftover_of_a_dead_process_is_removed_and_nothing_else(
    storage: FileSystemStorage,
) -> None:
    folder = Path(storage.location, NAME).parent
    folder.mkdir(parents=True)
    (folder / ".seedance-0123456789abcdef.part").write_bytes(b"half")
    (folder / "mine.part").write_bytes(b"mine")
    store(Pieces(VIDEO), storage, NAME)
    assert set(files(storage)) == {NAME, "seedance/2026/07/mine.part"}


def test_unfinished_file_of_a_live_task_is_not_a_leftover(storage: FileSystemStorage) -> None:
    def store_another(done: int) -> None:
        store(Pieces(OTHER), storage, f"seedance/2026/07/{done}.mp4")

    store(Pieces(VIDEO, store_another), storage, NAME)
    assert files(storage)[NAME] == VIDEO
    assert all(name.endswith(".mp4") for name in files(storage))


def test_name_fits_the_field(storage: FileSystemStorage) -> None:
    store(Pieces(OTHER), storage, NAME)
    kept = store(Pieces(VIDEO), storage, NAME, max_length=len(NAME) + 8)
    assert len(kept.name) <= len(NAME) + 8
    with pytest.raises(SuspiciousFileOperation):
        store(Pieces(VIDEO), storage, NAME, max_length=5)


@pytest.mark.parametrize("name", ["../a.mp4", "/etc/a.mp4", "a/../../b.mp4", "a\\..\\..\\b.mp4"])
def test_name_outside_the_storage_is_refused(storage: FileSystemStorage, name: str) -> None:
    with pytest.raises(SuspiciousFileOperation):
        store(Pieces(VIDEO), storage, name)
    assert not Path(storage.location).exists()


def test_file_where_the_folder_should_be_is_an_error(storage: FileSystemStorage) -> None:
    Path(storage.location).mkdir()
    Path(storage.location, "seedance").write_bytes(b"")
    with pytest.raises(OSError, match=r"exists|directory"):
        store(Pieces(VIDEO), storage, NAME)


class Reversing(FileSystemStorage):
    """A storage with its own idea of saving."""

    def _save(self, name: str, content: Any) -> str:
        turned = ContentFile(content.read()[::-1])
        return str(super()._save(name, turned))  # type: ignore[misc]  # the stubs leave it out


def test_storage_that_saves_in_its_own_way_is_let_to(tmp_path: Path) -> None:
    storage = Reversing(location=tmp_path)
    assert store(Pieces(VIDEO), storage, "a.mp4").name == "a.mp4"
    assert files(storage) == {"a.mp4": VIDEO[::-1]}


@pytest.fixture(autouse=True)
def _no_descriptor_is_left() -> Iterator[None]:
    before = psutil.Process().num_fds()
    yield
    assert psutil.Process().num_fds() <= before
