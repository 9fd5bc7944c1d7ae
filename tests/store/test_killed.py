"""Processes that die while they keep a file in a directory."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage

from seedance_celery.storing.saving import store

from .file_server import mp4
from .killing import kill_at, start
from .sources import PIECE, Pieces
from .test_filesystem import NAME, files

VIDEO = mp4(40 * PIECE)
CLASS = "django.core.files.storage.FileSystemStorage"
_random = random.Random(20260706)
_STARTS = [_random.randrange(0, 40) * PIECE for _ in range(2)]
MOMENTS = [
    (done, _random.choice([0, 0.002, 0.005, 0.01])) for done in (*_STARTS, *[len(VIDEO)] * 3)
]


@pytest.mark.parametrize(("done", "delay"), MOMENTS)
def test_killed_process_leaves_the_whole_file_or_none_under_the_name(
    tmp_path: Path, done: int, delay: float
) -> None:
    storage = FileSystemStorage(location=tmp_path)
    # In the middle it waits to be killed; after the last piece it goes on to sync and to rename.
    stop_at = done if done < len(VIDEO) else None
    process = start(CLASS, {"location": str(tmp_path)}, NAME, len(VIDEO), stop_at=stop_at)
    kill_at(process, done, delay)
    assert files(storage).get(NAME, VIDEO) == VIDEO
    if done < len(VIDEO):
        assert len(files(storage)) == 1
        assert NAME not in files(storage)
    store(Pieces(VIDEO), storage, NAME)
    assert files(storage) == {NAME: VIDEO}
