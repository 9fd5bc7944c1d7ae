"""Start a process that stores a file, and kill it in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def start(
    cls: str,
    options: dict[str, Any],
    name: str,
    size: int,
    times: int = 1,
    stop_at: int | None = None,
) -> subprocess.Popen[str]:
    """Start storing `mp4(size)`, repeated, in a process of its own; it stays at byte `stop_at`."""
    order = {"cls": cls, "options": options, "name": name, "size": size, "times": times}
    order["stop_at"] = stop_at
    command = [sys.executable, "-m", "tests.store.storing_process", json.dumps(order)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


def kill_at(process: subprocess.Popen[str], done: int, delay: float) -> None:
    """Kill a process `delay` seconds after it has stored `done` bytes."""
    assert process.stdout is not None
    with process, process.stdout:
        line = next((line for line in process.stdout if line.strip() == str(done)), "")
        assert line, "the process never came to this byte"
        time.sleep(delay)
        process.kill()
