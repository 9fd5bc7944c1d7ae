"""`seedance_track`: following, and what only a person may do."""

from __future__ import annotations

import io
import uuid

import pytest
from django.db import connection
from django.utils import timezone

from seedance_celery import sending
from seedance_celery.management.commands.seedance_track import _with_file
from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.testing import Seedance

from .conftest import Command


@pytest.fixture
def unknown(kit: Seedance) -> Video:
    """A video whose create's reply was lost after the money was spent."""
    kit.next_video("create_dropped")
    video = generate_video("A kite")
    kit.run_due()
    video = video.current()
    assert video.status == "create_unknown"
    return video


@pytest.fixture
def timed_out(kit: Seedance) -> Video:
    """A video that takes longer than its timeout."""
    kit.next_video("slow")
    video = generate_video("A kite", timeout=15)
    kit.advance(60)
    video = video.current()
    assert video.status == "timed_out"
    return video


class Terminal(io.StringIO):
    """Standard input at which a person sits."""

    def isatty(self) -> bool:
        return True


# Following.


def test_a_video_that_was_bought_elsewhere_is_followed(kit: Seedance, run: Command) -> None:
    bought = generate_video("A kite")
    kit.run_until_done()
    api_id = str(bought.current().api_id)
    bought.current().delete()
    ran = run("seedance_track", api_id, "--timeout", "30m")
    video = Video.objects.get()
    assert ran.out == f"{video.pk}  {api_id}  queued\n"
    assert video.timeout == 1800
    kit.run_until_done()
    assert run("seedance_track", api_id, "--json").json["videos"][0]["status"] == "completed"
    assert Video.objects.count() == 1


def test_several_videos_are_followed_at_once(kit: Seedance, run: Command) -> None:
    ran = run("seedance_track", "task_a", "task_b", "--json")
    assert [told["api_id"] for told in ran.json["videos"]] == ["task_a", "task_b"]


def test_none_of_several_is_followed_where_one_cannot_be(kit: Seedance, run: Command) -> None:
    ran = run("seedance_track", "task_a", "x" * 600)
    assert ran.status == 2
    assert not Video.objects.exists()
    assert not kit.broker.fetch()


def test_a_row_is_named_by_its_pk(kit: Seedance, run: Command) -> None:
    video = track_video("task_a")
    assert run("seedance_track", str(video.pk)).out.startswith(f"{video.pk}  task_a")


def test_a_uuid_that_no_row_has_is_an_id_at_the_api(kit: Seedance, run: Command) -> None:
    api_id = str(uuid.uuid4())
    run("seedance_track", api_id)
    assert Video.objects.get().api_id == api_id


def test_the_file_is_kept_where_that_was_asked_for(kit: Seedance, run: Command) -> None:
    video = generate_video("A kite")
    kit.run_until_done()
    assert "storing" in run("seedance_track", str(video.pk), "--store").out
    kit.run_until_done()
    assert str(video.current().file.name) in run("seedance_track", str(video.pk)).out


def test_a_file_that_no_task_keeps_any_more_is_not_waited_for(kit: Seedance, run: Command) -> None:
    kit.next_video("file_503*inf")
    video = generate_video("A kite", store=True)
    kit.advance(120)
    KeptTask.objects.filter(video=video).finish()  # as where it is revoked
    kit.advance(120)
    done = run("seedance_track", str(video.pk), "--wait", "--wait-timeout", "0.1s")
    assert done.status == 1
    assert "not stored: no task keeps it any more" in done.out
    assert "was not kept: no task keeps it any more." in done.error


@pytest.mark.parametrize("arguments", [[" "], [""], ["task_a", "--account", "nobody"]])
def test_what_names_no_video_ends_with_status_2(
    kit: Seedance, run: Command, arguments: list[str]
) -> None:
    assert run("seedance_track", *arguments).status == 2
    assert not Video.objects.exists()


# Acting.


def test_a_timed_out_video_is_resumed(kit: Seedance, run: Command, timed_out: Video) -> None:
    ran = run("seedance_track", str(timed_out.pk), "--resume", "--timeout", "1h")
    assert ran.status == 0
    video = timed_out.current()
    assert video.is_polled
    assert video.deadline_at is not None
    assert (video.deadline_at - video.now).total_seconds() == pytest.approx(3600, abs=5)
    kit.run_until_done()
    assert timed_out.current().status == "completed"


def test_only_what_timed_out_or_is_lost_is_resumed(kit: Seedance, run: Command) -> None:
    ran = run("seedance_track", str(track_video("task_a").pk), "--resume")
    assert (ran.status, ran.error) == (2, "Video task_a is queued, and cannot be resumed.")


@pytest.mark.parametrize("action", ["--resume", "--give-up"])
def test_what_no_row_has_is_neither_a_pk_nor_an_api_id(
    kit: Seedance, run: Command, action: str
) -> None:
    pk = str(uuid.uuid4())
    ran = run("seedance_track", pk, action)
    assert (ran.status, ran.error) == (2, f"There is no row with the pk or API id {pk}.")


def test_waiting_ends_with_the_status_and_the_reason_without_url_or_prompt(
    kit: Seedance, run: Command
) -> None:
    reason = "A red kite is on https://x.example/list?sig=1 (no.)"
    changes = {"status": "failed", "reason": reason, "prompt": "A red kite"}
    video = Video.objects.create(api_id="task_a", finished_at=timezone.now(), **changes)
    ran = run("seedance_track", str(video.pk), "--wait")
    told = "failed ([redacted] is on [address] (no.))"
    assert (ran.status, ran.error) == (1, f"The video did not complete: {told}.")


