"""The example's gallery, with a real worker and a simulated API, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.gallery import Gallery, sign_in
from tests.browser.pages import Tab, bar, play, serious
from tests.harness.waiting import wait_until

USER, OTHER = "ann", "states"
RENDER = 60
"""Seconds that are more than a render takes."""


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: Any) -> Iterator[Gallery]:
    with Gallery(tmp_path_factory.mktemp("gallery")) as gallery:
        for name in (USER, OTHER):
            gallery.add_user(name)
        gallery.fill(OTHER)
        gallery.start_worker()
        gallery.start_web()
        yield gallery


@pytest.fixture
def new_tab(chromium: Any, gallery: Gallery) -> Iterator[Any]:
    """Open tabs in contexts of their own; their consoles must stay clean."""
    tabs: list[Tab] = []

    def make(name: str | None = USER, **options: Any) -> Tab:
        context = chromium.new_context(**options)
        if name:
            sign_in(context, gallery, name)
        tabs.append(Tab(context, gallery.url))
        return tabs[-1]

    yield make
    for tab in tabs:
        tab.context.close()
    gallery.simulate("clear")
    assert [said for tab in tabs for said in tab.said] == []


@pytest.fixture
def tab(new_tab: Any) -> Tab:
    """One page of a signed-in user."""
    return new_tab()


def order(tab: Tab, prompt: str) -> Any:
    """Send the form; return the new film's card."""
    page = tab.open("/")
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_role("button", name="Make the film").click()
    card = page.locator(".card").first
    expect(card).to_contain_text(prompt)
    return card


def film_page(tab: Tab, prompt: str) -> Any:
    """Send the form and go to the new film's page."""
    order(tab, prompt).get_by_role("link", name=prompt).click()
    expect(tab.page.locator("h1")).to_have_text(prompt)
    return tab.page


def test_a_film_is_asked_for_rendered_and_played(tab: Tab, gallery: Gallery) -> None:
    card = order(tab, "A red kite")
    expect(bar(card)).to_be_visible()
    before = int(bar(card).get_attribute("aria-valuenow") or 0)
    gallery.simulate("advance", seconds=4)
    # On a busy machine the create may come after that, and its end before the page's next look.
    moved = card.locator(f"video, [aria-valuenow]:not([aria-valuenow='{before}'])")
    expect(moved.filter(visible=True).first).to_be_visible()
    gallery.simulate("advance", seconds=RENDER)
    expect(card.locator("video")).to_be_visible()
    expect(bar(card)).to_be_hidden()
    assert play(card.locator("video")) > 0
    page = tab.open("/")
    policy = page.request.get(tab.url).headers["content-security-policy"]
    assert "script-src 'self'" in policy


@pytest.mark.full
def test_a_failure_is_told_and_tried_again(tab: Tab, gallery: Gallery) -> None:
    gallery.simulate("next", scenario="moderation")
    card = order(tab, "A famous face")
    expect(card.get_by_role("button", name="Try again")).to_be_hidden()
    gallery.simulate("advance", seconds=RENDER)
    expect(card).to_contain_text("The provider could not make this video")
    expect(card).to_contain_text("moderation refused")
    card.get_by_role("button", name="Try again").click()
    page = tab.page
    page.wait_for_url(re.compile("/films/"))
    gallery.simulate("advance", seconds=RENDER)
    expect(page.locator("video")).to_be_visible()
    tab.shows("Rendered", "Download")


@pytest.mark.full
def test_a_reload_in_the_middle_changes_nothing(tab: Tab, gallery: Gallery) -> None:
    page = film_page(tab, "A bridge at night")
    page.reload()
    expect(bar(page)).to_be_visible()
    gallery.simulate("advance", seconds=RENDER)
    expect(page.locator("video")).to_be_visible()


@pytest.mark.full
def test_offline_and_back(tab: Tab, gallery: Gallery) -> None:
    card = order(tab, "A ferry")
    tab.context.set_offline(True)
    expect(card).to_contain_text("You are offline.")
    gallery.simulate("advance", seconds=RENDER)
    tab.context.set_offline(False)
    expect(card.locator("video")).to_be_visible()
    tab.forgive("ERR_INTERNET_DISCONNECTED")


