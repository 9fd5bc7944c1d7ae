"""Points at which a test wants a process of the project to die, raise or wait.

`Site.trap("video_completed", "kill")` lays a trap; the receiver, publication or task of that
name springs it, once. Taking the file away is what makes it once, whoever comes first.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from .recorder import record

ACTIONS = ("kill", "kill-worker", "raise", "sleep")
"""SIGKILL of this process; of its whole worker; `Sprung`; a sleep (`sleep=<seconds>`)."""


class Sprung(RuntimeError):
    """Raised by a trap."""


def spring(point: str) -> None:
    """Do what the trap at this point says, if there is one."""
    folder = os.environ.get("TEST_TRAPS")
    if not folder:
        return
    for trap in sorted(Path(folder).glob(f"{point}@*")):
        if _take(trap):
            _act(point, *trap.name.rpartition("@")[2].split("="))


def _take(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _act(point: str, action: str, seconds: str = "0") -> None:
    record("trap", point, action=action)
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "kill-worker":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    elif action == "sleep":
        time.sleep(float(seconds))
    else:
        raise Sprung(point)
