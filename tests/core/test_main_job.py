"""The main job: create, poll, continue, announce."""

from __future__ import annotations

import uuid
from itertools import pairwise
from typing import Any

import pytest
from celery import chain, chord, group
from celery.canvas import Signature
from django.db import transaction

from seedance_celery import sending
from seedance_celery.exceptions import (
    InvalidRequest,
    KeyMissing,
    VideoErrored,
    VideoFailed,
    VideoTimedOut,
)
from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video, track_video, wait_for_video
from seedance_celery.signals import video_completed
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import bound_refund, collect, narrow, old_refund, publish, refund


def the_video() -> Video:
    return Video.objects.get()


def test_a_chain_goes_on_with_the_completed_video(kit: Seedance) -> None:
    chain(create_video.s("A kite", seconds=5), poll_video.s(), publish.s()).apply_async()
    kit.run_until_done()
    video = the_video()
    assert canvas.names() == ["publish"]
    result = canvas.ran[0][1]
    assert result == {
        "id": video.api_id,
        "status": "completed",
        "progress": 100,
        "model": "doubao-seedance-2-0",
        "video_url": video.video_url,
        "created_at": video.api_created_at,
        "completed_at": video.api_completed_at,
        "account": "default",
        "video_pk": str(video.pk),
    }
    assert kit.charges == 1


def test_signals_fire_in_order_and_once(kit: Seedance) -> None:
    generate_video("A kite")
    kit.run_until_done()
    names = [name for name in kit.signals() if name != "video_progressed"]
    assert names == ["video_created", "video_completed", "video_finished"]
    assert [f.details for f in kit.fired if f.name == "video_completed"] == [{"late": False}]


@pytest.mark.parametrize(
    ("scenario", "signal", "error"),
    [("failed", "video_failed", VideoFailed), ("error", "video_errored", VideoErrored)],
)
def test_an_end_that_is_not_completed_runs_the_errbacks(
    kit: Seedance, scenario: str, signal: str, error: type[Exception]
) -> None:
    kit.next_video(scenario)
    waits = poll_video.s().on_error(refund.s()).on_error(old_refund.s())
    chain(create_video.s("A kite"), waits, publish.s()).apply_async()
    kit.run_until_done()
    assert canvas.names() == ["refund", "old_refund"]
    raised = canvas.ran[0][1]
    assert type(raised) is error
    assert (raised.api_id, raised.video_pk) == (the_video().api_id, str(the_video().pk))
    assert kit.signals(signal) == [signal]
    assert kit.signals("video_finished") == ["video_finished"]


def test_no_video_is_asked_for_more_often_than_every_ten_seconds(kit: Seedance) -> None:
    kit.next_video("slow")
    generate_video("A kite")
    kit.run_until_done()
    times = kit.simulator.videos[the_video().api_id].asked_at
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps
    assert all(9.0 <= gap <= 21.0 for gap in gaps), gaps


def test_ten_chains_on_one_video_are_one_poll_loop_and_ten_continuations(kit: Seedance) -> None:
    api_id = create_video("A kite")["id"]
    for _ in range(10):
        chain(poll_video.s(api_id), publish.s()).apply_async()
    kit.run_until_done()
    assert canvas.names() == ["publish"] * 10
    times = kit.simulator.videos[api_id].asked_at
    assert all(later - earlier >= 9 for earlier, later in pairwise(times))


def test_a_chain_that_waits_is_a_row_and_holds_no_worker(kit: Seedance) -> None:
    kit.next_video("slow")
    chain(create_video.s("A kite"), poll_video.s(), publish.s()).apply_async()
    kit.advance(30)
    assert not the_video().is_finished
    assert KeptTask.objects.filter(finished_at=None).count() == 1
    # What goes round is the question alone; the one who runs all tasks here is free.
    assert {message.task for message in kit.broker.fetch()} <= {sending.REFRESH, sending.BATCH}
    kit.run_until_done()
    assert canvas.names() == ["publish"]


