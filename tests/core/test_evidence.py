"""Ends that the package decided, the ways back from them, and what the API said: for people."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from celery import chain

from seedance_celery.exceptions import InvalidRequest, VideoFailed, VideoUrlMissing
from seedance_celery.models import AccountState, Video
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.signals import video_completed
from seedance_celery.simulator import ABSENT, Scenario, body, merge, reply
from seedance_celery.simulator.reply import json_reply, raw_reply
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import publish, refund
from tests.harness.databases import Database

SIGNED = "https://files.example/kite.mp4?X-Tos-Signature=c0ffee"
SENSITIVE = "OutputVideoSensitiveContentDetected"
UPSTREAM = {
    "code": "fail_to_fetch_task",
    "message": json.dumps({"error": {"code": "InvalidParameter", "message": "no role for A kite"}}),
    "data": None,
}


def play(kit: Seedance, **fields: Any) -> None:
    """Let the next video's answers have these fields once its render is over."""
    add(kit, retrieve=at_end(**fields))
    kit.next_video("of_this_test")


def add(kit: Seedance, **steps: Any) -> None:
    scenario = Scenario(name="of_this_test", about="", **steps)
    kit.simulator.scenarios["of_this_test"] = scenario


def at_end(**fields: Any) -> Any:
    changes = {"video_url": ABSENT, **fields}
    return body(
        lambda data, call: merge(data, **changes) if data["status"] == "completed" else data
    )


def clear(kit: Seedance, video: Video) -> None:
    """Let the API correct itself."""
    kit.simulator.play(video.current().api_id or "")


def without_link(kit: Seedance, **options: Any) -> Video:
    play(kit)
    video = generate_video("A kite", **options)
    kit.run_until_done()
    assert (video.current().status, video.current().lacks_link) == ("error", True)
    return video


# Links.


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": {"url": SIGNED}},
        {"status": "succeed", "url": SIGNED},
        {"status": "done", "video_url": SIGNED},
        {"content": {"video_url": SIGNED}},
    ],
)
def test_a_link_in_another_place_completes_a_video(kit: Seedance, fields: dict[str, Any]) -> None:
    play(kit, **fields)
    video = generate_video("A kite", link=publish.s())
    kit.run_until_done()
    row = video.current()
    assert (row.status, row.video_url, row.progress) == ("completed", SIGNED, 100)
    assert "c0ffee" not in json.dumps(row.raw)
    assert canvas.names() == ["publish"]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("ftp://files.example/k.mp4?sig=c0ffee", "it is no http or https address"),
        (f"{SIGNED}{'e' * 17000}", "it is longer than 16384 characters"),
    ],
)
def test_a_link_that_cannot_be_used_is_told_as_such_and_stays_on_the_row(
    kit: Seedance, caplog: pytest.LogCaptureFixture, link: str, words: str
) -> None:
    play(kit, video_url=link)
    with caplog.at_level(logging.DEBUG):
        video = generate_video("A kite", link_error=refund.s())
        kit.run_until_done()
    row = video.current()
    assert row.status == "error"
    assert row.reason == f"completed with a link that cannot be used: {words}"
    error = canvas.ran[0][1]
    assert isinstance(error, VideoUrlMissing)
    for text in (caplog.text, str(error), repr(error.args), str(row.history), str(row.evidence)):
        assert "c0ffee" not in text
    assert row.raw["video_url"] == link


def test_an_answer_without_a_known_link_keeps_what_may_be_one(kit: Seedance) -> None:
    play(kit, output=[SIGNED])
    video = generate_video("A kite")
    kit.run_until_done()
    assert video.current().raw["output"] == [SIGNED]
    clear(kit, video)
    assert video.current().resume()
    kit.run_until_done()
    assert video.current().status == "completed"


def test_a_model_that_delivers_by_the_key_is_completed_without_a_link(
    transactional_db: None,
) -> None:
    models = {"seedance-2-5": {"seconds": (1, 20), "content": True}}
    with Seedance(http=True, MODELS=models) as kit:
        play(kit)
        video = generate_video("A kite", model="seedance-2-5", link=publish.s())
        kit.run_until_done()
    row = video.current()
    assert (row.status, row.video_url, row.progress) == ("completed", "", 100)


# The way back from an end that was decided here.


