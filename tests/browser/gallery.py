"""The example project as its user runs it: a simulator, a worker and a web server."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.harness.processes import ROOT, Process
from tests.harness.waiting import wait_until

EXAMPLE = ROOT / "example_project"
PASSWORD = "only-for-tests"


class Gallery:
    """The example on ports of its own, with its data in `folder`. Time is the simulator's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._api = f"http://127.0.0.1:{_free_port()}"
        self._stack = ExitStack()
        self.web: Process | None = None

    def __enter__(self) -> Gallery:
        self._manage("migrate", "-v0")
        api = self._start("simulator", "seedance_simulator", "--port", self._api.rpartition(":")[2])
        wait_until(lambda: "Simulating" in api.log(), 60, "the simulator", context=api.log)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def start_worker(self) -> None:
        """Start the worker; return when it is ready."""
        command = ("-m", "celery", "-A", "studio", "worker", "-c2", "-lINFO", "--without-mingle")
        worker = self._run("worker", *command)
        wait_until(lambda: " ready." in worker.log(), 60, "the worker", context=worker.log)

    def start_web(self) -> None:
        """Start the web server; return when it answers."""
        self.web = web = self._start("web", "runserver", "--noreload", f"127.0.0.1:{self.port}")

        def answers() -> bool:
            try:
                urllib.request.urlopen(f"{self.url}/login/", timeout=30).close()
            except OSError:
                return False
            return True

        wait_until(answers, 60, "the web server", context=web.log)

    def add_user(self, name: str) -> None:
        """Add a superuser."""
        email = ("--username", name, "--email", f"{name}@example.org")
        self._manage("createsuperuser", "--noinput", *email)

    def fill(self, name: str) -> None:
        """Give a user a film of each kind; see `rows`."""
        script = f"from tests.browser.gallery_rows import fill; fill({name!r})"
        self._manage("shell", "-v0", "-c", script)

    def simulate(self, action: str, **arguments: Any) -> None:
        """Post to the simulator's control routes: `advance`, `next`, `fault`, `clear`."""
        body = json.dumps(arguments).encode()
        request = urllib.request.Request(f"{self._api}/_simulator/{action}", body, method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def _manage(self, *arguments: str) -> None:
        done = self._run("manage", str(EXAMPLE / "manage.py"), *arguments)
        assert done.wait(120) == 0, done.log()

    def _start(self, name: str, *arguments: str) -> Process:
        return self._run(name, str(EXAMPLE / "manage.py"), *arguments)

    def _run(self, name: str, *arguments: str) -> Process:
        path = [str(EXAMPLE), str(ROOT), os.environ.get("PYTHONPATH", "")]
        dropped = ("CELERY_BROKER_URL", "COMETAPI_KEY", "STUDIO_LIVE", "DJANGO_ALLOW_ASYNC_UNSAFE")
        env = {key: value for key, value in os.environ.items() if key not in dropped}
        env |= {
            "DJANGO_SETTINGS_MODULE": "studio.settings",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "PYTHONUNBUFFERED": "1",
            "SIMULATOR_URL": self._api,
            "STUDIO_DATA": str(self.folder),
        }
        process = Process([sys.executable, *arguments], env, self.folder / f"{name}.log")
        self._stack.callback(process.kill)
        return process


def sign_in(context: Any, gallery: Gallery, name: str) -> None:
    """Sign in through the form."""
    page = context.new_page()
    page.goto(f"{gallery.url}/login/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{gallery.url}/")
    page.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
