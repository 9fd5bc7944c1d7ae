"""Commands as a shell runs them: exit codes, signals, terminals."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.harness import watchdog
from tests.harness.processes import ROOT

LIMIT = 60


def manage(
    env: Mapping[str, str], *arguments: str, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        env=dict(env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        **options,
    )


@contextlib.contextmanager
def started(env: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command whose output can be read line by line; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-X", "faulthandler", "-m", "django", *arguments],
        env=dict(env),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell lets what it runs in the background ignore Ctrl-C, and so its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    watchdog.watch(process.pid)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        watchdog.forget(process.pid)


def rest_of(process: subprocess.Popen[str]) -> str:
    """Return what a command still says until it ends; one that does not end says where it is."""
    try:
        return process.communicate(timeout=LIMIT)[0]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        return process.communicate(timeout=LIMIT)[0]


def at_terminal(env: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run a command in a terminal; return its exit code and all that it drew."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-m", "django", *arguments], dict(env))
    watchdog.watch(pid)
    drawn, ends_at = b"", time.monotonic() + LIMIT
    try:
        while time.monotonic() < ends_at and (chunk := _read(terminal)) is not None:
            drawn += chunk
        if time.monotonic() >= ends_at:
            os.kill(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), drawn.decode()
    finally:
        os.close(terminal)
        watchdog.forget(pid)


def _read(terminal: int) -> bytes | None:
    if not select.select([terminal], [], [], 1)[0]:
        return b""
    try:
        return os.read(terminal, 65536) or None
    except OSError:  # how Linux tells that the other end is closed
        return None
