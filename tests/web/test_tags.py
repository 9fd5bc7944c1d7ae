"""`{% seedance_progress %}` and `{% seedance_video %}`."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.template import engines
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from django.utils import timezone

import seedance_celery
from seedance_celery.models import Video
from tests.web.rows import PROMPT, SIGNATURE, URL, make

pytestmark = pytest.mark.django_db

urlpatterns = [path("nothing/", lambda request: None)]

FOLDER = Path(seedance_celery.__file__).parent


def render(tag: str, video: Video, *, user: Any = None) -> str:
    request = RequestFactory().get("/films/?page=2")
    request.user = user or User(username="staff", is_staff=True)
    template = engines["django"].from_string(f"{{% load seedance %}}{{% {tag} video %}}")
    return template.render({"video": video}, request).strip()


@pytest.mark.parametrize("tag", ["seedance_progress", "seedance_video"])
def test_who_may_not_see_a_video_gets_nothing_of_it(tag: str) -> None:
    assert render(tag, make("completed"), user=AnonymousUser()) == ""


def test_without_a_request_nothing_is_rendered() -> None:
    template = engines["django"].from_string("{% load seedance %}{% seedance_video video %}")
    assert template.render({"video": make("completed")}).strip() == ""


def test_the_bar_is_accessible_and_works_without_javascript() -> None:
    html = render("seedance_progress", make(progress=30))
    for part in (
        'role="progressbar"',
        'aria-valuenow="30"',
        'aria-valuemin="0"',
        'aria-valuemax="100"',
        'aria-valuetext="Rendering, 30 %"',
        'aria-live="polite"',
        'value="30"',
        '<a href="/films/?page=2">Refresh</a>',
    ):
        assert part in html


@pytest.mark.parametrize("status", Video.Status.values)
def test_every_status_is_rendered_without_inline_script_style_or_secret(status: str) -> None:
    html = render("seedance_progress", make(status, reason=f"<b>no</b> {PROMPT}"))
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", html)
    assert PROMPT not in html
    assert "<b>" not in html
    assert (SIGNATURE in html) == (status == "completed")


def test_a_video_that_has_ended_has_no_refresh_link() -> None:
    assert "Refresh" not in render("seedance_progress", make("failed"))


def test_the_player_prefers_the_kept_file() -> None:
    html = render("seedance_video", make("completed", file="kite.mp4"))
    assert "kite.mp4" in html
    assert SIGNATURE not in html


def test_nothing_is_played_from_elsewhere_while_the_file_is_being_kept() -> None:
    html = render("seedance_progress", make("completed", store_wanted=True))
    assert "the file is being kept" in html
    assert SIGNATURE not in html


def test_what_could_not_be_kept_is_played_from_its_link() -> None:
    assert SIGNATURE in render("seedance_progress", make("completed", store_error="too large"))


def test_the_player_says_when_a_link_may_have_expired() -> None:
    old = timezone.now() - timedelta(hours=25)
    expired, fresh = make("completed", finished_at=old), make("completed")
    kept = make("completed", finished_at=old, file="kite.mp4")
    videos = (expired, fresh, kept)
    hidden = ['role="status" hidden' in render("seedance_video", v) for v in videos]
    assert hidden == [False, True, True]


def test_a_link_that_says_when_it_ends_is_believed() -> None:
    old, now = timezone.now() - timedelta(days=3), int(timezone.now().timestamp())
    dead = make("completed", video_url=f"{URL}&Expires={now - 60}")
    alive = make("completed", finished_at=old, video_url=f"{URL}&Expires={now + 3600}")
    hidden = ['role="status" hidden' in render("seedance_video", v) for v in (dead, alive)]
    assert hidden == [False, True]


def test_a_url_that_is_no_web_address_is_not_rendered() -> None:
    video = make("completed", video_url="javascript:alert(1)")
    assert render("seedance_video", video) == ""


def test_a_kept_file_that_cannot_be_loaded_is_not_called_an_expired_link() -> None:
    kept, linked = make("completed", file="kite.mp4"), make("completed")
    assert "The file of this video cannot be loaded." in render("seedance_video", kept)
    assert "The link to this video has expired" in render("seedance_video", linked)


def test_customers_are_not_shown_the_requests_id() -> None:
    reason = "Unprocessable entity (request id: 20260721_aB.c-9)"
    html = render("seedance_progress", make("rejected", api_id=None, reason=reason))
    assert ">Unprocessable entity</span>" in html


@pytest.mark.parametrize("tag", ["seedance_progress", "seedance_video"])
def test_developers_are_told_that_only_the_staff_sees_videos(tag: str, settings: Any) -> None:
    settings.DEBUG = True
    hint = render(tag, make("completed"), user=AnonymousUser())
    assert re.fullmatch(rf"<!-- {tag}: [^<>&]*VIEW_PERMISSION[^<>&]* -->", hint)
    settings.SEEDANCE = {"VIEW_PERMISSION": f"{__name__}.nobody"}
    assert render(tag, make("completed")) == ""


def nobody(request: Any, video: Video) -> bool:
    return False


@pytest.mark.parametrize("tag", ["seedance_progress", "seedance_video"])
def test_developers_are_told_that_the_request_is_missing(tag: str, settings: Any) -> None:
    settings.DEBUG = True
    template = engines["django"].from_string(f"{{% load seedance %}}{{% {tag} video %}}")
    hint = template.render({"video": make("completed")}).strip()
    assert re.fullmatch(rf"<!-- {tag}: the context has no request[^<>&]* -->", hint)


@pytest.mark.parametrize("debug", [True, False])
def test_developers_are_told_that_the_urlconf_lacks_the_endpoint(
    settings: Any, debug: bool
) -> None:
    settings.DEBUG = debug
    hint = "URLconf does not include seedance_celery.urls"
    assert hint not in render("seedance_progress", make("completed"))
    settings.ROOT_URLCONF = "tests.web.test_tags"
    assert render("seedance_progress", make("completed")).count(hint) == debug


@override_settings(ROOT_URLCONF="tests.web.test_tags")
def test_without_the_urlconf_the_bar_stands_still_and_still_shows() -> None:
    assert 'data-url=""' in render("seedance_progress", make())


def test_a_page_of_bars_from_with_now_costs_one_query(
    staff: Client, django_assert_max_num_queries: Any
) -> None:
    query = "&".join(f"id={make().pk}" for _ in range(20))
    staff.get(f"/page/?{query}")
    with django_assert_max_num_queries(3):  # the session, the user, the videos
        html = staff.get(f"/page/?{query}").text
    assert html.count("<progress") == 20


def test_the_script_is_small_and_needs_no_unsafe_policy() -> None:
    script = (FOLDER / "static/seedance_celery/progress.js").read_text()
    assert len(script) < 10_000
    assert not re.search(r"innerHTML|eval\(|insertAdjacentHTML|\.style\b|import ", script)
