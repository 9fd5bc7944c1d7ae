"""One broken row costs itself alone: every page shows the good rows beside it whole."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.template import engines
from django.test import Client, RequestFactory

from seedance_celery.db import once
from seedance_celery.models import AccountState, Video
from seedance_celery.polling.estimates import estimate
from seedance_celery.testing import Seedance
from tests.conftest import matrix
from tests.harness.databases import KINDS, Database
from tests.web import poison
from tests.web.conftest import person
from tests.web.rows import make, past, read

LIST = "/admin/seedance_celery/video/"
ACTIONS = ("poll_now", "resume", "store")
ASKING = ("buy_again", "give_up", "stop_waiting", "prune")


@pytest.fixture
def site(database: Database) -> Iterator[Client]:
    """A superuser's browser, on each database."""
    once.forget()
    with Seedance():
        yield person("boss", is_staff=True, is_superuser=True)


on_each_database = pytest.mark.parametrize("database", matrix(("sqlite",), KINDS), indirect=True)
in_zones = pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Chicago"])


def put_all(rows: dict[str, dict[str, Any]] = poison.VALUES) -> dict[str, Video]:
    """Insert each bad row that the database takes."""
    bad = {}
    for name, values in rows.items():
        # PyMySQL refuses some with an error that Django does not know.
        with suppress(Exception), transaction.atomic():
            bad[name] = make(**values)
    assert len(bad) > 0.7 * len(rows)
    return bad


def put_unreadable() -> dict[str, Video]:
    """Insert each row that Django cannot read from this database."""
    bad = {}
    for name, (column, text) in poison.RAW[connection.vendor].items():
        video = make("failed")
        with suppress(DatabaseError), transaction.atomic():
            poison.put(video, column, text)
            bad[name] = video
    assert bad
    return bad


def complaints(client: Client, bad: dict[str, Video], *, tags: bool = True) -> list[str]:
    """Return what is wrong with the pages and actions that meet bad rows beside good ones."""
    client.raise_request_exception = False
    good = make("in_progress")
    everybody = [str(good.pk), *(str(video.pk) for video in bad.values())]
    found = []
    for query in ("", "o=3", "q="):
        cache.clear()
        html = "".join(client.get(f"{LIST}?{query}&p={page}").text for page in (1, 2, 3))
        found += [f"{query}: no {v}" for v in (good, *bad.values()) if str(v) not in html]
    for start in range(0, len(everybody), 99):
        some = [everybody[0], *everybody[1:][start : start + 99]]
        for url in ("/videos/", "/open/", *(["/page/"] if tags else [])):
            text = client.get(url, {"id": some}).text
            found += [f"GET {url}: no {pk}" for pk in some if pk not in text]
    for name, video in bad.items():
        for url in (f"{LIST}{video.pk}/change/", f"/videos/{video.pk}/"):
            if str(video.pk) not in client.get(url).text:
                found.append(f"{name}: GET {url}")
        for url in (f"{LIST}{video.pk}/delete/", f"{LIST}{video.pk}/history/"):
            if client.get(url).status_code not in (200, 403):
                found.append(f"{name}: GET {url}")
    return found + refused_actions(client, everybody)


def refused_actions(client: Client, keys: list[str]) -> list[str]:
    found = []
    for action in (*ACTIONS, *ASKING):
        data = {"action": action, "_selected_action": keys, "index": 0, "select_across": 0}
        for more in [{}, {"confirmed": "yes"}][: 2 if action in ASKING else 1]:
            cache.clear()
            answer = client.post(LIST, {**data, **more}, follow=True)
            if answer.status_code != 200:
                found.append(f"{action} {more}: {answer.status_code}")
    return found


@on_each_database
def test_no_value_of_a_row_breaks_a_page(site: Client) -> None:
    assert complaints(site, put_all()) == []


@on_each_database
def test_no_value_that_cannot_be_read_breaks_a_page(
    site: Client, caplog: pytest.LogCaptureFixture
) -> None:
    bad = put_unreadable()
    # The page's own query would raise before any tag is rendered.
    assert complaints(site, bad, tags=False) == []
    told = [r.getMessage() for r in caplog.records if "cannot be read" in r.getMessage()]
    for name in ("a date without end", "JSON nested beyond reading", "a date that is none"):
        if name in bad:
            assert [text for text in told if str(bad[name].pk) in text], name


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["metadata", "history"])
def test_what_is_nested_deep_is_shown_as_far_as_people_read(boss: Client, name: str) -> None:
    html = boss.get(f"{LIST}{make(**{name: poison.DEEP}).pk}/change/").text
    assert "…" in html
    assert "cannot be shown" not in html


@pytest.mark.django_db
@in_zones
def test_the_ends_of_the_calendar_break_no_page_in_any_zone(
    boss: Client, settings: Any, zone: str
) -> None:
    settings.TIME_ZONE = zone
    times = (poison.FIRST, poison.LAST)
    rows = {k: row for k, row in poison.VALUES.items() if any(v in times for v in row.values())}
    assert complaints(boss, put_all(rows)) == []


