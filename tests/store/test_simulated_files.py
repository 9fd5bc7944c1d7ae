"""The simulator's files: each way in which it can serve one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage

from seedance_celery.api.signed_urls import expires_at
from seedance_celery.client import Client
from seedance_celery.exceptions import (
    AddressRefused,
    DownloadChanged,
    DownloadError,
    DownloadInterrupted,
    FileTooLarge,
    NotAVideo,
    UrlExpired,
)
from seedance_celery.simulator import SimulatorServer
from seedance_celery.simulator.files import Media, kite
from seedance_celery.storing.saving import store

from .conftest import NewDownload
from .test_filesystem import NAME, files


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture
def storage(tmp_path: Path) -> FileSystemStorage:
    return FileSystemStorage(location=tmp_path)


def link(simulator: SimulatorServer, plays: str) -> str:
    """Return the link of a finished video that plays a scenario."""
    with Client("simulator", simulator.url) as client:
        api_id = client.create(f"A kite [{plays}]").id
        simulator.app.advance(600)
        return str(client.retrieve(api_id).video_url)


@pytest.mark.parametrize(
    "plays",
    [
        "file_cut",
        "file_reset*3",
        "file_cut*2=1000",
        "file_chunked",
        "file_no_length",
        "file_length_above",
    ],
)
def test_file_is_kept_all_the_same(
    simulator: SimulatorServer,
    storage: FileSystemStorage,
    new_download: NewDownload,
    plays: str,
) -> None:
    kept = store(new_download(link(simulator, plays)), storage, NAME)
    assert files(storage) == {NAME: kite().start}
    assert kept.size == kite().size


@pytest.mark.parametrize("plays", ["file_cut] [file_wrong_range", "file_cut] [file_ignores_range"])
def test_range_that_is_not_honoured_starts_again(
    simulator: SimulatorServer,
    storage: FileSystemStorage,
    new_download: NewDownload,
    plays: str,
) -> None:
    store(new_download(link(simulator, plays)), storage, NAME)
    assert files(storage) == {NAME: kite().start}


@pytest.mark.parametrize(
    ("plays", "error"),
    [
        ("file_expired", UrlExpired),
        ("file_expired_then_renewed", UrlExpired),
        ("file_404", UrlExpired),
        ("file_410", UrlExpired),
        ("file_503", DownloadInterrupted),
        ("file_redirect", AddressRefused),
        ("file_redirect_loop", AddressRefused),
        ("file_length_below", DownloadInterrupted),
        ("file_huge_length", FileTooLarge),
        ("file_endless", FileTooLarge),
        ("file_changed] [file_cut", DownloadChanged),
        ("file_html", NotAVideo),
        ("file_xml", NotAVideo),
        ("file_not_mp4", NotAVideo),
        ("file_empty", NotAVideo),
        ("file_trickle=0.05", DownloadInterrupted),
        ("file_hang", DownloadInterrupted),
    ],
)
def test_file_that_cannot_be_kept_leaves_nothing(
    simulator: SimulatorServer,
    storage: FileSystemStorage,
    new_download: NewDownload,
    plays: str,
    error: type[DownloadError],
) -> None:
    options = {"max_size": 5_000_000, "total": 3.0, "read": 1.0, "attempts": 2}
    with pytest.raises(error):
        store(new_download(link(simulator, plays), **options), storage, NAME)
    assert files(storage) == {}


def test_large_file_is_kept(
    simulator: SimulatorServer, storage: FileSystemStorage, new_download: NewDownload
) -> None:
    kept = store(new_download(link(simulator, "file_size=20000000")), storage, NAME)
    assert kept.size == storage.size(NAME) == Media.of_size(20_000_000).size


def test_new_link_is_taken_where_the_first_had_expired(
    simulator: SimulatorServer, storage: FileSystemStorage, new_download: NewDownload
) -> None:
    url = link(simulator, "file_expired_then_renewed")
    with pytest.raises(UrlExpired):
        store(new_download(url), storage, NAME)
    with Client("simulator", simulator.url) as client:
        renewed = client.retrieve(next(iter(simulator.app.videos))).video_url
    assert renewed != url
    store(new_download(str(renewed)), storage, NAME)
    assert files(storage) == {NAME: kite().start}


def test_end_of_a_link_is_read_from_it(simulator: SimulatorServer) -> None:
    assert expires_at(link(simulator, "normal")) is not None
