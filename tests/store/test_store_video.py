"""The task `store_video`, down to the storage that the settings name."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.files.storage import FileSystemStorage

from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance

from .conftest import Network
from .file_server import file_server, mp4, whole
from .test_addresses import PUBLIC, URL
from .test_filesystem import files


def test_file_is_whole_and_synced_before_it_has_its_name(
    kit: Seedance, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MEDIA_ROOT = tmp_path
    storage = FileSystemStorage(location=tmp_path)
    at_sync: list[list[str]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            at_sync.append([Path(name).name for name in files(storage)])
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    video = generate_video("A kite", store=True)
    kit.run_until_done()
    assert [name.startswith(".seedance-") for (name,) in at_sync] == [True]
    assert list(files(storage)) == [video.current().file.name]


def test_file_of_an_account_that_was_removed_is_kept(
    kit: Seedance, settings: Any, tmp_path: Path, network: Network
) -> None:
    settings.MEDIA_ROOT = tmp_path
    body = mp4(5000)
    with file_server(whole(body)) as server:
        network.names["files.example.com"] = [[PUBLIC]]
        network.routes[PUBLIC] = urlsplit(server.url).port or 0
        video = Video.objects.create(
            account="sold",
            api_id="task_1",
            status="completed",
            video_url=URL,
            finished_at=kit.clock.time,
            announced_at=kit.clock.time,
        )
        video.store()
        kit.run_until_done()
    assert (tmp_path / video.current().file.name).read_bytes() == body


def test_file_on_this_machine_of_an_account_that_was_removed_is_refused(kit: Seedance) -> None:
    video = generate_video("A kite")
    kit.run_until_done()
    Video.objects.update(account="sold")
    video.store()
    kit.run_until_done()
    assert "address" in video.current().store_error
    assert kit.simulator.counts["file"] == 0
