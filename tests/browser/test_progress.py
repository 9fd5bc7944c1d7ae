"""A bar in a real browser, under a strict policy: it follows its video through everything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright import sync_api
from playwright.sync_api import expect

from seedance_celery.models import Video
from tests.browser.pages import Tab, bar, play, serious
from tests.web.rows import make

pytestmark = pytest.mark.django_db(transaction=True)


def running(**changes: Any) -> Video:
    """Insert a video whose page looks again in two seconds."""
    return make(**{"next_poll_at": timezone.now(), **changes})


def change(video: Video, status: str = "in_progress", **changes: Any) -> None:
    Video.objects.filter(pk=video.pk).update(status=status, **changes)


def complete(video: Video, **changes: Any) -> None:
    kept = {"progress": 100, "finished_at": timezone.now(), "file": "kite.mp4"}
    change(video, "completed", **{**kept, **changes})


def path(*videos: Video) -> str:
    return "/page/?" + "&".join(f"id={video.pk}" for video in videos)


def test_the_bar_moves_and_the_video_plays(tab: Tab) -> None:
    video = running(status="queued", progress=0)
    page = tab.open(path(video))
    tab.shows("In the queue")
    change(video, progress=50)
    expect(bar(page)).to_have_attribute("aria-valuenow", "50")
    expect(bar(page)).to_have_attribute("aria-valuetext", "Rendering, 50 %")
    complete(video)
    tab.shows("Ready")
    player = page.locator("video")
    expect(player).to_be_visible()
    assert play(player) > 0
    expect(bar(page)).to_be_hidden()


def test_a_failure_has_words_and_the_page_stops_asking(tab: Tab) -> None:
    video = running()
    page = tab.open(path(video))
    change(video, "failed", finished_at=timezone.now(), reason="no faces, please")
    tab.shows("The provider could not make this video", "no faces, please")
    expect(bar(page)).to_be_hidden()
    with pytest.raises(sync_api.TimeoutError), page.expect_request("**/videos/**", timeout=4000):
        pass


@pytest.mark.full
def test_the_bar_never_goes_back(tab: Tab) -> None:
    video = running(progress=60)
    page = tab.open(path(video))
    with page.expect_response("**/videos/**"):
        change(video, progress=10)
    tab.page.wait_for_timeout(100)
    assert bar(page).get_attribute("aria-valuenow") == "60"


def test_a_reload_in_the_middle_goes_on(tab: Tab) -> None:
    video = running()
    page = tab.open(path(video))
    change(video, progress=70)
    page.reload()
    expect(bar(page)).to_have_attribute("aria-valuenow", "70")
    change(video, progress=80)
    expect(bar(page)).to_have_attribute("aria-valuenow", "80")


def test_all_bars_of_a_page_are_one_request_and_an_unchanged_one_is_304(tab: Tab) -> None:
    videos = [running() for _ in range(3)]
    page = tab.page
    with page.expect_response("**/videos/**") as first:
        tab.open(path(*videos))
    with page.expect_response("**/videos/**") as second:
        pass
    assert [first.value.status, second.value.status] == [200, 304]
    assert first.value.url.count("id=") == 3


def test_offline_says_so_and_being_back_catches_up(tab: Tab) -> None:
    video = running()
    page = tab.open(path(video))
    tab.context.set_offline(True)
    tab.shows("You are offline.")
    change(video, progress=90)
    tab.context.set_offline(False)
    expect(bar(page)).to_have_attribute("aria-valuenow", "90")
    expect(page.get_by_text("You are offline.")).to_be_hidden()
    tab.forgive("ERR_INTERNET_DISCONNECTED")


def test_a_server_that_restarts_is_told_and_asked_again(tab: Tab) -> None:
    video = running()
    page = tab.page
    page.route("**/videos/**", lambda route: route.abort("connectionrefused"))
    tab.open(path(video))
    tab.shows("The server does not answer. Trying again.")
    page.unroute("**/videos/**")
    change(video, progress=90)
    expect(bar(page)).to_have_attribute("aria-valuenow", "90")
    expect(page.get_by_text("The server does not answer.")).to_be_hidden()
    tab.forgive("ERR_CONNECTION_REFUSED")


@pytest.mark.full
def test_a_busy_server_decides_when_it_is_asked_again(tab: Tab) -> None:
    page, asked = tab.page, []
    busy = {"status": 503, "headers": {"Retry-After": "60"}, "body": "busy"}
    page.route("**/videos/**", lambda route: (asked.append(1), route.fulfill(**busy)))
    tab.open(path(running()))
    tab.shows("The server does not answer. Trying again.")
    page.wait_for_timeout(5000)
    assert len(asked) == 1
    tab.forgive("503")


@pytest.mark.full
def test_a_timed_out_video_is_asked_for_no_sooner_than_the_server_says(tab: Tab) -> None:
    page = tab.page
    page.clock.install()
    tab.open(path(make("timed_out", overdue_at=timezone.now() + timedelta(hours=1))))
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request))
    for times in (1, 2):
        page.clock.fast_forward(200_000)
        assert len(asked) == times - 1
        with page.expect_response("**/videos/**"):
            page.clock.fast_forward(101_000)
        assert len(asked) == times


@pytest.mark.full
def test_a_login_that_expired_is_told(tab: Tab) -> None:
    tab.open(path(running()))
    tab.context.clear_cookies()
    tab.shows("This page may no longer see the video.")


@pytest.mark.full
def test_a_redirect_to_a_login_page_is_told(tab: Tab) -> None:
    login = {"status": 200, "content_type": "text/html", "body": "<h1>Sign in</h1>"}
    tab.page.route("**/videos/**", lambda route: route.fulfill(**login))
    tab.open(path(running()))
    tab.shows("This page may no longer see the video.")


@pytest.mark.full
def test_a_page_that_slept_catches_up_when_it_wakes(tab: Tab) -> None:
    page = tab.page
    page.clock.install()
    video = running()
    tab.open(path(video))
    hide = (
        "v => {Object.defineProperty(document, 'hidden', {value: v, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))}"
    )
    page.evaluate(hide, True)
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request))
    page.clock.fast_forward(3_600_000)
    complete(video)
    assert asked == []
    page.evaluate(hide, False)
    tab.shows("Ready")


@pytest.mark.full
def test_two_tabs_show_the_same(new_context: Any, live_server: Any) -> None:
    context, video = new_context(), running()
    tabs = [Tab(context, live_server.url) for _ in range(2)]
    for one in tabs:
        one.open(path(video))
    complete(video)
    for one in tabs:
        one.page.bring_to_front()
        one.shows("Ready")
        assert one.said == []


def test_without_javascript_the_state_and_a_link_are_there(
    new_context: Any, live_server: Any
) -> None:
    tab, video = Tab(new_context(java_script_enabled=False), live_server.url), running()
    page = tab.open(path(video))
    tab.shows("Rendering")
    assert bar(page).get_attribute("value") == "30"
    complete(video)
    page.get_by_role("link", name="Refresh").click()
    tab.shows("Ready")
    expect(page.locator("video")).to_be_visible()
    assert tab.said == []


@pytest.mark.full
def test_a_link_that_has_expired_is_told(tab: Tab) -> None:
    gone = f"{tab.url}/media/gone.mp4?signature=x"
    tab.open(path(make("completed", video_url=gone)))
    tab.shows("The link to this video has expired")
    tab.forgive("404")


@pytest.mark.full
def test_a_file_that_comes_and_cannot_be_loaded_is_told(tab: Tab) -> None:
    video = running()
    page = tab.open(path(video))
    complete(video, file="gone.mp4")
    tab.shows("The file of this video cannot be loaded.")
    expect(page.locator("video")).to_be_hidden()
    tab.forgive("404")


@pytest.mark.full
def test_a_video_whose_url_is_not_for_the_endpoint_asks_for_a_reload(tab: Tab) -> None:
    video = running()
    page = tab.open(path(video))
    complete(video, file="", video_url=f"{tab.url}/media/kite.mp4")
    page.get_by_role("link", name="Reload the page to play it.").click()
    expect(page.locator("video")).to_be_visible()


@pytest.mark.full
def test_an_unwell_api_is_told(tab: Tab) -> None:
    video = running()
    tab.open(path(video))
    change(video, errors=5)
    tab.shows("The provider is not answering well.")


@pytest.mark.full
def test_a_violation_of_the_policy_would_be_heard(tab: Tab) -> None:
    page = tab.open(path(running()))
    page.evaluate("document.body.append(document.createElement('style'))")
    page.evaluate("document.querySelector('style').textContent = 'p { color: red }'")
    assert "Content Security Policy" in tab.said[0]
    tab.forgive("Content Security Policy")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_is_accessible(new_context: Any, live_server: Any, scheme: str) -> None:
    tab = Tab(new_context(color_scheme=scheme), live_server.url)
    videos = [make(status, reason="the reason") for status in Video.Status.values]
    videos += [make(errors=5), make("completed", file="kite.mp4")]
    page = tab.open(path(*videos))
    assert serious(page) == []


@pytest.mark.full
def test_a_page_that_is_always_light_stays_readable_on_a_dark_system(
    new_context: Any, live_server: Any
) -> None:
    tab = Tab(new_context(color_scheme="dark"), live_server.url)
    page = tab.open(path(*(make(status) for status in Video.Status.values)))
    page.evaluate("document.querySelector('meta[name=color-scheme]').remove()")
    assert serious(page) == []