def test_a_chain_on_a_finished_video_goes_on_at_once_without_a_request(kit: Seedance) -> None:
    video = generate_video("A kite")
    kit.run_until_done()
    before = len(kit.simulator.requests)
    chain(poll_video.s(video.pk), publish.s()).apply_async()
    kit.run_due()
    assert canvas.names() == ["publish"]
    assert len(kit.simulator.requests) == before


def test_a_chord_and_a_group_go_on(kit: Seedance) -> None:
    header = group(chain(create_video.s(f"Kite {n}"), poll_video.s()) for n in range(3))
    chord(header, collect.s()).apply_async()
    chain(create_video.s("Kite"), poll_video.s(), group(publish.s(), publish.s())).apply_async()
    kit.run_until_done()
    assert sorted(canvas.names()) == ["collect", "publish", "publish"]
    values = next(value for name, value in canvas.ran if name == "collect")
    assert [value["status"] for value in values] == ["completed"] * 3


def test_a_chord_with_a_failed_video_can_take_every_end(kit: Seedance) -> None:
    kit.next_video("failed")
    ids = [create_video(f"Kite {n}")["id"] for n in range(2)]
    chord([poll_video.s(api_id, propagate=False) for api_id in ids], collect.s()).apply_async()
    kit.run_until_done()
    assert [value["status"] for value in canvas.ran[0][1]] == ["failed", "completed"]


@pytest.mark.parametrize("shape", ["id", "reply", "old", "pk", "video_pk"])
def test_poll_video_takes_an_id_a_reply_or_a_pk(kit: Seedance, shape: str) -> None:
    reply = create_video("A kite")
    target = {
        "id": reply["id"],
        "reply": {"id": reply["id"], "status": "queued"},
        "old": {"task_id": reply["id"]},
        "pk": uuid.UUID(reply["video_pk"]),
        "video_pk": {"video_pk": reply["video_pk"]},
    }[shape]
    chain(poll_video.s(target), publish.s()).apply_async()
    kit.run_until_done()
    assert canvas.names() == ["publish"]
    assert Video.objects.count() == 1


@pytest.mark.parametrize("target", [None, True, 5, object(), b"task_x", ["task_x"]])
def test_what_names_no_video_is_a_type_error_before_any_request(
    kit: Seedance, target: object
) -> None:
    with pytest.raises(TypeError, match=type(target).__name__):
        poll_video(target)
    assert not kit.simulator.requests


@pytest.mark.parametrize("target", ["", "  ", {}, {"id": None}, {"status": "queued"}])
def test_an_empty_id_is_a_value_error_before_any_request(kit: Seedance, target: object) -> None:
    with pytest.raises(ValueError):
        poll_video(target)
    assert not kit.simulator.requests


def test_generate_video_in_a_transaction_that_rolls_back_leaves_nothing(kit: Seedance) -> None:
    with transaction.atomic():
        generate_video("A kite", link=publish.s())
        transaction.set_rollback(True)
    kit.run_until_done()
    assert not Video.objects.exists()
    assert not KeptTask.objects.exists()
    assert kit.charges == 0


@pytest.mark.parametrize(
    ("link", "link_error"),
    [
        (narrow.s(), None),
        (narrow.s(1, 2), None),
        (narrow.s(order=1, pk=2), None),
        (chain(narrow.s(), publish.s()), None),
        (None, old_refund.s("order")),
        (None, refund.s("order")),
    ],
)
def test_what_could_not_be_called_is_refused_before_anything_is_bought(
    kit: Seedance, link: Any, link_error: Any
) -> None:
    with pytest.raises(InvalidRequest, match="cannot be called so") as caught:
        generate_video("A kite", link=link, link_error=link_error)
    assert caught.value.field == ("link" if link else "link_error")
    is_given = "the result of poll_video" if link else r"(request, exc, traceback)"
    assert f"It is given {is_given}, then its own" in str(caught.value)
    assert not Video.objects.exists()


