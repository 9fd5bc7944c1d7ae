"""`make demo` and `make run`: a real worker, a simulated API, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from .harness import watchdog
from .harness.processes import is_alive
from .harness.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "example_project"


class Script:
    """One of the example's scripts, run as a user runs it, with a folder of its own."""

    def __init__(self, folder: Path, name: str, *arguments: str, **env: str) -> None:
        self.folder = folder
        inherited = {**os.environ, "PYTHONUNBUFFERED": "1"}
        for absent in ("DJANGO_SETTINGS_MODULE", "CELERY_BROKER_URL", "COMETAPI_KEY"):
            inherited.pop(absent, None)
        path = os.pathsep.join(filter(None, [str(ROOT), inherited.get("PYTHONPATH")]))
        self.output = folder / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(EXAMPLE / name), *arguments],
                cwd=folder,
                env={**inherited, "PYTHONPATH": path, "COLUMNS": "100", **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        watchdog.watch(self.process.pid)
        self.seen: set[int] = set()

    @property
    def text(self) -> str:
        return self.output.read_text()

    def children(self) -> set[int]:
        """Return the pids of everything that it has started, also of what it started earlier."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return self.seen
        self.seen |= {process.pid for process in found}
        return self.seen

    def wait_for(self, words: str, timeout: float = 60) -> None:
        def is_there() -> bool:
            self.children()
            return words in self.text

        wait_until(is_there, timeout, words, context=lambda: self.text)

    def wait(self, timeout: float = 90) -> int:
        def code() -> tuple[int] | None:
            self.children()
            ended = self.process.poll()
            return None if ended is None else (ended,)

        return wait_until(code, timeout, "the script's end", context=lambda: self.text)[0]

    def left(self) -> list[int]:
        return [pid for pid in self.seen if is_alive(pid)]


@contextmanager
def running(folder: Path, name: str, *arguments: str, **env: str) -> Iterator[Script]:
    script = Script(folder, name, *arguments, **env)
    try:
        yield script
    finally:
        for pid in [script.process.pid, *script.children()]:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        script.process.wait()
        watchdog.forget(script.process.pid)


def test_the_demo_ends_well_twice_in_a_row_and_leaves_a_film(tmp_path):
    for _ in range(2):
        with running(tmp_path, "demo.py") as demo:
            assert demo.wait() == 0, demo.text
            assert demo.children(), "the demo has started no worker"
            assert not demo.left()
        assert "✗" not in demo.text
        films = re.findall(r"^Play it: (.+\.mp4)$", demo.text, re.MULTILINE)
        assert len(films) == 2
        for film in films:
            content = Path(film).read_bytes()
            assert content[4:8] == b"ftyp"
            assert b"moov" in content
        assert "sold 3 videos" in demo.text


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("is simulated", marks=pytest.mark.full),
        pytest.param("creating", marks=pytest.mark.full),
        "in progress",
        pytest.param("Stopping", marks=pytest.mark.full),
    ],
)
def test_ctrl_c_stops_the_demo_and_leaves_no_process(tmp_path, words):
    with running(tmp_path, "demo.py", FORCE_COLOR="1") as demo:
        demo.wait_for(words)
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait(30) == 130, demo.text
        assert not demo.left()
    assert "nothing is left running" in demo.text
    assert "Traceback" not in demo.text


@pytest.mark.full
def test_sigterm_stops_the_demo_as_ctrl_c_does(tmp_path):
    with running(tmp_path, "demo.py", FORCE_COLOR="1") as demo:
        demo.wait_for("waiting for the worker")
        demo.process.terminate()
        assert demo.wait(30) == 130, demo.text
        assert not demo.left()


def test_a_demo_whose_worker_cannot_start_fails_and_shows_why(tmp_path):
    with running(tmp_path, "demo.py", CELERY_BROKER_URL="sqla+sqlite:////no/such/folder/x") as demo:
        assert demo.wait() not in (0, 130)
        assert not demo.left()
    assert "unable to open database file" in demo.text


def test_the_live_demo_needs_a_key(tmp_path):
    with running(tmp_path, "demo.py", "--live") as demo:
        assert demo.wait() == 2
    assert "COMETAPI_KEY" in demo.text
    assert not list(tmp_path.glob(".demo/*"))


def test_the_live_demo_buys_nothing_unless_it_is_told_to(tmp_path):
    with running(tmp_path, "demo.py", "--live", COMETAPI_KEY="sk-not-a-key") as demo:
        assert demo.wait() == 2
        assert not demo.children()
    assert "It costs money." in demo.text
    assert "Nothing was bought." in demo.text


def test_run_serves_the_gallery_until_ctrl_c(tmp_path):
    web, api = _free_port(), _free_port()
    ports = ("--port", str(web), "--simulator-port", str(api))
    with running(tmp_path, "run.py", *ports, STUDIO_DATA=str(tmp_path / "data")) as run:
        run.wait_for("Ctrl-C stops it all.")
        started, _, told = run.text.partition("The gallery: ")
        assert all(words in started for words in (" ready.", "Quit the server", "Simulating"))
        assert "SEEDANCE" not in run.text
        assert told.startswith(f"http://127.0.0.1:{web}/")
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/", timeout=10) as page:
            assert "What should we film?" in page.read().decode()
        run.process.send_signal(signal.SIGINT)
        assert run.wait(30) == 0, run.text
        assert len(run.seen) >= 3
        assert not run.left()
    assert "Traceback" not in run.text


def test_run_says_which_port_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        data = str(tmp_path / "data")
        with running(tmp_path, "run.py", "--port", port, STUDIO_DATA=data) as run:
            assert run.wait() == 2
    assert f"Port {port} is in use" in run.text


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
