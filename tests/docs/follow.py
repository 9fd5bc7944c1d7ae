"""Follows a tutorial as it is written: types its commands, writes its files, in an empty folder."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness import watchdog
from tests.harness.waiting import wait_until

from .markdown import Block

# Commands that go on until Ctrl-C, each in a terminal of its own, and what they say when ready.
SERVERS = {
    "python manage.py seedance_simulator": "Simulating CometAPI",
    "celery -A cinema worker": "[queues]",
    "python manage.py runserver": "Starting development server",
}
# A test may not use these ports: whoever works on this machine may have the tutorial open.
PORTS = ("8765", "8000")
PATIENCE = 60.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Reader:
    """Somebody with a folder and terminals; only the ports differ from what the page says."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.ports = {port: str(free_port()) for port in PORTS}
        binaries = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        # What `. venv/bin/activate` does, for every terminal.
        self._env = {**env, "PATH": f"{binaries}{os.pathsep}{env['PATH']}"}
        self._terminals: list[tuple[subprocess.Popen[bytes], Path]] = []

    @property
    def address(self) -> str:
        """Where the tutorial's page is."""
        return f"http://127.0.0.1:{self.ports['8000']}/"

    def read(self, block: Block) -> None:
        """Do what a block says."""
        text = block.text
        for port in PORTS:
            text = text.replace(f":{port}", f":{self.ports[port]}")
        if block.language == "console":
            for command, expected in _commands(text):
                self._type(command, expected)
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        first, _, rest = text.partition("\n")
        match = re.fullmatch(r"(?:#|\{#) ([\w./]+)( \(at the end\))?(?: #\})?", first)
        assert match, f"This block does not say which file it is: {first}"
        path = self.folder / match[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if match[2] else ""
        path.write_text(before + rest)

    def _type(self, command: str, expected: str) -> None:
        if command in SERVERS:
            self._serve(command)
            return
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"$ {command}\n{said}"
        for line in expected.splitlines():
            assert line in said, f"$ {command}\nsays nothing of {line!r}:\n{said}"

    def _serve(self, command: str) -> None:
        log = self.folder / f"terminal-{len(self._terminals)}.log"
        typed = command
        if command.endswith("seedance_simulator"):
            typed += f" --port {self.ports['8765']}"
        if command.endswith("runserver"):
            typed += f" {self.ports['8000']}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {typed}"],
                cwd=self.folder,
                env={**self._env, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        watchdog.watch(process.pid)
        self._terminals.append((process, log))
        wait_until(
            lambda: SERVERS[command] in log.read_text(), PATIENCE, command, context=log.read_text
        )

    def stop(self) -> None:
        """Close the terminals."""
        for process, _ in self._terminals:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            watchdog.forget(process.pid)


@contextmanager
def reader(folder: Path, env: dict[str, str]) -> Iterator[Reader]:
    """Begin a tutorial, and leave nothing running after it."""
    someone = Reader(folder, env)
    try:
        yield someone
    finally:
        someone.stop()


def _commands(text: str) -> list[tuple[str, str]]:
    """Return each command of a console block with the output that follows it on the page."""
    found = []
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        lines = part.splitlines()
        length = 1
        # A quotation that is still open goes on in the next line.
        while "\n".join(lines[:length]).count('"') % 2:
            length += 1
        found.append(("\n".join(lines[:length]), "\n".join(lines[length:])))
    return found
