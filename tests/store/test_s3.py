"""Keeping a file in an S3 bucket: the whole object or none."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

pytest.importorskip("storages")
moto = pytest.importorskip("moto.server")

from storages.backends.s3 import S3Storage  # type: ignore[import-untyped]  # noqa: E402

from seedance_celery.exceptions import DownloadInterrupted  # noqa: E402
from seedance_celery.shortcuts import generate_video  # noqa: E402
from seedance_celery.storing.saving import store  # noqa: E402
from seedance_celery.testing import Seedance  # noqa: E402

from .conftest import NewDownload  # noqa: E402
from .file_server import cut, file_server, mp4, whole  # noqa: E402
from .killing import kill_at, start  # noqa: E402
from .sources import PIECE, Broken, Pieces, break_at  # noqa: E402

CLASS = "storages.backends.s3.S3Storage"
NAME = "seedance/2026/07/a.mp4"
PART = 5 * 1024**2
SMALL = mp4(300_000)
LARGE = mp4(PART + 1_000_000)
_buckets = count()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def options(endpoint: str) -> dict[str, Any]:
    """Return the options of a storage on a bucket of its own."""
    made = {
        "access_key": "test",
        "secret_key": "test",
        "bucket_name": f"bucket-{next(_buckets)}",
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "addressing_style": "path",
    }
    S3Storage(**made).connection.create_bucket(Bucket=made["bucket_name"])
    return made


@pytest.fixture
def storage(options: dict[str, Any]) -> Any:
    return S3Storage(**options)


def objects(storage: Any) -> dict[str, bytes]:
    return {found.key: found.get()["Body"].read() for found in storage.bucket.objects.all()}


def uploads(storage: Any) -> int:
    """Return how many uploads are unfinished."""
    return len(list(storage.bucket.multipart_uploads.all()))


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["one part", "many parts"])
def test_download_is_kept(storage: Any, new_download: NewDownload, body: bytes) -> None:
    with file_server(whole(body)) as server:
        kept = store(new_download(server.url), storage, NAME)
    assert (kept.name, kept.size) == (NAME, len(body))
    assert objects(storage) == {NAME: body}
    assert storage.bucket.Object(NAME).content_type == "video/mp4"
    assert uploads(storage) == 0


def test_store_video_keeps_a_file_past_this_machines_disk(
    kit: Seedance, settings: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STORAGES = {**settings.STORAGES, "videos": {"BACKEND": CLASS, "OPTIONS": options}}
    settings.SEEDANCE = {**settings.SEEDANCE, "STORAGE": "videos"}
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    video = generate_video("A kite", store=True)
    kit.run_until_done()
    kept = {name: len(body) for name, body in objects(S3Storage(**options)).items()}
    assert kept == {video.current().file.name: video.current().file_size}


def test_broken_download_leaves_nothing(storage: Any, new_download: NewDownload) -> None:
    step = cut(LARGE, len(LARGE) - 1)
    with file_server(step) as server, pytest.raises(DownloadInterrupted):
        store(new_download(server.url, attempts=1), storage, NAME)
    assert (objects(storage), uploads(storage)) == ({}, 0)


@pytest.mark.parametrize("at", [0, PIECE, PART, len(LARGE)])
def test_broken_source_leaves_nothing(storage: Any, at: int) -> None:
    with pytest.raises(Broken):
        store(Pieces(LARGE, break_at(at)), storage, NAME)
    assert (objects(storage), uploads(storage)) == ({}, 0)


def test_broken_source_leaves_the_object_that_was_there(storage: Any) -> None:
    store(Pieces(SMALL), storage, NAME)
    with pytest.raises(Broken):
        store(Pieces(LARGE, break_at(PART)), storage, NAME)
    assert (objects(storage), uploads(storage)) == ({NAME: SMALL}, 0)


def test_object_appears_when_it_is_whole(storage: Any) -> None:
    seen: list[bool] = []

    def look(done: int) -> None:
        if done % PART == 0 or done == len(LARGE):
            seen.append(storage.exists(NAME))

    store(Pieces(LARGE, look), storage, NAME)
    assert seen == [False, False, False]
    assert storage.exists(NAME)


@pytest.mark.parametrize("file_overwrite", [True, False])
def test_second_store_of_the_same_file_leaves_one(
    options: dict[str, Any], file_overwrite: bool
) -> None:
    storage = S3Storage(**options, file_overwrite=file_overwrite, location="media")
    assert store(Pieces(SMALL), storage, NAME) == store(Pieces(SMALL), storage, NAME)
    assert objects(storage) == {f"media/{NAME}": SMALL}


def test_object_of_someone_else_is_not_replaced(options: dict[str, Any]) -> None:
    storage = S3Storage(**options, file_overwrite=False)
    store(Pieces(LARGE), storage, NAME)
    kept = store(Pieces(SMALL), storage, NAME)
    assert kept.name != NAME
    assert objects(storage) == {NAME: LARGE, kept.name: SMALL}


def test_missing_bucket_is_the_storages_own_error(options: dict[str, Any]) -> None:
    storage = S3Storage(**(options | {"bucket_name": "nowhere"}))
    with pytest.raises(Exception, match="NoSuchBucket"):
        store(Pieces(SMALL), storage, NAME)


class Own(S3Storage):  # type: ignore[misc]
    """A storage with its own idea of saving."""

    def _save(self, name: str, content: Any) -> str:
        return str(super()._save(f"own/{name}", content))


def test_storage_that_saves_in_its_own_way_is_let_to(options: dict[str, Any]) -> None:
    storage = Own(**options)
    assert store(Pieces(SMALL), storage, NAME).name == f"own/{NAME}"
    assert objects(storage) == {f"own/{NAME}": SMALL}


# Moments of the upload: while a part is filled, sent, and after the last piece, while the upload
# is completed. The seed makes the byte the same each time; the delay spreads over what follows it.
_random = random.Random(20260706)
_ENDS = [len(LARGE)] * 4
_STARTS = [_random.randrange(0, len(LARGE) // PIECE) * PIECE for _ in range(2)]
MOMENTS = [(done, _random.choice([0, 0.01, 0.03, 0.06])) for done in (*_STARTS, *_ENDS)]


@pytest.mark.parametrize(("done", "delay"), MOMENTS)
def test_killed_process_leaves_the_whole_object_or_none(
    options: dict[str, Any], done: int, delay: float
) -> None:
    storage = S3Storage(**options)
    stop_at = done if done < len(LARGE) else None
    process = start(CLASS, options, NAME, len(LARGE), stop_at=stop_at)
    kill_at(process, done, delay)
    assert objects(storage) in ({}, {NAME: LARGE})
    if done < len(LARGE):
        assert objects(storage) == {}
    store(Pieces(LARGE), storage, NAME)
    assert objects(storage) == {NAME: LARGE}


def test_memory_does_not_grow_with_the_file(options: dict[str, Any]) -> None:
    with start(CLASS, options, NAME, 1024**2, times=64) as process:
        told, _ = process.communicate(timeout=100)
    assert int(told.split()[-1]) < 32 * 1024  # KiB: a part or two, of 64 MiB
