"""Nothing outlives the tests, not even a test run that is killed.

A watchdog process holds the other end of a pipe. When that end closes, for whatever reason, it
kills every process group it was told of.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

SOURCE = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    sign, group = line[0], int(line[1:])
    (groups.add if sign == "+" else groups.discard)(group)
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""


@cache
def _watchdog(owner: int) -> subprocess.Popen[str]:
    # -S -E: it has nothing to import. Its own session: Ctrl-C in a terminal must not reach it.
    return subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", SOURCE],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _tell(line: str) -> None:
    pipe = _watchdog(os.getpid()).stdin
    assert pipe is not None
    pipe.write(line + "\n")
    pipe.flush()


def watch(group: int) -> None:
    """Have a process group killed when this process ends."""
    _tell(f"+{group}")


def forget(group: int) -> None:
    """The group has ended: its number may pass to others."""
    _tell(f"-{group}")
