"""Statuses and traps of the API, seen from the row: what each means for a video."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from seedance_celery.exceptions import InvalidRequest, VideoLost, VideoTimedOut, VideoUrlMissing
from seedance_celery.models import AccountState, Video
from seedance_celery.polling import poll
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.tasks import poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import publish, refund

STILL_COMPLETES = [
    "slow",
    "completed_without_url*2",
    "task_not_exist_at_first",
    "completed_at_early",
    "completed_at_null",
    "uppercase",
    "provider_words",
    "gateway_words",
    "wrapped",
    "wrapped_null*3",
    "unknown_status*3",
    "no_status*2",
    "progress_float",
    "progress_text",
    "progress_percent",
    "progress_null",
    "progress_absent",
    "progress_above",
    "progress_below",
    "progress_100_early",
    "progress_falls",
    "model_differs",
    "extra_fields",
    "error_in_200*3",
    "html_in_200*3",
    "rate_limited*2",
    "rate_limited_retry_after*2",
    "rate_limited_date*2",
    "rate_limited_nonsense*2",
    "key_refused*2",
    "key_forbidden*2",
    "quota*2",
    "http_408*3",
    "http_500*3",
    "http_502*3",
    "http_503*3",
    "http_504*3",
    "http_524*3",
    "http_404*3",
    "model_not_found*3",
    "invalid_request*3",
    "redirect*3",
    "html*3",
    "html_403*3",
    "garbage*3",
    "empty*3",
    "json_list*3",
    "error_text*2",
    "error_message*2",
    "error_nested*2",
    "reset*3",
    "closed*3",
    "reset_mid_body*3",
    "truncated*3",
    "huge_body*2",
    "wrong_content_type",
]


@pytest.mark.parametrize("scenario", STILL_COMPLETES)
def test_a_blip_leaves_the_video_polling_until_it_completes(kit: Seedance, scenario: str) -> None:
    kit.next_video(scenario)
    video = generate_video("A kite", link=publish.s(), link_error=refund.s())
    kit.run_until_done()
    assert video.current().status == "completed"
    assert canvas.names() == ["publish"]
    assert kit.signals("video_completed") == ["video_completed"]
    assert kit.charges == 1


@pytest.mark.parametrize(
    ("scenario", "status", "reason"),
    [
        ("failed", "failed", ""),
        ("failed_at_100", "failed", ""),
        ("failed_because", "failed", "the provider is busy"),
        ("moderation", "failed", "moderation"),
        ("error", "error", ""),
        ("completed_without_url", "error", "completed without a URL"),
        ("completed_with_empty_url", "error", "completed without a URL"),
    ],
)
def test_an_end_of_the_apis_is_told_as_it_is(
    kit: Seedance, scenario: str, status: str, reason: str
) -> None:
    kit.next_video(scenario)
    video = generate_video("A kite", link=publish.s(), link_error=refund.s())
    kit.run_until_done()
    assert (video.current().status, video.current().reason) == (status, reason)
    assert canvas.names() == ["refund"]
    if reason.startswith("completed"):
        assert isinstance(canvas.ran[0][1], VideoUrlMissing)
        assert kit.signals("video_errored") == ["video_errored"]


PROMPTS = ["Kites", "Many_kites_" * 1000, "Kites_of_https://shop.example/?key=sk-kites"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_prompt_is_taken_out_of_the_reason_of_an_end(kit: Seedance, prompt: str) -> None:
    kit.next_video(f"failed_because=may-not-show:{prompt}")
    video = generate_video(prompt, link_error=refund.s())
    kit.run_until_done()
    assert video.current().reason == "may-not-show:[redacted]"
    assert "ites" not in str(canvas.ran[0][1])


def test_progress_never_goes_back_and_says_100_only_when_completed(kit: Seedance) -> None:
    shown = []
    kit.next_video("progress_falls", "slow")
    video = generate_video("A kite")
    while not video.current().is_finished:
        kit.advance(5)
        shown.append((video.current().status, video.current().progress))
    values = [progress for _, progress in shown]
    assert values == sorted(values)
    assert all((progress == 100) == (status == "completed") for status, progress in shown)


def test_an_unknown_status_is_kept_and_logged_once(
    kit: Seedance, caplog: pytest.LogCaptureFixture
) -> None:
    kit.next_video("unknown_status*4")
    video = generate_video("A kite")
    with caplog.at_level(logging.INFO, "seedance_celery"):
        kit.advance(45)
    assert video.current().api_status == "paused"
    kit.run_until_done()
    assert caplog.text.count("unknown status") == 1


def test_an_id_that_was_never_known_is_lost_after_two_minutes(kit: Seedance) -> None:
    video = track_video("task_nobody", link=publish.s(), link_error=refund.s())
    kit.advance(110)
    assert video.current().status == "queued"
    kit.run_until_done()
    assert video.current().status == "lost"
    assert isinstance(canvas.ran[0][1], VideoLost)
    assert kit.signals("video_lost") == ["video_lost"]


CANNOT_BE_ASKED_FOR = ["task_\u200babc", "task_\ufeff", "task_\x07", "task_\u202e", ".", ".."]


@pytest.mark.parametrize("api_id", CANNOT_BE_ASKED_FOR)
def test_an_id_that_cannot_be_asked_for_is_refused_and_no_row_is_made(
    kit: Seedance, api_id: str
) -> None:
    with pytest.raises(InvalidRequest, match="Type it in anew") as caught:
        track_video(api_id)
    assert caught.value.field == "api_id"
    result = poll_video.delay(api_id)
    kit.run_until_done()
    assert isinstance(result.result, InvalidRequest)
    assert not Video.objects.exists()


def test_a_row_whose_id_cannot_be_asked_for_ends_an_hour_after_its_deadline(kit: Seedance) -> None:
    video = track_video("task_pasted", timeout=60, link=publish.s(), link_error=refund.s())
    Video.objects.update(api_id="task_\u200bpasted")
    kit.advance(3500)
    assert not video.current().is_finished
    kit.run_until_done()
    assert video.current().status == "timed_out"
    assert isinstance(canvas.ran[0][1], VideoTimedOut)
    assert kit.simulator.counts["retrieve"] == 0


def test_an_id_that_was_known_is_not_lost_by_another_key(kit: Seedance) -> None:
    kit.next_video("slow=100")
    video = generate_video("A kite")
    kit.advance(30)
    fault = kit.simulator.fault("task_not_exist", routes=["retrieve"])
    kit.advance(600)
    assert not video.current().is_finished
    assert video.current().errors > 10
    kit.simulator.clear(fault)
    kit.run_until_done()
    assert video.current().status == "completed"


def test_a_refused_key_is_told_once_fails_nothing_and_asks_one_at_a_time(
    kit: Seedance, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(20):
        kit.next_video("slow=30")
        generate_video(f"Kite {number}")
    kit.advance(40)
    fault = kit.simulator.fault("key_refused", routes=["retrieve"])
    before = kit.simulator.counts["retrieve"]
    with caplog.at_level(logging.ERROR, "seedance_celery"):
        kit.advance(600)
    assert kit.simulator.counts["retrieve"] - before <= 20 + 600 / 20
    assert len([r for r in caplog.records if "refuses the key" in r.message]) == 1
    assert kit.signals("account_refused") == ["account_refused"]
    kit.simulator.clear(fault)
    kit.run_until_done()
    assert {v.status for v in Video.objects.all()} == {"completed"}
    assert kit.signals("account_restored") == ["account_restored"]
    assert AccountState.objects.get().refused_at is None


def test_a_rate_limit_holds_back_every_video_of_the_key(kit: Seedance) -> None:
    for number in range(20):
        kit.next_video("slow=30")
        generate_video(f"Kite {number}")
    kit.advance(40)
    fault = kit.simulator.fault("rate_limited_retry_after=120", routes=["retrieve"])
    kit.advance(25)
    before = kit.simulator.counts["retrieve"]
    kit.advance(90)
    assert kit.simulator.counts["retrieve"] == before
    kit.simulator.clear(fault)
    kit.run_until_done()
    assert {v.status for v in Video.objects.all()} == {"completed"}


def test_what_is_kept_of_the_answer_has_no_signature(kit: Seedance) -> None:
    video = generate_video("A kite")
    kit.run_until_done()
    row = video.current()
    signature = row.video_url.partition("signature=")[2]
    assert signature
    for name in ("raw", "history", "create_reply", "last_error", "reason"):
        assert name == "raw" or signature not in str(getattr(row, name))
    raw = {k: v for k, v in row.raw.items() if k != "video_url"}
    assert signature not in str(raw)


def test_a_deadline_that_is_extended_during_the_last_poll_counts(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asking(video: Video) -> Any:
        answer = ask(video)
        if video.now >= video.deadline_at and not extended:  # type: ignore[operator]
            extended.append(track_video(api_id, timeout=7200))
        return answer

    ask, extended = poll.ask, list[Video]()
    api_id = kit.buy("stuck=700")
    video = track_video(api_id, timeout=60)
    monkeypatch.setattr(poll, "ask", asking)
    kit.run_until_done()
    assert extended
    assert video.current().status == "completed"
    assert not kit.signals("video_timed_out")
