"""Buying once: every outcome of a create that the contract knows."""

from __future__ import annotations

from typing import Any

import pytest
from celery import chain
from django.conf import settings
from django.db import DataError, connection
from django.test import override_settings

from seedance_celery.exceptions import CreateRejected, CreateUnknown, InvalidRequest
from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import publish, refund

BOUGHT_AND_TOLD = [
    "create_late=0.2",
    "create_uppercase",
    "create_only_task_id",
    "create_wrapped",
    "create_truncated_with_id",
]
BOUGHT_AND_LOST = [
    "create_dropped",
    "create_closed",
    "create_reset_mid_body",
    "create_truncated",
    "create_garbled",
    "create_empty",
    "create_without_id",
    "create_html",
    "create_http_408",
    "create_http_500",
    "create_http_502",
    "create_http_503",
    "create_http_504",
    "create_http_524",
]
REFUSED = [
    "create_400",
    "create_402",
    "create_403_quota",
    "create_404",
    "create_413",
    "create_415",
    "create_422",
    "create_500_invalid_request",
    "create_503_model_not_found",
    "create_301",
]
NOT_YET = ["create_429", "create_429_retry_after", "create_401", "create_403_key"]


def start() -> None:
    create = create_video.s("A kite").on_error(refund.s())
    chain(create, poll_video.s(), publish.s()).apply_async()


def the_video() -> Video:
    return Video.objects.get()


@pytest.mark.parametrize("scenario", BOUGHT_AND_TOLD)
def test_a_reply_with_an_id_is_a_bought_video(kit: Seedance, scenario: str) -> None:
    kit.next_video(scenario)
    start()
    kit.run_until_done()
    assert the_video().status == "completed"
    assert (kit.charges, canvas.names()) == (1, ["publish"])


@pytest.mark.parametrize("scenario", BOUGHT_AND_LOST)
def test_a_lost_reply_waits_for_a_person_and_is_never_sent_again(
    kit: Seedance, scenario: str
) -> None:
    kit.next_video(scenario)
    start()
    kit.run_until_done()
    assert the_video().status == "create_unknown"
    assert the_video().finished_at is None
    assert (kit.charges, canvas.names()) == (1, [])
    assert kit.signals() == ["video_create_unknown"]
    kit.advance(7200)
    assert kit.charges == 1
    assert canvas.names() == ["refund"]
    assert isinstance(canvas.ran[0][1], CreateUnknown)
    assert kit.signals() == ["video_create_unknown", "video_finished"]
    assert the_video().status == "create_unknown"


@pytest.mark.parametrize("scenario", REFUSED)
def test_a_refused_create_is_rejected_and_bought_nothing(kit: Seedance, scenario: str) -> None:
    kit.next_video(scenario)
    start()
    kit.run_until_done()
    assert the_video().status == "rejected"
    assert the_video().reason
    assert (kit.charges, canvas.names()) == (0, ["refund"])
    assert isinstance(canvas.ran[0][1], CreateRejected)
    assert kit.signals() == ["video_rejected", "video_finished"]
    assert kit.simulator.counts["create"] == 1


@pytest.mark.parametrize("scenario", NOT_YET)
def test_a_create_that_bought_nothing_is_tried_again(kit: Seedance, scenario: str) -> None:
    kit.next_video(scenario)
    start()
    kit.run_until_done()
    assert the_video().status == "completed"
    assert (kit.charges, canvas.names()) == (1, ["publish"])
    assert kit.simulator.counts["create"] == 2


def test_a_key_that_is_refused_for_good_rejects_the_create_at_its_timeout(kit: Seedance) -> None:
    kit.simulator.fault("key_refused")
    start()
    kit.run_until_done()
    assert the_video().status == "rejected"
    assert (kit.charges, canvas.names()) == (0, ["refund"])
    assert kit.signals("account_refused") == ["account_refused"]


def test_a_connection_that_is_refused_is_tried_five_times(kit: Seedance) -> None:
    kit.server.stop()
    start()
    kit.run_until_done()
    assert the_video().status == "rejected"
    assert the_video().create_tries == 4
    assert canvas.names() == ["refund"]