def test_a_link_that_comes_later_completes_the_video_late(kit: Seedance) -> None:
    video = without_link(kit, link=publish.s(), link_error=refund.s(), store=True)
    clear(kit, video)
    kit.advance(700)
    row = video.current()
    assert (row.status, row.late, row.is_finished) == ("completed", True, True)
    assert [f.details["late"] for f in kit.fired if f.name == "video_completed"] == [True]
    kit.run_until_done()
    assert video.current().file
    assert canvas.names() == ["refund"]


def test_late_polls_end_and_announce_nothing_twice(kit: Seedance) -> None:
    video = without_link(kit)
    before = kit.simulator.counts["retrieve"]
    kit.advance(3 * 86400)
    assert kit.simulator.counts["retrieve"] - before == 4
    assert kit.signals("video_errored") == ["video_errored"]
    assert video.current().overdue_at is None


def test_resume_leads_back_from_a_missing_link(kit: Seedance) -> None:
    video = without_link(kit)
    clear(kit, video)
    assert video.resume()
    kit.run_until_done()
    assert video.current().status == "completed"
    assert kit.signals("video_completed") == ["video_completed"]


def test_refresh_asks_once_more_and_leaves_the_end_as_it_is(kit: Seedance) -> None:
    video = without_link(kit)
    before = kit.simulator.counts["retrieve"]
    assert video.refresh()
    video.refresh()
    kit.advance(20)
    assert kit.simulator.counts["retrieve"] - before == 1
    assert video.current().status == "error"
    assert video.current().late_polls == 0
    clear(kit, video)
    kit.clock.advance(10)
    assert video.refresh()
    kit.run_until_done()
    assert (video.current().status, video.current().late) == ("completed", True)


def test_refresh_of_a_late_video_that_is_lost_by_the_broker_is_the_sweeps(kit: Seedance) -> None:
    video = without_link(kit)
    clear(kit, video)
    kit.clock.advance(20)
    assert video.refresh()
    kit.broker.messages.clear()
    kit.advance(120)
    assert video.current().status == "completed"


def test_refresh_asks_for_a_timed_out_video_too(kit: Seedance) -> None:
    kit.next_video("stuck=200")
    video = generate_video("A kite", timeout=60)
    kit.run_until_done()
    assert video.current().status == "timed_out"
    kit.clock.advance(200)
    assert video.refresh()
    kit.run_until_done()
    assert (video.current().status, video.current().late) == ("completed", True)


def test_refresh_waits_for_the_announcement_of_an_end(kit: Seedance) -> None:
    video = without_link(kit)
    Video.objects.update(announced_at=None)
    assert not video.refresh()


@pytest.mark.parametrize("by", ["track_video", "poll_video", "pk"])
def test_following_a_video_without_its_link_asks_again(kit: Seedance, by: str) -> None:
    video = without_link(kit)
    clear(kit, video)
    api_id = video.current().api_id or ""
    if by == "track_video":
        track_video(api_id, link=publish.s())
    else:
        target: Any = api_id if by == "poll_video" else video.pk
        chain(poll_video.s(target), publish.s()).apply_async()
    kit.run_until_done()
    assert video.current().status == "completed"
    assert canvas.names() == ["publish"]


def test_a_canvas_that_comes_late_to_a_video_without_its_link_asks_nothing(kit: Seedance) -> None:
    play(kit)
    chain(create_video.s("A kite"), poll_video.s().on_error(refund.s())).apply_async()
    kit.run_until_done()
    video = Video.objects.get()
    assert video.lacks_link
    before = kit.simulator.counts["retrieve"]
    poll_video.s({"id": video.api_id, "video_pk": str(video.pk)}).on_error(refund.s()).apply_async()
    kit.run_until_done()
    assert kit.simulator.counts["retrieve"] == before
    assert kit.signals("video_errored") == ["video_errored"]
    assert canvas.names() == ["refund", "refund"]


def test_an_error_of_the_apis_own_has_no_way_back(kit: Seedance) -> None:
    kit.next_video("error")
    video = generate_video("A kite")
    kit.run_until_done()
    row = video.current()
    assert (row.status, row.is_ended_by_us, row.overdue_at) == ("error", False, None)
    assert not video.resume()
    assert not video.refresh()