@pytest.mark.django_db
def test_an_unknown_status_is_shown_as_it_is_to_staff_and_in_words_to_customers(
    boss: Client, caplog: pytest.LogCaptureFixture
) -> None:
    once.forget()
    good, bad = make("in_progress"), make("paused_by_v9", finished_at=None)
    html = boss.get(LIST).text
    assert "paused_by_v9" in html
    assert re.search(r'status__exact=paused_by_v9"><b>1</b> paused_by_v9', html)
    page = boss.get(f"/page/?id={bad.pk}").text
    assert "In a state that this page does not know yet" in page
    assert ">paused_by_v9" not in page
    told = [r for r in caplog.records if str(bad.pk) in r.getMessage()]
    assert [record.levelno for record in told] == [logging.WARNING], "said once"
    shown = boss.get(f"/videos/?id={good.pk}&id={bad.pk}").json()["videos"]
    assert [video["status"] for video in shown] == ["in_progress", "paused_by_v9"]
    assert shown[1]["poll_after"] == 30


@pytest.mark.django_db
def test_a_history_that_is_none_is_shown_as_it_is(boss: Client) -> None:
    bad = make(history=["kite", ["2026-01-01T00:00:00+00:00", "well"]])
    html = boss.get(f"{LIST}{bad.pk}/change/").text
    assert "&quot;kite&quot;" in html
    assert "2025-12-31 18:00:00</span> well" in html


@pytest.mark.django_db
def test_years_that_are_none_bring_no_thousands_of_links(boss: Client) -> None:
    make(created_at=poison.FIRST.replace(year=3, month=6))
    make(created_at=poison.LAST.replace(year=9990))
    years = re.findall(r"created_at__year=(\d+)", boss.get(LIST).text)
    assert {"3", "9990"} <= set(years)
    assert len(years) < 50


@pytest.mark.django_db
def test_a_bad_row_bends_no_other_estimate(boss: Client) -> None:
    past(*[100.0] * 12)
    past(100.0, post_started_at=poison.FIRST)
    past(100.0, post_started_at=poison.LAST.replace(year=2000, month=1, day=2))
    left = estimate(read(make(age=10)))
    assert left is not None
    assert left.p90_seconds_left == 90


@pytest.mark.django_db
@in_zones
@pytest.mark.parametrize("time", [poison.FIRST, poison.LAST])
def test_an_account_with_a_date_at_the_end_of_the_calendar_breaks_no_page(
    boss: Client, settings: Any, zone: str, time: Any
) -> None:
    settings.TIME_ZONE = zone
    boss.raise_request_exception = False
    times = ("hold_until", "probe_until", "refused_at", "creates_hold_until")
    AccountState.objects.create(name="default", strikes=1, **dict.fromkeys(times, time))
    video = make()
    for url in (
        LIST,
        f"{LIST}{video.pk}/change/",
        "/admin/seedance_celery/accountstate/",
        "/admin/seedance_celery/accountstate/default/change/",
    ):
        assert boss.get(url).status_code == 200, url


@pytest.mark.django_db
def test_an_action_that_raises_for_one_video_handles_the_others(
    boss: Client, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = make("timed_out", timeout=1e300), make("timed_out")
    data = {"action": "resume", "_selected_action": [str(bad.pk), str(good.pk)], "index": 0}
    answer = boss.post(LIST, data, follow=True)
    assert "Resume: 1 video." in answer.text
    assert f"Resume: 1 video could not be handled; the log tells why ({bad})." in answer.text
    assert not good.current().is_finished
    assert any(str(bad.pk) in record.getMessage() for record in caplog.records)


# Ids of the many-id endpoint.


def may_view(request: Any, video: Video) -> bool:
    """A project's own permission, which stumbles over what it does not expect."""
    return {"mine": True, "theirs": False}[video.metadata["whose"]]


@pytest.mark.django_db
def test_ids_that_are_unknown_or_not_allowed_cost_themselves_alone(
    boss: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SEEDANCE = {**settings.SEEDANCE, "VIEW_PERMISSION": may_view}
    boss.raise_request_exception = False
    mine = [make(metadata={"whose": "mine"}) for _ in range(2)]
    theirs, broken, bare = (
        make(metadata={"whose": "theirs"}),
        make(metadata={"whose": "nobody's"}),
        make(metadata=None),
    )
    ids = [mine[0].pk, theirs.pk, broken.pk, "no id", "a\0b", "", "7" * 32, bare.pk, mine[1].pk]
    answer = boss.get("/videos/", {"id": [str(pk) for pk in ids]})
    assert [video["id"] for video in answer.json()["videos"]] == [str(v.pk) for v in mine]
    assert boss.get(f"/videos/{broken.pk}/").status_code == 404
    told = {pk for pk in (broken.pk, bare.pk) for r in caplog.records if str(pk) in r.getMessage()}
    assert told == {broken.pk, bare.pk}


@pytest.mark.django_db
def test_the_tags_render_nothing_for_a_video_that_is_gone(boss: Client) -> None:
    video = make()
    request = RequestFactory().get("/")
    request.user = User.objects.get()
    Video.objects.filter(pk=video.pk)._raw_delete("default")
    row = Video(pk=video.pk)
    text = "{% load seedance %}{% seedance_progress v %}{% seedance_video v %}"
    html = engines["django"].from_string(text).render({"v": row}, request)
    assert "seedance-progress" not in html
