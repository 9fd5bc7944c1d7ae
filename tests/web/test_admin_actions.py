"""What people may do in the admin, and who."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from seedance_celery.admin.actions import AdoptForm
from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance
from tests.docs.shop.models import Order
from tests.web.conftest import person
from tests.web.rows import make

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/seedance_celery/video/"
FORM = "application/x-www-form-urlencoded"


def do(client: Client, action: str, *videos: Video, **more: Any) -> Any:
    keys = [str(video.pk) for video in videos]
    data = {"action": action, "_selected_action": keys, "index": 0, "select_across": 0, **more}
    return client.post(LIST, data, follow=True)


def confirm(client: Client, action: str, *videos: Video, **more: Any) -> Any:
    return do(client, action, *videos, confirmed="yes", **more)


def unknown(seedance: Seedance) -> Video:
    seedance.next_video("create_dropped")
    video = generate_video("A kite")
    seedance.run_until_done()
    video = video.current()
    assert video.status == "create_unknown"
    return video


def test_poll_now_asks_the_api(boss: Client, seedance: Seedance) -> None:
    video = generate_video("A kite")
    seedance.run_due()
    video = video.current()
    Video.objects.filter(pk=video.pk).update(
        next_poll_at=video.now - timedelta(hours=1),
        overdue_at=video.now - timedelta(hours=1),
        asked_at=video.now - timedelta(hours=1),
    )
    before = len(seedance.simulator.requests)
    html = do(boss, "poll_now", video).text
    seedance.run_due()
    assert len(seedance.simulator.requests) == before + 1
    assert "Poll now: 1 video." in html


def test_what_is_in_no_state_for_an_action_is_told(boss: Client) -> None:
    videos = [make("failed"), make("failed"), make("timed_out")]
    html = do(boss, "resume", *videos).text
    assert "Resume: 1 video." in html
    assert "Resume: 2 videos were left out (failed)." in html
    assert videos[2].current().status == "in_progress" or videos[2].current().status == "queued"


def test_keep_the_file_sends_store_video_once_for_what_has_none(boss: Client) -> None:
    done, kept, running = make("completed"), make("completed", file="k.mp4"), make()
    do(boss, "store", done, kept, running)
    assert [task.video for task in KeptTask.objects.all()] == [done]


def test_adopt_asks_for_the_id_and_goes_on(boss: Client, seedance: Seedance) -> None:
    video = unknown(seedance)
    bought = next(iter(seedance.simulator.videos))
    form = do(boss, "adopt", video)
    assert 'name="api_id"' in form.text
    assert video.current().status == "create_unknown"
    confirm(boss, "adopt", video, api_id=bought)
    seedance.run_until_done()
    assert (video.current().status, video.current().api_id) == ("completed", bought)
    assert seedance.charges == 1


def test_an_id_that_the_api_does_not_know_is_not_adopted(boss: Client, seedance: Seedance) -> None:
    video = unknown(seedance)
    answer = confirm(boss, "adopt", video, api_id="task_mistyped")
    assert "The API knows no such video of account default." in answer.text
    assert video.current().status == "create_unknown"
    assert seedance.charges == 1


def test_the_form_that_adopts_writes_nothing_while_it_validates(seedance: Seedance) -> None:
    video = unknown(seedance)
    bought = next(iter(seedance.simulator.videos))
    form = AdoptForm(video, {"api_id": bought})
    with CaptureQueriesContext(connection) as queries:
        assert form.is_valid()
    assert [q["sql"] for q in queries if not q["sql"].startswith("SELECT")] == []
    assert video.current().status == "create_unknown"
    assert form.adopt() is True
    assert video.current().api_id == bought


def test_an_id_is_adopted_while_the_api_is_away(boss: Client, seedance: Seedance) -> None:
    video = unknown(seedance)
    bought = next(iter(seedance.simulator.videos))
    seedance.simulator.fault("http_502")
    confirm(boss, "adopt", video, api_id=bought)
    assert video.current().api_id == bought


@pytest.mark.parametrize("text", ["", "  ", "task_taken", "x" * 600, "task a"])
def test_adopt_says_what_is_wrong_with_an_id(boss: Client, text: str) -> None:
    make(api_id="task_taken")
    video = make("create_unknown", api_id=None)
    answer = confirm(boss, "adopt", video, api_id=text)
    assert 'class="errorlist"' in answer.text
    assert video.current().status == "create_unknown"


def test_adopt_takes_one_unknown_create(boss: Client) -> None:
    two = [make("create_unknown", api_id=None) for _ in range(2)]
    for videos in (two, [make()]):
        html = do(boss, "adopt", *videos).text
        assert "Select one video whose create is unknown, or that is lost." in html


def test_buy_again_warns_first_and_buys_once(boss: Client, seedance: Seedance) -> None:
    video = unknown(seedance)
    paid = seedance.charges
    page = do(boss, "buy_again", video).text
    seedance.run_due()
    assert "may pay twice" in page
    assert seedance.charges == paid
    confirm(boss, "buy_again", video)
    confirm(boss, "buy_again", video)
    seedance.run_until_done()
    assert seedance.charges == paid + 1
    assert video.current().status == "completed"


def test_give_up_ends_an_unknown_create(boss: Client, seedance: Seedance) -> None:
    video = unknown(seedance)
    do(boss, "give_up", video)
    assert not video.current().is_finished
    confirm(boss, "give_up", video)
    seedance.run_until_done()
    assert seedance.signals("video_finished") == ["video_finished"]


def test_stop_waiting_drops_the_tasks(boss: Client) -> None:
    video = make()
    KeptTask.objects.create(celery_id="a", task="poll", video=video)
    confirm(boss, "stop_waiting", video)
    assert not KeptTask.objects.unfinished().exists()


def test_prune_removes_only_what_nothing_needs(boss: Client) -> None:
    old = make("failed")
    waited, recent, running, unannounced = make("failed"), make("failed"), make(), make("failed")
    KeptTask.objects.create(celery_id="a", task="poll", video=waited)
    KeptTask.objects.create(celery_id="b", task="poll", video=recent, finished_at=timezone.now())
    Video.objects.filter(pk=unannounced.pk).update(announced_at=None)
    confirm(boss, "prune", old, waited, recent, running, unannounced)
    assert set(Video.objects.all()) == {waited, recent, running, unannounced}


def test_prune_keeps_what_a_projects_row_protects_and_goes_on(boss: Client) -> None:
    videos = [make("failed") for _ in range(3)]
    Order.objects.create(video=videos[1])
    html = confirm(boss, "prune", *videos).text
    assert "Prune: 2 videos." in html
    assert "1 video was kept: something refers to it." in html
    assert "left out" not in html
    assert list(Video.objects.all()) == [videos[1]]


def test_a_pruned_row_is_in_the_log_as_a_deletion_by_its_own_id(boss: Client) -> None:
    video = make("failed")
    confirm(boss, "prune", video)
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.object_repr) == (str(video.pk), video.api_id)
    assert entry.is_deletion()


def test_an_action_takes_as_many_videos_as_its_confirmation_can_send(boss: Client) -> None:
    first = make("create_unknown", api_id=None)
    Video.objects.bulk_create(
        Video(status="create_unknown", created_at=first.created_at) for _ in range(999)
    )
    page = do(boss, "give_up", first, select_across="1").text
    assert "An action takes 900 videos" in page
    form = page[page.index("seedance-confirm") :]
    fields = re.findall(r'<(?:input|button) [^>]*name="(\w+)"(?: value="([^"]*)")?', form)
    answer = boss.post(LIST, urlencode(fields), FORM, follow=True)
    assert answer.status_code == 200
    assert "Give up: 900 videos." in answer.text
    assert Video.objects.unfinished().count() == 100


def test_an_action_on_the_page_goes_back_to_the_page(boss: Client) -> None:
    video = make("timed_out")
    answer = do(boss, "resume", video, back=str(video.pk))
    assert answer.redirect_chain[-1][0] == f"{LIST}{video.pk}/change/"


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "nonsense"])
def test_back_leads_nowhere_else(boss: Client, back: str) -> None:
    answer = do(boss, "resume", make("timed_out"), back=back)
    assert all(url.startswith("/admin/") for url, _status in answer.redirect_chain)


def test_who_did_what_is_in_the_log(boss: Client) -> None:
    video = make("timed_out")
    do(boss, "resume", video)
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.username) == (str(video.pk), "boss")
    assert "Resume" in entry.get_change_message()


@pytest.mark.parametrize(
    ("action", "codename"),
    [
        *[(name, "change_video") for name in ("poll_now", "resume", "store", "adopt")],
        ("buy_again", "buy_video"),
        *[(name, "abandon_video") for name in ("give_up", "stop_waiting")],
        ("prune", "delete_video"),
    ],
)
def test_each_action_needs_its_own_permission(
    action: str, codename: str, django_user_model: Any
) -> None:
    video = make("create_unknown", api_id=None)
    others = {"change_video", "delete_video", "buy_video", "abandon_video"} - {codename}
    without = person("without", "view_video", *others, is_staff=True)
    assert f'value="{action}"' not in without.get(LIST).text
    before = (video.current().status, video.current().poll_token)
    answer = confirm(without, action, video, api_id="task_x")
    assert "No action selected" in answer.text
    assert (video.current().status, video.current().poll_token) == before


@pytest.mark.parametrize("codename", ["buy_video", "abandon_video"])
def test_the_permissions_can_be_given(codename: str) -> None:
    client = person("clerk", "view_video", codename, is_staff=True)
    action = {"buy_video": "buy_again", "abandon_video": "give_up"}[codename]
    assert f'value="{action}"' in client.get(LIST).text


@pytest.mark.parametrize(
    ("status", "fitting"),
    [
        ("in_progress", {"poll_now"}),
        ("completed", {"store"}),
        ("timed_out", {"poll_now", "resume"}),
        ("lost", {"adopt", "resume"}),
        ("failed", set()),
        ("create_unknown", {"adopt", "buy_again", "give_up"}),
    ],
)
def test_the_page_offers_what_fits_the_status(boss: Client, status: str, fitting: set[str]) -> None:
    assert offered(boss, make(status)) == fitting


def test_the_page_offers_to_stop_waiting_while_a_task_waits(boss: Client) -> None:
    video = make()
    kept = KeptTask.objects.create(celery_id="a", task="poll", video=video)
    assert "stop_waiting" in offered(boss, video)
    KeptTask.objects.filter(pk=kept.pk).update(finished_at=timezone.now())
    assert "stop_waiting" not in offered(boss, video)


def offered(client: Client, video: Video) -> set[str]:
    html = client.get(f"{LIST}{video.pk}/change/").text
    return set(re.findall(r'name="action" value="(\w+)"', html))


def test_a_row_that_a_late_copy_of_a_task_may_need_cannot_be_deleted(boss: Client) -> None:
    video = make("failed")
    kept = KeptTask.objects.create(
        celery_id="a", task="create", video=video, finished_at=timezone.now()
    )
    delete = f"{LIST}{video.pk}/delete/"
    assert "deletelink" not in boss.get(f"{LIST}{video.pk}/change/").text
    assert boss.post(delete, {"post": "yes"}).status_code == 403
    KeptTask.objects.filter(pk=kept.pk).update(finished_at=timezone.now() - timedelta(days=8))
    assert "deletelink" in boss.get(f"{LIST}{video.pk}/change/").text
    assert boss.post(delete, {"post": "yes"}).status_code == 302
    assert not Video.objects.exists()


def test_the_confirmation_shows_what_tells_a_video_from_others(boss: Client) -> None:
    video = make("create_unknown", api_id=None, size="16:9")
    html = do(boss, "adopt", video).text
    for part in (str(video.pk), "doubao-seedance-2-0", "5 s", "16:9", video.prompt):
        assert part in html, part


@pytest.mark.parametrize("ended", [{"urlless_polls": 4}, {"status": "failed", "final_polls": 3}])
def test_ends_that_were_decided_here_offer_a_way_back(boss: Client, ended: dict[str, Any]) -> None:
    video = make(**{"status": "error", **ended})
    assert offered(boss, video) == {"poll_now", "resume"}
