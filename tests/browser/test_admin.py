"""The admin in a real browser, under a strict policy."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from seedance_celery.models import Video
from tests.browser.pages import Tab, serious
from tests.web.rows import make

pytestmark = [pytest.mark.full, pytest.mark.django_db(transaction=True)]

ADMIN = "/admin/seedance_celery/video/"


def test_the_admin_keeps_to_the_policy_and_plays(tab: Tab) -> None:
    video = make("completed", file="kite.mp4")
    make("create_unknown", api_id=None)
    tab.open(ADMIN)
    page = tab.open(f"{ADMIN}{video.pk}/change/")
    expect(page.locator("video")).to_be_visible()


def test_the_admin_is_accessible(new_context: Any, live_server: Any) -> None:
    tab = Tab(new_context(), live_server.url)
    videos = [make(status) for status in Video.Status.values]
    # What stands around the content is Django's own.
    assert serious(tab.open(ADMIN), "#content") == []
    for video in videos:
        assert serious(tab.open(f"{ADMIN}{video.pk}/change/"), "#content") == []


def test_a_grave_action_is_asked_about_and_can_be_left(tab: Tab) -> None:
    video = make("create_unknown", api_id=None)
    page = tab.open(f"{ADMIN}{video.pk}/change/")
    page.get_by_role("button", name="Give up").click()
    tab.shows("errbacks run")
    assert serious(page, "#content") == []
    page.get_by_role("link", name="No, go back").click()
    tab.shows(str(video.pk))
    page.get_by_role("button", name="Give up").click()
    page.get_by_role("button", name="Give up").click()
    tab.shows("Give up: 1 video.")
    assert video.current().is_finished


def test_a_kept_file_that_cannot_be_loaded_is_told_and_its_player_gone(tab: Tab) -> None:
    video = make("completed", file="gone.mp4")
    page = tab.open(f"{ADMIN}{video.pk}/change/")
    tab.shows("The file of this video cannot be loaded.")
    expect(page.locator("video")).to_be_hidden()
    tab.forgive("404")


@pytest.mark.parametrize("width", [375, 1280])
def test_words_wider_than_the_screen_are_broken(
    new_context: Any, live_server: Any, width: int
) -> None:
    context = new_context(viewport={"width": width, "height": 800})
    video = make(prompt="A kite " + "abcdefghij" * 25)
    page = Tab(context, live_server.url).open(f"{ADMIN}{video.pk}/change/")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".field-prompt .readonly").bounding_box()
    assert box["x"] + box["width"] <= width
