"""The tutorial, word for word: an empty folder, a new environment, the built wheel."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from tests.browser import conftest as browser
from tests.harness.waiting import wait_until

from .follow import PATIENCE, Reader, reader
from .markdown import ROOT, blocks

PAGE = "docs/tutorial.md"
# The network and a new environment take most of a minute: `.ci/run` and `make test-all` do that.
pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(280),
    pytest.mark.skipif(
        not (ROOT / "seedance_celery").is_dir(), reason="builds the wheel from a checkout"
    ),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Build the wheel; return an environment in which pip finds this one, and no other."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, timeout=PATIENCE * 2, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    constraint = folder / "constraint.txt"
    constraint.write_text(f"seedance-celery @ {wheel.as_uri()}\n")
    kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    return {**kept, "PIP_CONSTRAINT": str(constraint), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _is_ours(name: str) -> bool:
    return name.startswith(("DJANGO_", "CELERY_", "COMETAPI_", "TEST_", "PYTEST_", "PYTHON"))


@pytest.fixture
def done(tmp_path: Path, environment: dict[str, str]) -> Iterator[Reader]:
    """Follow the tutorial to its end; the terminals are still open."""
    # `python` of the reader is the one that runs the tests.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(_base_python())
    path = f"{tmp_path / 'bin'}{os.pathsep}{environment['PATH']}"
    folder = tmp_path / "empty"
    folder.mkdir()
    with reader(folder, {**environment, "PATH": path}) as someone:
        for block in blocks(PAGE):
            someone.read(block)
        yield someone


def _base_python() -> Path:
    return Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"


def test_the_tutorial_ends_with_a_playing_video(done: Reader) -> None:
    visitor = Visitor(done.address)
    assert visitor.get("").count("<seedance-progress") == 2, "the two films from the shell"
    visitor.buy("A kite over the sea")
    page = wait_until(lambda: visitor.has_players(2), PATIENCE, "a player for the bought film")
    # The tutorial's own tests keep a file in the same folder: what counts is what the page plays.
    sources = set(re.findall(r'<video [^>]*src="([^"]+)"', page))
    kept = {path.name for path in (done.folder / "media").rglob("*.mp4")}
    assert len({Path(source).name for source in sources} & kept) == 2
    for source in sources:
        film = visitor.load(html.unescape(source))
        assert film[4:8] == b"ftyp"
    _plays(done.address)


class Visitor:
    """A visitor of the page without JavaScript."""

    def __init__(self, address: str) -> None:
        self._address = address
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(cookies, urllib.request.ProxyHandler({}))

    def load(self, path: str, data: bytes | None = None) -> bytes:
        url = urllib.parse.urljoin(self._address, path)
        with self._opener.open(url, data, timeout=30) as reply:
            return bytes(reply.read())

    def get(self, path: str) -> str:
        return self.load(path).decode()

    def buy(self, prompt: str) -> None:
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', self.get(""))
        self.load("", urllib.parse.urlencode([*hidden, ("prompt", prompt)]).encode())

    def has_players(self, count: int) -> str:
        page = self.get("")
        return page if page.count("<video ") == count else ""


def _plays(address: str) -> None:
    """Play a film in a real browser, where there is one."""
    if browser.sync_api is None or browser.CHROMIUM is None:
        return
    with browser.sync_api.sync_playwright() as playwright:
        chromium: Any = playwright.chromium.launch(
            executable_path=browser.CHROMIUM, args=browser.ARGUMENTS
        )
        page = chromium.new_page()
        page.goto(address)
        page.evaluate("document.querySelector('video').muted = true")
        page.evaluate("document.querySelector('video').play()")
        page.wait_for_function("document.querySelector('video').currentTime > 0", timeout=20_000)
        chromium.close()