def test_a_minute_without_the_api_rejects_nothing(kit: Seedance) -> None:
    assert kit.server is not None
    kit.server.stop()
    start()
    kit.advance(60)
    kit.server.start()
    kit.run_until_done()
    assert the_video().status == "completed"
    assert (kit.charges, canvas.names()) == (1, ["publish"])


def test_an_adopted_video_goes_on_with_the_canvas_that_waited(kit: Seedance) -> None:
    kit.next_video("create_dropped")
    start()
    kit.run_until_done()
    api_id = next(iter(kit.simulator.videos))
    assert not kit.signals("video_created")
    assert the_video().adopt(api_id)
    assert [fired.video.api_id for fired in kit.fired if fired.name == "video_created"] == [api_id]
    kit.run_until_done()
    assert the_video().status == "completed"
    assert kit.signals("video_created") == ["video_created"]
    assert (kit.charges, canvas.names()) == (1, ["publish"])


def test_a_mistyped_id_is_lost_and_another_can_be_adopted(kit: Seedance) -> None:
    kit.next_video("create_dropped")
    start()
    kit.run_until_done()
    assert the_video().adopt("task_mistyped")
    kit.run_until_done()
    assert the_video().status == "lost"
    assert the_video().adopt(next(iter(kit.simulator.videos)))
    kit.run_until_done()
    assert the_video().status == "completed"
    # The chain has been told of the lost one: it does not go on after that.
    assert (kit.charges, canvas.names()) == (1, [])
    assert kit.signals("video_completed") == ["video_completed"]


@pytest.mark.parametrize("api_id", ["", " ", "task_a b", "task_a\n", "https://example.com/task_a"])
def test_what_is_no_id_cannot_be_adopted(kit: Seedance, api_id: str) -> None:
    kit.next_video("create_dropped")
    start()
    kit.run_until_done()
    with pytest.raises(InvalidRequest) as caught:
        the_video().adopt(api_id)
    assert caught.value.field == "api_id"
    assert the_video().status == "create_unknown"


def test_an_id_that_another_row_has_cannot_be_adopted(kit: Seedance) -> None:
    other = create_video("Another")
    kit.next_video("create_dropped")
    video = generate_video("A kite")
    kit.run_until_done()
    with pytest.raises(InvalidRequest, match="Another video"):
        video.adopt(other["id"])


def test_bought_again_the_same_canvas_goes_on(kit: Seedance) -> None:
    kit.next_video("create_dropped")
    start()
    kit.run_until_done()
    assert the_video().buy_again()
    assert not the_video().buy_again()
    kit.run_until_done()
    assert the_video().status == "completed"
    assert (kit.charges, canvas.names()) == (2, ["publish"])


def test_given_up_the_errbacks_run_and_the_status_stays(kit: Seedance) -> None:
    kit.next_video("create_dropped")
    start()
    kit.run_until_done()
    assert the_video().give_up()
    assert not the_video().give_up()
    kit.run_until_done()
    assert canvas.names() == ["refund"]
    assert the_video().status == "create_unknown"
    assert kit.signals() == ["video_create_unknown", "video_finished"]


def test_a_create_whose_worker_died_in_the_post_becomes_unknown(kit: Seedance) -> None:
    video = generate_video("A kite", link=publish.s())
    kit.broker.fetch()
    kit.broker.messages.clear()
    Video.objects.update(post_started_at=kit.clock.time, overdue_at=kit.clock.time, poll_token=1)
    KeptTask.objects.filter(task__endswith="submit_video").update(finished_at=kit.clock.time)
    kit.clock.advance(200)
    kit.run_until_done()
    assert video.current().status == "create_unknown"
    assert kit.charges == 0


def test_one_idempotency_key_is_one_row_and_one_post(kit: Seedance) -> None:
    first = generate_video("A kite", idempotency_key="order-7", link=publish.s())
    second = generate_video("A kite", idempotency_key="order-7", link=publish.s())
    assert first.pk == second.pk
    kit.run_until_done()
    assert (kit.charges, canvas.names()) == (1, ["publish"])


def test_two_chains_with_one_idempotency_key_both_go_on(kit: Seedance) -> None:
    for _ in range(2):
        create = create_video.s("A kite", idempotency_key="order-7")
        chain(create, poll_video.s(), publish.s()).apply_async()
    kit.run_until_done()
    assert (kit.charges, canvas.names()) == (1, ["publish", "publish"])
    assert canvas.ran[0][1]["video_pk"] == canvas.ran[1][1]["video_pk"]