def test_waiting_says_why_a_file_was_not_kept(kit: Seedance, run: Command) -> None:
    changes = {"status": "completed", "store_wanted": True, "store_error": "It is too large."}
    video = Video.objects.create(api_id="task_a", finished_at=timezone.now(), **changes)
    ran = run("seedance_track", str(video.pk), "--wait")
    told = "The file of the video was not kept: It is too large."
    assert (ran.status, ran.error) == (1, told)


def test_an_unknown_create_adopts_the_id_of_the_dashboard(
    kit: Seedance, run: Command, unknown: Video
) -> None:
    [api_id] = kit.simulator.videos
    assert run("seedance_track", str(unknown.pk), "--adopt", api_id).status == 0
    kit.run_until_done()
    assert (unknown.current().status, unknown.current().api_id) == ("completed", api_id)
    assert kit.charges == 1


def test_the_api_is_asked_for_an_adopted_id_outside_of_any_transaction(
    kit: Seedance, run: Command, unknown: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_transaction: list[bool] = []

    def clock() -> float:
        in_transaction.append(connection.in_atomic_block)
        return kit.clock.unix()

    [api_id] = kit.simulator.videos
    monkeypatch.setattr(kit.simulator, "_clock", clock)
    assert run("seedance_track", str(unknown.pk), "--adopt", api_id).status == 0
    assert set(in_transaction) == {False}


def test_an_id_that_the_api_does_not_know_is_not_adopted(
    kit: Seedance, run: Command, unknown: Video
) -> None:
    ran = run("seedance_track", str(unknown.pk), "--adopt", "task_mistyped")
    told = "The API knows no video task_mistyped of account default."
    assert (ran.status, ran.error) == (2, told)
    assert unknown.current().status == "create_unknown"


def test_a_lost_video_adopts_the_right_id(kit: Seedance, run: Command, unknown: Video) -> None:
    unknown.adopt("task_mistyped")
    kit.run_until_done()
    assert unknown.current().status == "lost"
    [api_id] = kit.simulator.videos
    assert run("seedance_track", str(unknown.pk), "--adopt", api_id).status == 0
    kit.run_until_done()
    assert unknown.current().status == "completed"


@pytest.mark.parametrize("api_id", ["", " ", "task_taken"])
def test_an_id_that_cannot_be_adopted_is_refused(
    kit: Seedance, run: Command, unknown: Video, api_id: str
) -> None:
    track_video("task_taken")
    assert run("seedance_track", str(unknown.pk), "--adopt", api_id).status == 2
    assert unknown.current().status == "create_unknown"


def test_one_id_is_not_adopted_by_two_rows(kit: Seedance, run: Command, unknown: Video) -> None:
    ran = run("seedance_track", str(unknown.pk), "task_a", "--adopt", "task_b")
    assert (ran.status, ran.error) == (2, "--adopt takes one video.")


def test_buying_again_asks_and_pays_once_more(
    kit: Seedance, run: Command, unknown: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    ran = run("seedance_track", str(unknown.pk), "--buy-again")
    assert (ran.status, "Pay for it once more?" in ran.out) == (0, True)
    kit.run_until_done()
    assert unknown.current().status == "completed"
    assert kit.charges == 2


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yesterday\n"])
def test_buying_again_without_a_yes_buys_nothing(
    kit: Seedance, run: Command, unknown: Video, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    ran = run("seedance_track", str(unknown.pk), "--buy-again")
    assert (ran.status, ran.error) == (2, "Nothing was bought.")
    assert unknown.current().status == "create_unknown"
    assert kit.charges == 1


def test_buying_again_is_refused_where_nobody_can_be_asked(
    kit: Seedance, run: Command, unknown: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert run("seedance_track", str(unknown.pk), "--buy-again").status == 2
    assert unknown.current().status == "create_unknown"
    assert run("seedance_track", str(unknown.pk), "--buy-again", "--yes").status == 0
    kit.run_until_done()
    assert kit.charges == 2


def test_giving_up_ends_an_unknown_create(kit: Seedance, run: Command, unknown: Video) -> None:
    assert run("seedance_track", str(unknown.pk), "--give-up").status == 0
    kit.run_until_done()
    assert unknown.current().is_finished
    assert kit.signals("video_finished") == ["video_finished"]
    assert not KeptTask.objects.unfinished().exists()


@pytest.mark.parametrize("action", [["--adopt", "task_b"], ["--buy-again", "--yes"], ["--give-up"]])
def test_only_an_unknown_create_can_be_decided(
    kit: Seedance, run: Command, action: list[str]
) -> None:
    video = track_video("task_a")
    ran = run("seedance_track", str(video.pk), *action)
    assert ran.status == 2
    assert "is queued: only an unknown create can be decided" in ran.error
    assert kit.charges == 0


def test_an_action_on_what_no_row_has_is_refused(kit: Seedance, run: Command) -> None:
    assert run("seedance_track", "task_nobody_knows", "--give-up").status == 2


def test_two_actions_at_once_are_refused(kit: Seedance, run: Command, unknown: Video) -> None:
    assert run("seedance_track", str(unknown.pk), "--give-up", "--resume").status == 1
    assert not unknown.current().is_finished


def test_waiting_ends_where_only_a_person_can_go_on(
    kit: Seedance, run: Command, unknown: Video
) -> None:
    ran = run("seedance_track", str(unknown.pk), "--wait")
    assert ran.status == 1
    assert "adopt, buy again or give up" in ran.out


def test_a_file_that_is_wanted_as_its_video_completes_is_kept(timed_out: Video) -> None:
    Video.objects.update(status="completed", finished_at=timezone.now())
    _with_file(timed_out, {"store": True})  # as the command has read it
    assert [kept.task for kept in KeptTask.objects.unfinished()] == [sending.STORE]
