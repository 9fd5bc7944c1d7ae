"""The task `store_video`, down to the storage that the settings name."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage

from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance

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