@pytest.mark.full
def test_two_tabs_follow_the_same_film(tab: Tab, gallery: Gallery) -> None:
    first = film_page(tab, "A windmill")
    second = Tab(tab.context, tab.url)
    second.open("/")
    gallery.simulate("advance", seconds=RENDER)
    expect(second.page.locator(".card").first.locator("video")).to_be_visible()
    first.bring_to_front()
    expect(first.locator("video")).to_be_visible()
    assert second.said == []


@pytest.mark.full
def test_without_javascript_a_link_refreshes(new_tab: Any, gallery: Gallery) -> None:
    tab = new_tab(java_script_enabled=False)
    card = order(tab, "A tram")
    expect(bar(card)).to_be_visible()
    gallery.simulate("advance", seconds=RENDER)

    def is_there() -> bool:
        if card.locator("video").count():
            return True
        card.get_by_role("link", name="Refresh").click()
        return False

    wait_until(is_there, 30, "the player", every=0.5)


@pytest.mark.full
def test_a_login_that_has_expired_is_told(tab: Tab) -> None:
    card = order(tab, "A chapel")
    tab.context.clear_cookies()
    expect(card).to_contain_text("This page may no longer see the video.")


@pytest.mark.full
def test_a_web_server_that_restarts_is_waited_for(tab: Tab, gallery: Gallery) -> None:
    card = order(tab, "A quarry")
    assert gallery.web is not None
    gallery.web.kill()
    try:
        expect(card).to_contain_text("The server does not answer.")
        gallery.simulate("advance", seconds=RENDER)
    finally:
        gallery.start_web()
    expect(card.locator("video")).to_be_visible()
    tab.forgive("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")


@pytest.mark.full
def test_what_has_not_changed_is_304(tab: Tab, gallery: Gallery) -> None:
    gallery.simulate("next", scenario="stuck=600")
    order(tab, "A glacier")
    with tab.page.expect_response(lambda answer: answer.status == 304):
        pass


@pytest.mark.full
def test_films_of_others_are_not_there(tab: Tab, new_tab: Any) -> None:
    page = film_page(tab, "A secret garden")
    for stranger in (new_tab(None), new_tab(OTHER)):
        assert stranger.page.goto(page.url).status == 404
        assert "A secret garden" not in stranger.page.content()
        # Django's own page for developers has a style of its own, which the policy forbids.
        stranger.forgive("404", "Applying inline style")


@pytest.mark.full
def test_a_visitor_keeps_films_through_signing_in(new_tab: Any, gallery: Gallery) -> None:
    tab = new_tab(None)
    order(tab, "A film of nobody")
    sign_in(tab.context, gallery, USER)
    tab.open("/")
    expect(tab.page.locator(".card").first).to_contain_text("A film of nobody")


@pytest.mark.full
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_is_accessible_and_as_wide_as_the_screen(
    new_tab: Any, scheme: Any, width: int
) -> None:
    tab = new_tab(OTHER, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = tab.open("/")
    films = page.locator(".card h3 a").evaluate_all("links => links.map(link => link.pathname)")
    assert len(films) > 10
    for path in ("/", films[0], films[1], films[-1], "/login/"):
        page = tab.open(path)
        assert serious(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.mark.full
def test_what_is_wrong_with_a_form_is_told_at_its_field(tab: Tab) -> None:
    page = tab.open("/")
    page.get_by_label("Prompt").fill("A long film")
    page.get_by_label("Seconds").fill("25")
    page.get_by_role("button", name="Make the film").click()
    tab.shows("Seedance 2.0 takes 4 to 15 seconds")
    fields = [page.get_by_label(name).bounding_box() for name in ("Model", "Seconds")]
    assert abs(fields[0]["y"] - fields[1]["y"]) < 2
    assert serious(page) == []
    tab.forgive("422")
