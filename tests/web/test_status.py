"""The status endpoint: who sees what, what is said, and at what cost."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from seedance_celery import sending
from seedance_celery.models import AccountState, KeptTask, Video
from seedance_celery.status import playable_url
from tests.web.conftest import person
from tests.web.rows import PROMPT, SIGNATURE, make, past

pytestmark = pytest.mark.django_db


def one(client: Client, video: Video, **headers: Any) -> Any:
    return client.get(f"/videos/{video.pk}/", **headers)


def ids(*videos: Video) -> str:
    return "/videos/?" + "&".join(f"id={video.pk}" for video in videos)


def only_mine(request: HttpRequest, video: Video) -> bool:
    return bool(video.metadata and video.metadata["owner"] == request.user.username)


def a_truthy_mistake(request: HttpRequest, video: Video) -> Any:
    return Video.objects.all()


# Who.


@pytest.mark.parametrize("exists", [True, False])
def test_signed_out_people_get_404_whether_the_row_exists_or_not(exists: bool) -> None:
    key = make().pk if exists else uuid.uuid4()
    answer = Client().get(f"/videos/{key}/")
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]
    assert str(key) not in answer.text


def test_other_users_get_404_and_an_empty_list() -> None:
    video, client = make(), person("somebody")
    assert one(client, video).status_code == 404
    assert client.get(ids(video)).json() == {"videos": []}


def test_people_who_left_the_staff_see_nothing() -> None:
    video = make()
    assert one(person("gone", is_staff=True, is_active=False), video).status_code == 404


def test_a_projects_permission_decides_row_by_row(settings: Any) -> None:
    settings.SEEDANCE = {**settings.SEEDANCE, "VIEW_PERMISSION": f"{__name__}.only_mine"}
    mine, other = make(metadata={"owner": "ann"}), make(metadata={"owner": "bob"})
    ann = person("ann")
    assert [video["id"] for video in ann.get(ids(other, mine)).json()["videos"]] == [str(mine.pk)]
    assert (one(ann, mine).status_code, one(ann, other).status_code) == (200, 404)


def test_a_permission_that_returns_anything_but_true_shows_nothing(settings: Any) -> None:
    settings.SEEDANCE = {**settings.SEEDANCE, "VIEW_PERMISSION": a_truthy_mistake}
    assert one(Client(), make()).status_code == 404


def test_signed_out_people_of_a_site_that_asks_for_a_login_get_404_and_no_redirect(
    settings: Any,
) -> None:
    middleware = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, middleware]
    assert one(Client(), make()).status_code == 404


# What.


def test_what_the_api_said_is_not_for_customers(staff: Client) -> None:
    told = {"http_status": 451, "code": "secret_code", "words": "secret", "request_id": "r-secret"}
    evidence = {"create": told, "poll": told, "end": told}
    reason = "The output may break a rule. Request id: 0217secret"
    answer = one(staff, make("failed", evidence=evidence, reason=reason))
    assert "secret" not in answer.text
    assert answer.json()["reason"] == "The output may break a rule."


def test_a_video_without_its_link_is_told_as_one_that_may_still_come(staff: Client) -> None:
    video = make("error", urlless_polls=4)
    Video.objects.filter(pk=video.pk).update(overdue_at=video.created_at)
    said = one(staff, video).json()
    assert said["label"].startswith("It is made, but there is no link")
    assert said["poll_after"] == 300
    Video.objects.filter(pk=video.pk).update(overdue_at=None)
    assert one(staff, video).json()["poll_after"] is None


@pytest.mark.parametrize("status", Video.Status.values)
def test_no_reply_holds_prompt_key_or_signature(staff: Client, status: str) -> None:
    reason = f"cannot draw {PROMPT}, see https://x.example/?{SIGNATURE} with sk-secret-key"
    video = make(status, reason=reason, metadata={"note": "of the owner"})
    for answer in (one(staff, video), staff.get(ids(video))):
        said = answer.text + str(answer.headers)
        assert answer.status_code == 200
        assert not [x for x in (PROMPT, SIGNATURE, "sk-secret", "of the owner") if x in said]


def test_the_signed_url_is_shown_where_the_project_says_so(staff: Client) -> None:
    video = make("completed")
    assert "video_url" not in one(staff, video).json()
    assert staff.get(f"/open/{video.pk}/").json()["video_url"] == video.video_url


def test_a_rendering_video(staff: Client) -> None:
    video = make()
    assert one(staff, video).json() == {
        "id": str(video.pk),
        "status": "in_progress",
        "label": "Rendering",
        "progress": 30,
        "is_estimate": False,
        "estimate": None,
        "time_left": "",
        "poll_after": 10,
        "is_finished": False,
        "reason": "",
        "notice": "",
        "stored": None,
        "file_url": None,
    }


def test_the_kept_files_url_and_the_end_of_polling(staff: Client) -> None:
    answer = one(staff, make("completed", file="seedance/kite.mp4"))
    said = answer.json()
    assert said["file_url"].endswith("seedance/kite.mp4")
    assert (said["stored"], said["poll_after"], said["progress"]) == ("stored", None, 100)
    assert "Retry-After" not in answer


def test_a_file_that_is_being_kept_is_worth_another_look(staff: Client) -> None:
    answer = one(staff, make("completed", store_wanted=True))
    assert (answer.json()["stored"], answer["Retry-After"]) == ("storing", "2")


def test_a_file_that_a_task_keeps_is_worth_another_look_however_long_it_takes(
    staff: Client,
) -> None:
    video = make("completed", announced_at=timezone.now() - timedelta(hours=1))
    kept = KeptTask.objects.create(celery_id="a", task=sending.STORE, video=video)
    assert one(staff, video).json()["stored"] == "storing"
    KeptTask.objects.filter(pk=kept.pk).finish()
    assert one(staff, video).json()["stored"] is None


@pytest.mark.parametrize("wanted", [True, False], ids=["stop_waiting", "AUTO_STORE came later"])
def test_a_file_that_no_task_keeps_is_not_waited_for(
    staff: Client, settings: Any, wanted: bool
) -> None:
    settings.SEEDANCE = {**settings.SEEDANCE, "AUTO_STORE": not wanted}
    an_hour_ago = timezone.now() - timedelta(hours=1)
    video = make("completed", announced_at=an_hour_ago, store_wanted=wanted)
    said = one(staff, video).json()
    assert (said["stored"], said["label"], said["poll_after"]) == (None, "Ready", None)
    assert playable_url(video.current()) == video.video_url


def test_the_status_is_told_where_a_storage_cannot_say_the_files_url(
    staff: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def url(self: Any, name: str) -> str:
        raise RuntimeError("no credentials")

    monkeypatch.setattr(FileSystemStorage, "url", url)
    video = make("completed", file="seedance/kite.mp4")
    answer = one(staff, video)
    assert (answer.status_code, answer.json()["file_url"]) == (200, None)
    assert f"The file of video {video} has no URL: RuntimeError" in caplog.messages


def test_a_file_that_could_not_be_kept_is_told(staff: Client) -> None:
    said = one(staff, make("completed", store_wanted=True, store_error="expired")).json()
    assert (said["stored"], said["notice"]) == ("failed", "The file could not be kept.")


def test_a_person_is_told_when_the_api_is_unwell(staff: Client) -> None:
    AccountState.objects.create(name="held", strikes=1)
    videos = [make(errors=3), make(account="held"), make(errors=1)]
    notices = [video["notice"] for video in staff.get(ids(*videos)).json()["videos"]]
    assert [bool(notice) for notice in notices] == [True, True, False]


@pytest.mark.parametrize("status", ["failed", "error", "rejected", "lost", "timed_out"])
def test_a_video_that_will_not_come_has_words_and_no_bar(staff: Client, status: str) -> None:
    said = one(staff, make(status, reason="no faces")).json()
    assert said["progress"] is None
    assert said["reason"] == "no faces"
    assert said["label"]
    assert said["label"] != status


def test_a_reason_that_the_package_knows_is_told_in_words(staff: Client) -> None:
    assert "moderation refused" in one(staff, make("failed", reason="moderation")).json()["reason"]


def test_progress_is_never_100_before_completed(staff: Client) -> None:
    assert one(staff, make(progress=100)).json()["progress"] == 99


def test_a_late_poll_is_asked_for_soon_and_never_hammered(staff: Client) -> None:
    late = make(next_poll_at=timezone.now() - timedelta(minutes=5))
    far = make(next_poll_at=timezone.now() + timedelta(minutes=5))
    assert [one(staff, video).json()["poll_after"] for video in (late, far)] == [2, 30]


# How.


def test_several_rows_come_in_the_order_asked_for(staff: Client) -> None:
    first, second = make(), make()
    again = f"&id={second.pk}&id={second.pk.hex}&id={str(second.pk).upper()}"
    answer = staff.get(ids(second, first) + f"&id={uuid.uuid4()}&id=nonsense{again}")
    assert [v["id"] for v in answer.json()["videos"]] == [str(second.pk), str(first.pk)]


@pytest.mark.parametrize("count", [0, 101])
def test_no_id_or_too_many_are_400(staff: Client, count: int) -> None:
    query = "&".join(f"id={uuid.uuid4()}" for _ in range(count))
    assert staff.get(f"/videos/?{query}").status_code == 400


def test_an_unchanged_video_is_304_and_says_when_to_come_back(staff: Client) -> None:
    video = make()
    first = one(staff, video)
    again = one(staff, video, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["Retry-After"] == "10"
    assert again["ETag"] == first["ETag"]


@pytest.mark.parametrize("change", [{"progress": 50}, {"status": "queued"}, {"errors": 3}])
def test_what_is_shown_changes_the_etag(staff: Client, change: dict[str, Any]) -> None:
    video = make()
    etag = one(staff, video)["ETag"]
    Video.objects.filter(pk=video.pk).update(**change)
    assert one(staff, video, headers={"If-None-Match": etag}).status_code == 200


def test_an_etag_opens_nothing_for_others(staff: Client) -> None:
    video = make()
    etag = one(staff, video)["ETag"]
    assert one(Client(), video, headers={"If-None-Match": etag}).status_code == 404


def test_replies_are_private(staff: Client) -> None:
    for answer in (one(staff, make()), one(Client(), make())):
        assert "private" in answer["Cache-Control"]
        assert "Cookie" in answer["Vary"]


def test_head_works_and_other_methods_are_405(staff: Client) -> None:
    video = make()
    answer = staff.head(f"/videos/{video.pk}/")
    assert (answer.status_code, answer.content) == (200, b"")
    for method in ("post", "put", "patch", "delete"):
        assert getattr(staff, method)(f"/videos/{video.pk}/").status_code == 405


@pytest.mark.parametrize("count", [1, 50])
def test_a_request_is_one_query(
    staff: Client, count: int, django_assert_num_queries: Any, settings: Any
) -> None:
    settings.SEEDANCE = {**settings.SEEDANCE, "VIEW_PERMISSION": lambda request, video: True}
    past(*range(60, 75))
    url = ids(*(make() for _ in range(count)))
    Client().get(url)
    with django_assert_num_queries(1):
        answer = Client().get(url)
    assert len(answer.json()["videos"]) == count
    assert json.loads(answer.content)["videos"][0]["estimate"]


def test_a_create_that_waits_for_its_turn_says_so(staff: Client) -> None:
    video = make("creating", api_id=None, post_started_at=None, in_line_since=timezone.now())
    assert one(staff, video).json()["label"] == "Waiting for its turn"