def test_an_error_after_a_missing_link_is_the_apis_own(kit: Seedance) -> None:
    play(kit)
    video = generate_video("A kite")
    while not video.current().urlless_polls:
        kit.advance(5)
    kit.simulator.play(video.current().api_id or "", "error")
    kit.run_until_done()
    assert (video.current().status, video.current().is_ended_by_us) == ("error", False)


@pytest.mark.parametrize("scenario", ["failed", "completed_without_url", "stuck=9999"])
def test_store_says_that_a_video_has_no_file_to_keep(kit: Seedance, scenario: str) -> None:
    kit.next_video(scenario)
    video = generate_video("A kite", timeout=300)
    kit.run_until_done()
    status = video.current().status
    with pytest.raises(InvalidRequest, match=f"is {status}: only the file of a completed"):
        video.store()


# Final words of the upstream.


@pytest.mark.parametrize("word", ["expired", "CANCELLED", "canceled", "violation", "rejected"])
def test_a_final_word_that_is_said_for_two_minutes_ends_the_video(kit: Seedance, word: str) -> None:
    play(kit, status=word)
    video = generate_video("A kite", link_error=refund.s())
    while not video.current().final_polls:
        kit.advance(5)
    begun = video.current().now
    kit.advance(100)
    assert not video.current().is_finished
    kit.run_until_done()
    row = video.current()
    assert (row.status, row.reason, row.is_ended_by_us) == ("failed", word.lower(), True)
    assert row.finished_at is not None
    assert (row.finished_at - begun).total_seconds() >= 115
    assert isinstance(canvas.ran[0][1], VideoFailed)
    clear(kit, video)
    kit.advance(700)
    assert (video.current().status, video.current().late) == ("completed", True)


def test_a_final_word_that_is_taken_back_ends_nothing(kit: Seedance) -> None:
    add(kit, retrieve=at_end(status="cancelled"))
    kit.next_video("of_this_test*3")
    video = generate_video("A kite")
    kit.run_until_done()
    row = video.current()
    assert (row.status, row.late, row.final_polls, row.final_since) == ("completed", False, 0, None)


def test_a_final_word_keeps_the_words_beside_it(kit: Seedance) -> None:
    play(kit, status="cancelled", error={"code": "TaskCancelled", "message": "by A kite's owner"})
    video = generate_video("A kite", link_error=refund.s())
    kit.run_until_done()
    assert video.current().reason == "cancelled: by [redacted]'s owner"
    assert video.current().evidence["end"]["code"] == "TaskCancelled"
    assert canvas.ran[0][1].code == "TaskCancelled"


# Evidence.


def test_the_code_of_a_failure_is_in_the_evidence_and_the_exception(kit: Seedance) -> None:
    words = "A kite may be sensitive. Request id: 0217aa"
    play(kit, status="failed", error={"code": SENSITIVE, "message": words})
    video = generate_video("A kite", link_error=refund.s())
    kit.run_until_done()
    row = video.current()
    assert row.reason == "[redacted] may be sensitive."
    end = row.evidence["end"]
    assert (end["code"], end["api_status"]) == (SENSITIVE, "failed")
    assert end["words"] == "[redacted] may be sensitive. Request id: 0217aa"
    error = canvas.ran[0][1]
    assert (error.code, error.reason) == (SENSITIVE, row.reason)


@pytest.mark.parametrize("poller", ["loop", "batch"])
def test_what_a_failing_poll_says_is_kept_until_it_is_answered_and_then_marked_old(
    transactional_db: None, poller: str
) -> None:
    with Seedance(http=True, POLLER=poller) as kit:
        add(kit, api=reply(json_reply(UPSTREAM, 451)))
        kit.next_video("slow=100")
        video = generate_video("A kite")
        kit.advance(30)
        fault = kit.simulator.fault("of_this_test", routes=["retrieve"])
        kit.advance(25)
        told = video.current().evidence["poll"]
        kit.advance(60)
        assert video.current().errors > 3
        assert video.current().evidence["poll"] == told
        kit.simulator.clear(fault)
        kit.advance(25)
        old = video.current().evidence["poll"]
    assert (told["http_status"], told["code"]) == (451, "fail_to_fetch_task")
    assert told["upstream_code"] == "InvalidParameter"
    assert told["words"] == "no role for [redacted]"
    assert told["request_id"]
    assert "over_at" not in told
    assert old == {**told, "over_at": old["over_at"]}