def test_a_create_delivered_twice_posts_once(kit: Seedance) -> None:
    start()
    message = kit.broker.fetch()[0]
    kit.broker.messages.append(message)
    kit.run_until_done()
    kit.run(message)
    kit.run_until_done()
    assert (kit.charges, canvas.names()) == (1, ["publish"])


def nested(levels: int) -> list[Any]:
    """Return so many lists within each other."""
    return [nested(levels - 1)] if levels > 1 else []


UNKEEPABLE: list[tuple[dict[str, Any], str]] = [
    ({"prompt": "A kite", "metadata": float("nan")}, "metadata"),
    ({"prompt": "A kite", "metadata": {"price": float("inf")}}, "metadata"),
    ({"prompt": "A kite", "metadata": [{"note": "a\0b"}]}, "metadata"),
    ({"prompt": "A kite", "metadata": {"a\0b": 1}}, "metadata"),
    ({"prompt": "A kite", "metadata": ["\ud800"]}, "metadata"),
    ({"prompt": "A kite", "metadata": nested(31)}, "metadata"),
    ({"prompt": "A kite", "idempotency_key": "a\0b"}, "idempotency_key"),
    ({"prompt": "A kite", "idempotency_key": "\ud800"}, "idempotency_key"),
    ({"prompt": "A kite", "idempotency_key": "order-7 "}, "idempotency_key"),
    ({"prompt": "A kite", "model": "new", "seconds": 3_000_000_000}, "seconds"),
    ({"prompt": "A kite", "model": "new", "size": "1" * 33}, "size"),
]
"""What some database refuses, with the argument that it is about."""


@pytest.mark.parametrize(("arguments", "field"), UNKEEPABLE)
def test_a_create_that_no_database_could_keep_fails_at_once(
    kit: Seedance, arguments: dict[str, Any], field: str
) -> None:
    result = create_video.delay(**arguments)
    kit.run_until_done()
    assert (result.state, result.result.field) == ("FAILURE", field)
    assert not Video.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"prompt": " "}, "prompt"),
        ({"prompt": "A kite", "seconds": 99}, "seconds"),
        ({"prompt": "A kite", "seconds": True}, "seconds"),
        ({"prompt": "A kite", "size": "huge"}, "size"),
        ({"prompt": "A kite", "images": ["nowhere.png"]}, "images"),
        ({"prompt": "A kite", "images": "nowhere.png"}, "images"),
        ({"prompt": "A kite", "images": ["a\0b.png"]}, "images"),
        ({"prompt": "A kite", "metadata": object()}, "metadata"),
        ({"prompt": "A kite", "idempotency_key": ""}, "idempotency_key"),
        *UNKEEPABLE,
    ],
)
def test_what_the_api_would_refuse_is_refused_before_any_request(
    kit: Seedance, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        generate_video(**arguments)
    assert caught.value.field == field
    assert not Video.objects.exists()
    assert not kit.simulator.requests


def test_an_unknown_create_is_given_up_without_a_worker(kit: Seedance) -> None:
    with override_settings(SEEDANCE={**settings.SEEDANCE, "TIMEOUT": 600}):
        kit.simulator.fault("http_502", routes=["create"])
        with pytest.raises(CreateUnknown):
            create_video("A kite")
        video = the_video()
        assert (video.status, bool(video.finished_at)) == ("create_unknown", True)
        assert kit.signals("video_finished") == ["video_finished"]


def test_a_row_of_an_unknown_create_that_is_given_up_is_waited_for_no_more(kit: Seedance) -> None:
    kit.next_video("create_dropped")
    video = generate_video("A kite", timeout=600)
    kit.run_due()
    with pytest.raises(CreateUnknown):
        poll_video(video.pk)


def test_what_no_database_takes_fails_the_task(kit: Seedance) -> None:
    def refuse(run: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT"):
            raise DataError("value out of range")
        return run(sql, *rest)

    with connection.execute_wrapper(refuse):
        chain(create_video.s("A kite").on_error(refund.s()), publish.s()).apply_async()
        kit.advance(60)
    assert canvas.names() == ["refund"]
    assert kit.charges == 0
