"""Keeping a file in a storage of which nothing is known, and the names that files get."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from django.utils.functional import LazyObject

from seedance_celery.exceptions import StorageError
from seedance_celery.storing.saving import discard, store, upload_name

from .file_server import mp4
from .sources import Broken, Pieces, break_at

VIDEO = mp4(300_000)
OTHER = mp4(300_000, seed=2)
NAME = "seedance/a.mp4"


class Plain(Storage):
    """A storage as small as one can be; `fails_at` makes a save break off."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.kept: dict[str, bytes] = {}
        self.fails_at = fails_at

    def _save(self, name: str, content: Any) -> str:
        body = content.read()
        self.kept[name] = body[: self.fails_at]
        if self.fails_at is not None:
            raise Broken
        return name

    def _open(self, name: str, mode: str = "rb") -> ContentFile[bytes]:
        return ContentFile(self.kept[name])

    def exists(self, name: str) -> bool:
        return name in self.kept

    def delete(self, name: str) -> None:
        self.kept.pop(name, None)


class Sized(Plain):
    """Knows sizes."""

    def size(self, name: str) -> int:
        return len(self.kept[name])


class Halving(Sized):
    """Keeps half of what it is given, and says nothing."""

    def _save(self, name: str, content: Any) -> str:
        return super()._save(name, ContentFile(content.read()[:1000]))


class Replacing(Sized):
    """Would replace a file, and fails before it does."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _save(self, name: str, content: Any) -> str:
        raise Broken


@pytest.mark.parametrize("storage", [Plain(), Sized()], ids=["plain", "sized"])
def test_any_storage_keeps_a_file(storage: Plain) -> None:
    assert store(Pieces(VIDEO), storage, NAME).name == NAME
    assert storage.kept == {NAME: VIDEO}


def test_storage_in_memory_keeps_a_file() -> None:
    storage = InMemoryStorage()
    kept = store(Pieces(VIDEO), storage, NAME)
    with storage.open(kept.name) as file:
        assert file.read() == VIDEO


def test_lazy_storage_is_known_by_its_class(tmp_path: Path) -> None:
    class Lazy(LazyObject):  # type: ignore[type-arg]  # generic in the stubs only
        def _setup(self) -> None:
            self._wrapped = FileSystemStorage(location=tmp_path)

    seen: list[list[str]] = []
    look = lambda done: seen.append([p.name for p in tmp_path.iterdir()])  # noqa: E731
    store(Pieces(VIDEO, look), Lazy(), "a.mp4")  # type: ignore[arg-type]
    assert all(names[0].startswith(".seedance-") for names in seen)


def test_source_that_breaks_never_reaches_the_storage() -> None:
    storage = Sized()
    with pytest.raises(Broken):
        store(Pieces(VIDEO, break_at(100_000)), storage, NAME)
    assert storage.kept == {}


@pytest.mark.parametrize("storage", [Plain(fails_at=1000), Sized(fails_at=1000)])
def test_partial_file_is_removed(storage: Plain) -> None:
    with pytest.raises(Broken):
        store(Pieces(VIDEO), storage, NAME)
    assert storage.kept == {}


def test_file_that_was_there_survives_a_failed_save() -> None:
    storage = Replacing()
    storage.kept[NAME] = OTHER
    with pytest.raises(Broken):
        store(Pieces(VIDEO), storage, NAME)
    assert storage.kept == {NAME: OTHER}


def test_storage_that_keeps_less_is_an_error_and_leaves_nothing() -> None:
    storage = Halving()
    with pytest.raises(StorageError, match="1000 of 300000 bytes"):
        store(Pieces(VIDEO), storage, NAME)
    assert storage.kept == {}


def test_second_store_of_the_same_file_leaves_one() -> None:
    storage = Sized()
    assert store(Pieces(VIDEO), storage, NAME) == store(Pieces(VIDEO), storage, NAME)
    assert storage.kept == {NAME: VIDEO}


def test_file_of_someone_else_is_not_replaced() -> None:
    storage = Sized()
    store(Pieces(OTHER), storage, NAME)
    kept = store(Pieces(VIDEO), storage, NAME)
    assert kept.name != NAME
    assert storage.kept == {NAME: OTHER, kept.name: VIDEO}


def test_temporary_file_is_where_it_is_told_to_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store(Pieces(VIDEO), Plain(), NAME, temp_dir=str(tmp_path / "missing"))


def test_file_of_the_loser_is_discarded_and_the_kept_one_is_not() -> None:
    storage = Plain()
    storage.kept = {"a.mp4": VIDEO, "b.mp4": VIDEO}
    discard(storage, "a.mp4", kept="a.mp4")
    discard(storage, "", kept="a.mp4")
    discard(storage, "b.mp4", kept="a.mp4")
    assert set(storage.kept) == {"a.mp4"}


@dataclass
class Row:
    """As much of a video as a name needs."""

    pk: uuid.UUID = field(default_factory=lambda: uuid.UUID(int=7))
    api_id: str = "task_../../x y"


MOMENT = datetime(2026, 7, 5, tzinfo=timezone.utc)
FILE = f"{uuid.UUID(int=7)}.mp4"


@pytest.mark.parametrize(
    ("upload_to", "name"),
    [
        ("seedance/%Y/%m/", f"seedance/2026/07/{FILE}"),
        ("seedance/%Y/%m", f"seedance/2026/07/{FILE}"),
        ("", FILE),
        ("/", FILE),
        ("./a//b/", f"a/b/{FILE}"),
        (lambda video: "", FILE),
        (lambda video: "films/", f"films/{FILE}"),
        (lambda video: f"films/{video.pk}.mp4", f"films/{FILE}"),
        (lambda video: "my films/ä?\n.mp4", "my_films/ä.mp4"),
    ],
)
def test_name_of_a_file(upload_to: Any, name: str) -> None:
    assert upload_name(upload_to, Row(), MOMENT) == name


@pytest.mark.parametrize(
    "upload_to",
    [
        "../",
        "a/../../",
        lambda video: video.api_id,
        lambda video: "a\\..\\..\\b",
        lambda video: ".",
    ],
)
def test_name_that_leaves_the_storage_is_refused(upload_to: Any) -> None:
    with pytest.raises(SuspiciousFileOperation):
        upload_name(upload_to, Row(), MOMENT)