def test_other_words_of_a_failing_poll_replace_the_first(kit: Seedance) -> None:
    kit.next_video("slow=100")
    video = generate_video("A kite")
    kit.advance(30)
    for scenario, status in (("http_502", 502), ("invalid_request", 500)):
        fault = kit.simulator.fault(scenario, routes=["retrieve"])
        kit.advance(25)
        assert video.current().evidence["poll"]["http_status"] == status
        kit.simulator.clear(fault)


def test_a_lost_reply_says_nothing_that_would_have_to_be_kept(kit: Seedance) -> None:
    kit.next_video("reset*2")
    video = generate_video("A kite")
    kit.run_until_done()
    assert video.current().evidence == {}


def test_an_unknown_create_keeps_what_the_api_said(kit: Seedance) -> None:
    error = {"message": "upstream overloaded by A kite", "code": "server_overloaded"}
    add(kit, create=reply(json_reply({"error": error}, 500)))
    kit.next_video("of_this_test")
    video = generate_video("A kite")
    kit.run_until_done()
    row = video.current()
    told = row.evidence["create"]
    assert row.status == "create_unknown"
    assert (told["http_status"], told["code"]) == (500, "server_overloaded")
    assert told["words"].startswith("upstream overloaded by [redacted]")
    assert told["request_id"] == row.request_id != ""
    assert "overloaded" not in row.reason


def test_a_reply_that_could_not_be_read_is_kept_with_what_may_be_the_id(kit: Seedance) -> None:
    sent = {"code": "success", "data": "task_PAIDFOR123", "echo": "A kite", "see": SIGNED}
    add(kit, create=reply(json_reply(sent)))
    kit.next_video("of_this_test")
    video = generate_video("A kite")
    kit.run_until_done()
    told = video.current().evidence["create"]
    assert told["ids"] == ["task_PAIDFOR123"]
    assert "task_PAIDFOR123" in told["body"]
    assert "A kite" not in str(told)
    assert "c0ffee" not in str(told)


def test_a_page_in_place_of_a_reply_is_kept(kit: Seedance) -> None:
    add(kit, create=reply(raw_reply(b"<html>Welcome to our Wi-Fi: A kite</html>")))
    kit.next_video("of_this_test")
    video = generate_video("A kite")
    kit.run_until_done()
    assert (
        video.current().evidence["create"]["body"]
        == "<html>Welcome to our Wi-Fi: [redacted]</html>"
    )


def test_a_rejected_create_keeps_the_code(kit: Seedance) -> None:
    words = {"code": "InvalidParameter", "message": "bad duration. Request id: 0217aa"}
    add(kit, create=reply(json_reply({"error": words}, 400)), charges=False)
    kit.next_video("of_this_test")
    generate_video("A kite", link_error=refund.s())
    kit.run_until_done()
    row = Video.objects.get()
    assert (row.status, row.reason) == ("rejected", "bad duration.")
    assert row.evidence["create"]["code"] == "InvalidParameter"
    assert row.evidence["create"]["words"] == "bad duration. Request id: 0217aa"
    assert canvas.ran[0][1].code == "InvalidParameter"


def test_a_refused_key_keeps_what_the_api_said_until_it_is_taken(kit: Seedance) -> None:
    fault = kit.simulator.fault("key_refused")
    generate_video("A kite")
    kit.advance(5)
    told = AccountState.objects.get().evidence
    assert (told["http_status"], told["words"][:13]) == (401, "Invalid token")
    assert told["request_id"]
    kit.simulator.clear(fault)
    kit.run_until_done()
    assert AccountState.objects.get().evidence == {}


def test_an_id_of_512_characters_is_followed_on_every_database(database: Database) -> None:
    api_id = "video_" + "ü" * 506
    with Seedance() as kit:
        video = track_video(api_id)
        kit.run_due()
    assert video.current().api_id == api_id
    with pytest.raises(InvalidRequest, match="longer than 512"):
        track_video(f"{api_id}x")


def test_a_video_that_completes_late_is_announced_with_its_link(kit: Seedance) -> None:
    seen: list[str] = []

    def look(video: Video, **kwargs: Any) -> None:
        seen.append(video.video_url)

    video = without_link(kit)
    clear(kit, video)
    video_completed.connect(look)
    try:
        kit.advance(700)
    finally:
        video_completed.disconnect(look)
    assert seen == [video.current().video_url] != [""]
