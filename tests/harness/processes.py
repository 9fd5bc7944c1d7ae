"""Child processes in groups of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

from . import watchdog
from .waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
"""Where `tests` is imported from: the checkout, or wherever tox has copied the tests."""


class Process:
    """A child process, leader of its own session, whose output goes to a file."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        *,
        piped: bool = False,
    ) -> None:
        self.log_path = log
        pipe = subprocess.PIPE if piped else subprocess.DEVNULL
        with log.open("ab") as output:
            self._process: subprocess.Popen[Any] = subprocess.Popen(
                command,
                env=dict(env),
                cwd=ROOT,
                stdin=pipe,
                stdout=pipe if piped else output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._buried = False
        watchdog.watch(self.pid)

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def is_running(self) -> bool:
        """Whether the process itself (not its children) is there."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code; negative for a signal, None while it runs."""
        return self._process.poll()

    def children(self) -> list[int]:
        """Return the pids of its children, theirs included, oldest first."""
        # Not once it has ended: its number may be another's by now.
        if not self.is_running:
            return []
        try:
            return [p.pid for p in psutil.Process(self.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def pids(self) -> list[int]:
        """Return the pids of the process and its children that run."""
        return [self.pid, *filter(is_alive, self.children())] if self.is_running else []

    def log(self, last: int | None = None) -> str:
        """Return what it wrote, or the last so many lines of it."""
        text = self.log_path.read_text(errors="replace")
        return text if last is None else "\n".join(text.splitlines()[-last:])

    def signal(self, number: int) -> None:
        """Send a signal to the process itself."""
        if self.is_running:
            self._process.send_signal(number)

    def wait(self, timeout: float) -> int:
        """Wait for its end; return the exit code. Raises `TimeoutExpired`."""
        code = self._process.wait(timeout)
        if not self.group():
            self._bury()
        return code

    def group(self) -> list[int]:
        """Return the pids that run in its session, orphans included."""
        # A process of our number after ours has ended is the leader of somebody else's session.
        if self._buried or (not self.is_running and psutil.pid_exists(self.pid)):
            return []
        return [pid for pid in psutil.pids() if _session(pid) == self.pid and is_alive(pid)]

    def kill(self) -> None:
        """SIGKILL the process and everything in its group; return when all of it is gone."""
        if self.group():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(30)
        wait_until(lambda: not self.group(), 30, f"{self.log_path.stem} and its children are gone")
        self._bury()

    def _bury(self) -> None:
        if self._buried:
            return
        self._buried = True
        watchdog.forget(self.pid)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has died and is not buried does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
