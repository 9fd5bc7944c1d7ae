"""The pictures of the documentation: `make screenshots` takes them anew."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.gallery import Gallery, sign_in
from tests.harness.processes import ROOT

pytestmark = pytest.mark.full

USER = "ann"
LARGEST = 200_000
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
VIDEOS = "/admin/seedance_celery/video/"
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: Any) -> Iterator[Gallery]:
    with Gallery(tmp_path_factory.mktemp("gallery")) as gallery:
        gallery.add_user(USER)
        gallery.fill(USER)
        gallery.start_web()
        yield gallery


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """Where pictures go: `$SCREENSHOTS`, else a folder that is thrown away."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("images")).resolve()


class Camera:
    """A browser window that takes pictures."""

    def __init__(self, page: Any, url: str, folder: Path) -> None:
        self.page, self.url, self.folder = page, url, folder

    def open(self, path: str) -> None:
        """Go to a page and wait until its films have a picture."""
        self.page.goto(self.url + path)
        self.page.evaluate(
            """Promise.all([...document.querySelectorAll("video")].map((video) => {
              video.preload = "auto";
              const ready = (done) => { video.oncanplaythrough = done; };
              return video.readyState === 4 || new Promise(ready);
            }))"""
        )

    def take(self, name: str, part: str = "", *, full_page: bool = False) -> None:
        """Take a picture of a part of the page, or of what the window shows."""
        path = self.folder / f"{name}.png"
        target = self.page.locator(part).first if part else self.page
        target.screenshot(path=path, **({} if part else {"full_page": full_page}))
        assert path.stat().st_size < LARGEST, f"{path.name} has {path.stat().st_size} bytes"


@pytest.fixture
def new_camera(chromium: Any, gallery: Gallery, folder: Path) -> Iterator[Any]:
    contexts = []

    def make(viewport: Any = DESK, scheme: str = "light") -> Camera:
        options = {"viewport": viewport, "color_scheme": scheme, "reduced_motion": "reduce"}
        contexts.append(chromium.new_context(**options))
        sign_in(contexts[-1], gallery, USER)
        return Camera(contexts[-1].new_page(), gallery.url, folder)

    yield make
    for context in contexts:
        context.close()


def test_the_gallery(new_camera: Any) -> None:
    camera = new_camera()
    camera.open("/")
    camera.take("gallery")
    camera.take("cards", "section:has(> .grid)")
    path = camera.page.locator(".card:has(video) h3 a").first.get_attribute("href")
    camera.open(path)
    camera.take("film")


def test_the_gallery_in_the_dark_and_on_a_phone(new_camera: Any) -> None:
    camera = new_camera(PHONE, "dark")
    camera.open("/")
    camera.page.locator(".card").nth(1).scroll_into_view_if_needed()
    camera.take("phone")


def test_the_admin(new_camera: Any) -> None:
    camera = new_camera({**DESK, "height": 1000})
    camera.open(VIDEOS)
    camera.take("admin-list")
    row = camera.page.locator("#result_list tr:has([data-status=in_progress]) th a")
    camera.open(row.first.get_attribute("href"))
    camera.take("admin-running", full_page=True)
    camera.open(f"{VIDEOS}?status__exact=completed")
    camera.open(camera.page.locator("#result_list th a[href*=change]").first.get_attribute("href"))
    camera.take("admin-video")
    camera.open(f"{VIDEOS}?status__exact=create_unknown")
    camera.open(camera.page.locator("#result_list th a[href*=change]").first.get_attribute("href"))
    camera.page.get_by_role("button", name="Buy again").click()
    camera.page.set_viewport_size({"width": 1280, "height": 420})
    camera.take("admin-confirm")


def test_the_documentation_shows_each_picture_that_is_kept() -> None:
    kept = {path.name for path in (DOCS / "images").glob("*.png")}
    pages = "".join(path.read_text() for path in DOCS.glob("*.md"))
    assert kept == set(re.findall(r"\(images/([\w-]+\.png)\)", pages))
    assert all((DOCS / "images" / name).stat().st_size < LARGEST for name in kept)
