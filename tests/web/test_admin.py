"""The admin's list and page of a video."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils.timezone import localtime

from seedance_celery.admin.said import support_text
from seedance_celery.models import AccountState, KeptTask, Video
from tests.web.conftest import person
from tests.web.rows import PROMPT, SIGNATURE, make, past

pytestmark = pytest.mark.django_db

LIST = "/admin/seedance_celery/video/"


def rows(html: str) -> int:
    return html.count('class="action-select"')


def page(client: Client, video: Video) -> Any:
    return client.get(f"{LIST}{video.pk}/change/")


# The list.


def test_the_list_shows_progress_age_time_left_model_cost_and_account(boss: Client) -> None:
    past(*[100] * 10, model="seedance-2-5")
    make(age=60, model="seedance-2-5", account="eu", size="16:9", progress=70)
    html = boss.get(LIST, {"status__exact": "in_progress"}).text
    for part in ("70 %", "1 minute", "about 40 seconds left", "seedance-2-5", "5 s · 16:9", "eu"):
        assert part in html.replace("\xa0", " "), part


@pytest.mark.parametrize("count", [1, 50])
def test_the_list_takes_as_many_queries_for_50_rows_as_for_one(
    boss: Client, count: int, django_assert_num_queries: Any
) -> None:
    past(*[100] * 10)
    for number in range(count):
        make(Video.Status.values[number % 10], account="eu", reason="no faces")
    boss.get(LIST)
    # Session and user; the bounded count; the page; the first and last date.
    with django_assert_num_queries(6):
        html = boss.get(LIST, {"account": "eu"}).text
    assert rows(html) == count


def test_the_list_leaves_out_prompts_signatures_and_answers(boss: Client) -> None:
    make("completed")
    html = boss.get(LIST).text
    assert PROMPT not in html
    assert SIGNATURE not in html


def test_search_finds_a_whole_api_id_or_the_rows_own(boss: Client) -> None:
    video = make(api_id="task_AbC")
    make()
    for text in ("task_AbC", " task_AbC ", str(video.pk)):
        assert rows(boss.get(LIST, {"q": text}).text) == 1
    for text in ("task_abc", "task_", "no'such\""):
        assert rows(boss.get(LIST, {"q": text}).text) == 0


def test_the_filters(boss: Client) -> None:
    make(model="seedance-2-5")
    make("failed")
    for query, count in (
        ({"status__exact": "failed"}, 1),
        ({"model": "seedance-2-5"}, 1),
        ({"account": "default"}, 2),
    ):
        assert rows(boss.get(LIST, query).text) == count


def test_the_dates_lead_from_years_to_days(boss: Client) -> None:
    for year, month in ((2024, 3), (2026, 2)):
        make("failed", created_at=datetime(year, month, 7, 12, tzinfo=timezone.utc))
    html = boss.get(LIST, {"status__exact": "failed"}).text
    assert re.findall(r"created_at__year=(\d+)", html) == ["2024", "2025", "2026"]
    assert "?status__exact=failed&amp;created_at__year=2025" in html
    year = {"created_at__year": 2024}
    assert "created_at__month=12" in boss.get(LIST, year).text
    month = boss.get(LIST, {**year, "created_at__month": 3}).text
    assert rows(month) == 1
    assert "created_at__day=31" in month
    day = {**year, "created_at__month": 3, "created_at__day": 8}
    assert rows(boss.get(LIST, day).text) == 0


@pytest.mark.parametrize(
    "date", ["x", "2025 13", "2025 2 30", "9999 12", "9999", "1", "0", "-1 2", "99999999"]
)
def test_impossible_dates_lead_back_to_the_list(boss: Client, date: str) -> None:
    names = ("created_at__year", "created_at__month", "created_at__day")
    answer = boss.get(LIST, dict(zip(names, date.split(), strict=False)), follow=True)
    assert answer.status_code == 200
    assert answer.redirect_chain == [(f"{LIST}?e=1", 302)]


def test_counts_stuck_rows_and_refused_keys_stand_at_the_top(boss: Client) -> None:
    now = make().created_at
    make("failed")
    make("failed", created_at=now - timedelta(days=3))
    make(api_id="task_stuck", overdue_at=now - timedelta(hours=1))
    AccountState.objects.create(name="eu", strikes=1, refused_at=now, refused_reason="no key")
    html = boss.get(LIST).text
    counts = dict(re.findall(r"status__exact=(\w+)\"><b>(\d+)</b>", html))
    assert counts == {"in_progress": "2", "failed": "1"}
    assert "does a worker run?" in html
    assert html.count(">task_stuck<") == 2
    assert "refuses the key of account eu" in html


def test_creates_that_wait_for_a_person_stand_at_the_top(boss: Client) -> None:
    for changes in ({}, {}, {"finished_at": make().created_at}):
        make("create_unknown", api_id=None, **changes)
    html = boss.get(LIST).text
    assert "2 creates are unknown" in html
    assert 'status__exact=create_unknown"><b>3</b>' in html


def test_the_overview_is_cached(boss: Client, django_assert_max_num_queries: Any) -> None:
    boss.get(LIST)
    with django_assert_max_num_queries(6):
        boss.get(LIST)
    cache.clear()


# The page.


def test_the_page_plays_the_video_and_shows_its_life(boss: Client) -> None:
    video = make(
        "completed",
        file="kite.mp4",
        last_error="the last error",
        raw={
            "id": "task_x",
            "video_url": f"https://x.example/k.mp4?{SIGNATURE}",
            "key": "sk-12345",
        },
        history=[["2026-01-01T12:00:00+00:00", "created"], ["not a time", "<b>odd</b>"]],
    )
    html = page(boss, video).text
    for part in ("<video controls", "kite.mp4", "created", "&lt;b&gt;odd", "the last error"):
        assert part in html, part
    assert SIGNATURE not in html
    assert "sk-12345" not in html


def test_a_player_says_what_cannot_be_loaded_the_file_or_the_link(boss: Client) -> None:
    kept, linked = make("completed", file="kite.mp4"), make("completed")
    assert "The file of this video cannot be loaded." in page(boss, kept).text
    assert "The link to this video has expired, or cannot be reached." in page(boss, linked).text


def test_the_timeline_says_who_accepted_a_create(boss: Client) -> None:
    html = page(boss, make()).text
    timeline = re.findall(r"</span> ([^<]+)</li>", html.split("seedance-timeline")[1])
    assert timeline[0] == "accepted by the API"


def test_who_waits_is_shown_by_task_name_and_never_by_signature(boss: Client) -> None:
    video = make()
    KeptTask.objects.create(
        celery_id="id-1", task="shop.tasks.publish", video=video, signature='{"args":["secret"]}'
    )
    html = page(boss, video).text
    assert "shop.tasks.publish" in html
    assert "secret" not in html.replace(PROMPT, "")


def test_the_page_leaves_out_what_there_is_nothing_to_tell_of(boss: Client) -> None:
    running, done = page(boss, make()).text, page(boss, make("completed", file="k.mp4")).text
    for name in ("player", "file_kept", "last_error", "metadata", "reason"):
        assert f"field-{name}" not in running, name
    for name in ("next_poll", "deadline"):
        assert f"field-{name}" not in done, name
    assert ("field-player" in done, "field-file_kept" in done) == (True, True)


def test_the_page_tells_when_the_next_poll_is_to_the_second(boss: Client) -> None:
    video = make(next_poll_at=datetime.now(timezone.utc) + timedelta(seconds=40))
    html = page(boss, video).text
    told = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \(in (\d+) s\)", html)
    assert told is not None
    assert told[1] == f"{localtime(video.next_poll_at):%Y-%m-%d %H:%M:%S}"
    assert 30 < int(told[2]) <= 40


def test_holds_of_the_account_are_shown(boss: Client) -> None:
    video = make(account="eu")
    until = video.created_at + timedelta(hours=1)
    AccountState.objects.create(name="eu", strikes=3, hold_until=until, refused_reason="bad key")
    html = page(boss, video).text
    assert "held back until" in html
    assert "bad key" in html


EVIDENCE = {
    "create": {
        "at": "2026-11-30T10:00:00+00:00",
        "error": "BrokenReply",
        "http_status": 200,
        "body": '{"data": "task_PAIDFOR123"}',
        "ids": ["task_PAIDFOR123"],
    },
    "poll": {
        "at": "2026-11-30T10:01:00+00:00",
        "over_at": "2026-11-30T10:02:00+00:00",
        "error": "RequestRefused",
        "http_status": 451,
        "code": "fail_to_fetch_task",
        "upstream_code": "InvalidParameter",
        "words": f"no role for {PROMPT} <b>",
        "request_id": "20260205SIHCnxzJ",
    },
}


def test_what_the_api_said_is_in_one_place_with_a_text_for_support(boss: Client) -> None:
    html = page(boss, make("failed", evidence=EVIDENCE, request_id="last-id")).text
    assert "What the API said" in html
    told, support = html.split("seedance-said")[1], html.split("field-for_support")[1]
    for part in ("task_PAIDFOR123", "451", "InvalidParameter", "20260205SIHCnxzJ", "&lt;b&gt;"):
        assert part in told, part
        assert part in support, part
    assert "last-id" in support
    assert PROMPT not in support
    assert "[redacted]" in support


def test_the_text_for_support_holds_no_prompt_key_or_signature() -> None:
    words = f"{PROMPT} at https://x.example/k.mp4?{SIGNATURE} with sk-secret-key"
    text = support_text(make("error", evidence={"end": {"api_status": "error", "words": words}}))
    assert "end: " in text
    assert not [x for x in (PROMPT, SIGNATURE, "sk-secret") if x in text]


def test_an_answer_whose_link_was_not_found_is_shown_with_what_may_be_one(boss: Client) -> None:
    raw = {"status": "completed", "output": [f"https://x.example/k.mp4?{SIGNATURE}"]}
    assert SIGNATURE in page(boss, make("error", urlless_polls=4, raw=raw)).text
    assert SIGNATURE not in page(boss, make("error", raw=raw)).text


def test_the_words_of_a_refused_key_are_shown_beside_its_hold(boss: Client) -> None:
    video = make(account="eu")
    told = {"http_status": 401, "words": "Invalid token", "request_id": "r-7"}
    AccountState.objects.create(name="eu", strikes=1, evidence=told)
    html = page(boss, video).text
    assert "Invalid token" in html
    assert "r-7" in html
    assert boss.get("/admin/seedance_celery/accountstate/eu/change/").status_code == 200


@pytest.mark.parametrize("status", Video.Status.values)
def test_every_status_has_a_page_that_has_no_field_to_edit(boss: Client, status: str) -> None:
    html = page(boss, make(status)).text
    assert "_save" not in html
    assert not re.search(r"<(textarea|select) ", html)
    assert not re.search(r"\sstyle=|\son\w+=", html.split("<main")[-1])


def test_the_page_takes_no_post(boss: Client) -> None:
    video = make()
    assert boss.post(f"{LIST}{video.pk}/change/", {"status": "failed"}).status_code == 403
    assert video.current().status == "in_progress"


def test_nobody_adds_a_video_by_hand(boss: Client) -> None:
    assert boss.get(f"{LIST}add/").status_code == 403


def test_what_has_not_ended_cannot_be_deleted(boss: Client) -> None:
    running, failed = make(), make("failed")
    assert boss.post(f"{LIST}{running.pk}/delete/", {"post": "yes"}).status_code == 403
    assert boss.post(f"{LIST}{failed.pk}/delete/", {"post": "yes"}).status_code == 302
    assert list(Video.objects.all()) == [running]


# Who.


@pytest.mark.parametrize("path", [LIST, "/admin/seedance_celery/accountstate/"])
def test_staff_without_the_permission_and_strangers_see_nothing(path: str) -> None:
    assert person("helper", is_staff=True).get(path).status_code == 403
    assert person("customer").get(path).status_code == 302
    assert Client().get(path).status_code == 302


def test_those_who_may_only_look_get_no_action(staff: Client) -> None:
    viewer = person("viewer", "view_video", is_staff=True)
    html = page(viewer, make()).text + viewer.get(LIST).text
    assert "Poll now" not in html
    assert "Buy again" not in html


def test_accounts_are_listed_and_not_edited(boss: Client) -> None:
    AccountState.objects.create(name="eu", strikes=1)
    html = boss.get("/admin/seedance_celery/accountstate/").text
    assert "eu" in html
    assert boss.get("/admin/seedance_celery/accountstate/add/").status_code == 403