@pytest.mark.parametrize(
    "link",
    [
        narrow.s(1),
        narrow.si({}, order=1),
        chain(narrow.s(1), narrow.si({}, 1)),
        group(narrow.s(1), publish.s()),
        Signature("shop.tasks.unknown_here"),
    ],
    ids=["given", "immutable", "chain", "group", "unknown"],
)
def test_what_can_be_called_is_taken(kit: Seedance, link: Any) -> None:
    generate_video("A kite", link=link)
    assert Video.objects.exists()


def test_a_chain_as_an_errback_is_celerys_to_judge(kit: Seedance) -> None:
    generate_video("A kite", link_error=chain(bound_refund.s(), narrow.s(1)))
    assert Video.objects.exists()


def test_link_and_link_error_of_generate_video(kit: Seedance) -> None:
    generate_video("A kite", link=publish.s(), link_error=refund.s())
    kit.run_until_done()
    kit.next_video("failed")
    generate_video("Another", link=publish.s(), link_error=[refund.s(), old_refund.s()])
    kit.run_until_done()
    assert canvas.names() == ["publish", "refund", "old_refund"]


def test_track_video_follows_what_something_else_bought(kit: Seedance) -> None:
    api_id = create_video("A kite")["id"]
    video = track_video(api_id, link=publish.s())
    kit.run_until_done()
    assert video.current().status == "completed"
    assert canvas.names() == ["publish"]


def test_a_direct_call_polls_in_place(kit: Seedance) -> None:
    result = poll_video(create_video("A kite"))
    assert result["status"] == "completed"


def test_wait_for_video_returns_the_row_or_times_out(kit: Seedance) -> None:
    video = generate_video("A kite")
    kit.run_until_done()
    assert wait_for_video(video).status == "completed"
    slow = generate_video("Another")
    with pytest.raises(TimeoutError):
        wait_for_video(slow, timeout=0)


def test_wait_for_video_in_an_atomic_block_is_an_error_at_once(kit: Seedance) -> None:
    with transaction.atomic(), pytest.raises(transaction.TransactionManagementError):
        wait_for_video(generate_video("A kite"))


def test_a_receiver_that_raises_stops_neither_the_others_nor_the_chain(
    kit: Seedance, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**kwargs: object) -> None:
        raise RuntimeError("a receiver's own trouble")

    video_completed.connect(broken, sender=Video)
    try:
        generate_video("A kite", link=publish.s())
        kit.run_until_done()
    finally:
        video_completed.disconnect(broken, sender=Video)
    assert kit.signals("video_finished") == ["video_finished"]
    assert canvas.names() == ["publish"]
    assert "broken" in caplog.text


def test_a_timeout_ends_a_task_and_a_longer_one_waits_on(kit: Seedance) -> None:
    kit.next_video("stuck")
    api_id = create_video("A kite")["id"]
    chain(poll_video.s(api_id, timeout=60).on_error(refund.s()), publish.s()).apply_async()
    kit.advance(300)
    assert canvas.names() == ["refund"]
    assert isinstance(canvas.ran[0][1], VideoTimedOut)
    assert the_video().status == "in_progress"
    kit.advance(3600)
    assert the_video().status == "timed_out"
    assert kit.signals("video_timed_out") == ["video_timed_out"]


@pytest.mark.parametrize("timeout", ["1h", 0, -5, True, float("nan"), 10**12])
def test_a_timeout_that_cannot_be_waited_for_is_refused_at_the_call(
    kit: Seedance, timeout: Any
) -> None:
    for call in (generate_video, track_video):
        with pytest.raises(InvalidRequest, match="number of seconds") as caught:
            call("task_1", timeout=timeout)
        assert caught.value.field == "timeout"
    assert not Video.objects.exists()


def test_a_direct_call_without_a_key_ends_at_once(kit: Seedance, settings: Any) -> None:
    settings.SEEDANCE = {**settings.SEEDANCE, "ACCOUNTS": {}, "API_KEY": ""}
    with pytest.raises(KeyMissing, match="default has no API key"):
        create_video("A kite")
    with pytest.raises(KeyMissing, match="COMETAPI_KEY"):
        poll_video("task_1")
