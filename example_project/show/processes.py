"""Child processes that are gone when their owner ends, however it ends."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType

__all__ = ["PROJECT", "WORKER", "Processes", "catch_signals", "was_interrupted"]

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE = 10.0
"""Seconds that a process has to end by itself, once it was told to."""

WORKER = (sys.executable, "-m", "celery", "--quiet", "-A", "studio", "worker")
WORKER += ("--concurrency", "2", "--loglevel", "INFO")
WORKER += ("--without-gossip", "--without-mingle", "--without-heartbeat")
"""The worker's command: as in production, apart from what serves many workers only."""


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_caught: list[int] = []


def catch_signals() -> None:
    """Make Ctrl-C, SIGTERM and SIGHUP an exception, so that every `with` block is left."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        _caught.append(number)
        raise KeyboardInterrupt

    for number in _SIGNALS:
        signal.signal(number, interrupt)


def was_interrupted() -> bool:
    """Tell whether a signal came, even where some library has swallowed the exception."""
    return bool(_caught)


class Processes:
    """A context manager that owns processes, each in a session of its own.

    Ctrl-C in the terminal then reaches the owner alone, which ends them in good order.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {**os.environ, **env, "PYTHONUNBUFFERED": "1"}
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._ready: list[threading.Event] = []
        # For a Ctrl-C in the very moment in which the `with` block is left.
        atexit.register(self.stop)

    def start(
        self, name: str, command: Sequence[str], log: Path | None = None, *, ready: str = ""
    ) -> None:
        """Start a process that writes to `log`, or else to the terminal with its name.

        There `ready` are the words by which it says that it is.
        """
        if was_interrupted():
            raise KeyboardInterrupt
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("w")) if log else subprocess.PIPE
            with _held_back():
                self._running[name] = process = subprocess.Popen(
                    command,
                    cwd=PROJECT,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,
                )
        if not log:
            is_ready = threading.Event()
            self._ready.append(is_ready)
            echo = threading.Thread(target=_echo, args=(name, process, ready, is_ready))
            echo.daemon = True
            echo.start()

    def are_ready(self) -> bool:
        """Tell whether every process that writes to the terminal has said that it is ready."""
        return all(is_ready.is_set() for is_ready in self._ready)

    def ended(self) -> str | None:
        """Return the name of a process that has ended, if one has; raise what was held back."""
        if was_interrupted():
            raise KeyboardInterrupt
        return next((n for n, p in self._running.items() if p.poll() is not None), None)

    def stop(self) -> None:
        """End all of them, the last one started first; kill what takes too long."""
        with _held_back():
            processes = list(reversed(self._running.values()))
            if processes:
                print(f"Stopping: {', '.join(self._running)} …", flush=True)
            for process in processes:
                process.terminate()
            ends_at = time.monotonic() + PATIENCE
            for process in processes:
                _wait(process, ends_at - time.monotonic())
                _kill_group(process)
            self._running.clear()

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _wait(process: subprocess.Popen[str], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.1, seconds))


def _kill_group(process: subprocess.Popen[str]) -> None:
    # What a process leaves behind in its session, such as the children of a worker that crashed.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _echo(name: str, process: subprocess.Popen[str], ready: str, is_ready: threading.Event) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        sys.stdout.write(f"{name:>9} | {line}")
        sys.stdout.flush()
        if ready in line:
            is_ready.set()


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Keep signals for later: between a process's start and the note that it runs, and its end."""

    def catch(number: int, frame: FrameType | None) -> None:
        _caught.append(number)

    previous = {number: signal.signal(number, catch) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
