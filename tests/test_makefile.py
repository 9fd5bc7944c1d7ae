"""What the Makefile removes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_clean_removes_what_run_and_demo_leave_but_not_what_was_bought(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    left = [".demo/live/bought.mp4", "example_project/.data/live/bought.mp4"]
    removed = [
        *(".demo/simulated/db.sqlite3", ".demo/venv/bin/python"),
        *("example_project/.data/db.sqlite3", "example_project/.data/media/kite.mp4"),
    ]
    for name in (*left, *removed):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "seedance_celery").mkdir()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert [name for name in left if not (tmp_path / name).exists()] == []
    assert [name for name in removed if (tmp_path / name).exists()] == []
    for name in left:
        (tmp_path / name).unlink()
        (tmp_path / name).parent.rmdir()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert not (tmp_path / ".demo").exists()
    assert not (tmp_path / "example_project/.data").exists()
