"""Chromium, driven by Playwright; every test ends with a clean console."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from playwright import sync_api

import seedance_celery.simulator
from tests.browser.pages import Tab
from tests.harness.services import CI

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
KITE = Path(seedance_celery.simulator.__file__).parent / "media" / "kite.mp4"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's Chromium; skipped by name where it is absent."""
    if CHROMIUM is None:
        message = "needs Chromium (apt-get install chromium, or set CHROMIUM to its path)"
        pytest.fail(message, pytrace=False) if CI else pytest.skip(message)
    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code: it
    # ends with the module, as other modules of this process have loops of their own.
    with pytest.MonkeyPatch.context() as patch, sync_api.sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def _site(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.web.urls"
    settings.MEDIA_URL = "/media/"
    settings.MEDIA_ROOT = str(tmp_path)
    shutil.copy(KITE, tmp_path / "kite.mp4")
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def new_context(chromium: Any, live_server: Any) -> Iterator[Any]:
    """Make browser contexts that are signed in as a superuser."""
    contexts = []

    def make(**options: Any) -> Any:
        context = chromium.new_context(**options)
        client = Client()
        user, _ = User.objects.get_or_create(username="b", is_staff=True, is_superuser=True)
        client.force_login(user)
        value = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": value, "url": live_server.url}])
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def tab(new_context: Any, live_server: Any) -> Iterator[Tab]:
    """One page; its console must stay clean."""
    tab = Tab(new_context(), live_server.url)
    yield tab
    assert tab.said == []
