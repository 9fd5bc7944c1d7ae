"""A reply from a copy that was thought dead: whatever the row has become, it is kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from celery import chain
from django.core.files.storage import default_storage
from django.db import OperationalError, connection

from seedance_celery.accounts import health, limits
from seedance_celery.api.replies import VideoTask
from seedance_celery.buying.create import _right
from seedance_celery.buying.outcomes import keep_outcome
from seedance_celery.conf import get_settings
from seedance_celery.exceptions import ApiError, BrokenReply, RateLimited, RequestRefused
from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import publish, refund


def begin(kit: Seedance) -> Video:
    """Win the right to POST a new video, as a worker does that is then not heard of."""
    create = create_video.s("A kite").on_error(refund.s())
    chain(create, poll_video.s(), publish.s()).apply_async()
    kit.simulator.fault("rate_limited", seconds=1)
    kit.run_due()
    kit.clock.advance(60)
    row = Video.objects.get().current()
    assert limits.win(row, get_settings().account(), **_right(row)) is limits.Verdict.GO
    return row


def bought(row: Video) -> VideoTask:
    """Let the API take the money."""
    return health.client_of(row.account).create(row.prompt, model=row.model)


def declare_dead(kit: Seedance) -> None:
    kit.clock.advance(300)
    kit.run_until_done()
    assert Video.objects.get().status == "create_unknown"


def ids() -> set[str | None]:
    return set(Video.objects.values_list("api_id", flat=True))


def given_up(kit: Seedance, row: Video) -> None:
    assert row.give_up()
    kit.run_until_done()


def refused_when_bought_again(kit: Seedance, row: Video) -> None:
    kit.next_video("create_400")
    assert row.buy_again()
    kit.run_until_done()
    assert row.current().status == "rejected"


@pytest.mark.parametrize(
    "become", [lambda kit, row: None, given_up, refused_when_bought_again], ids=lambda f: f.__name__
)
def test_a_late_reply_makes_it_a_bought_video(
    kit: Seedance, become: Callable[[Seedance, Video], None]
) -> None:
    row = begin(kit)
    task = bought(row)
    declare_dead(kit)
    become(kit, row)
    assert keep_outcome(row, task) is None
    assert (row.current().status, ids()) == ("queued", {task.id})
    kit.run_until_done()
    assert row.current().status == "completed"
    assert kit.charges == 1
    assert kit.signals("video_completed") == ["video_completed"]
    assert len(canvas.ran) == 1


def test_a_reply_that_comes_after_another_was_bought_has_a_row_of_its_own(kit: Seedance) -> None:
    row = begin(kit)
    task = bought(row)
    declare_dead(kit)
    assert row.buy_again()
    kit.run_due()
    second = row.current().api_id
    keep_outcome(row, task)
    assert ids() == {task.id, second}
    kit.run_until_done()
    assert set(Video.objects.values_list("status", flat=True)) == {"completed"}
    assert kit.charges == 2
    assert canvas.names() == ["publish"]
    extra = Video.objects.get(api_id=task.id)
    assert str(row.pk) in extra.history[0][1]
    keep_outcome(row, task)
    assert Video.objects.count() == 2


def test_a_reply_takes_the_row_before_it_is_bought_again(kit: Seedance) -> None:
    row = begin(kit)
    task = bought(row)
    declare_dead(kit)
    assert row.buy_again()
    keep_outcome(row, task)
    kit.run_until_done()
    assert (kit.charges, ids(), canvas.names()) == (1, {task.id}, ["publish"])


def test_a_reply_other_than_what_was_adopted_has_a_row_of_its_own(kit: Seedance) -> None:
    row = begin(kit)
    task = bought(row)
    other = bought(row)
    declare_dead(kit)
    assert row.adopt(other.id)
    keep_outcome(row, task)
    kit.run_until_done()
    assert ids() == {task.id, other.id}
    assert row.current().api_id == other.id


def test_a_reply_to_a_deleted_row_has_a_row_of_its_own(kit: Seedance) -> None:
    row = begin(kit)
    task = bought(row)
    declare_dead(kit)
    given_up(kit, row)
    Video.objects.all().delete()
    keep_outcome(row, task)
    kit.run_until_done()
    (found,) = Video.objects.all()
    assert (found.api_id, found.status, found.prompt) == (task.id, "completed", "A kite")


@pytest.mark.parametrize("is_dead", [False, True])
def test_a_reply_whose_video_is_tracked_already_is_told(kit: Seedance, is_dead: bool) -> None:
    row = begin(kit)
    task = bought(row)
    if is_dead:
        declare_dead(kit)
    other = track_video(task.id)
    keep_outcome(row, task)
    kit.run_until_done()
    assert other.current().status == "completed"
    assert row.current().status == "create_unknown"
    assert str(other.pk) in row.current().reason


LATE_ERRORS = [
    BrokenReply("…", http_status=200),
    RequestRefused("…", http_status=400),
    RateLimited("…", http_status=429),
    RuntimeError("…"),
]


@pytest.mark.parametrize("error", LATE_ERRORS, ids=lambda e: type(e).__name__)
def test_a_late_error_takes_nothing_from_what_was_adopted(kit: Seedance, error: Exception) -> None:
    row = begin(kit)
    task = bought(row)
    declare_dead(kit)
    assert row.adopt(task.id)
    assert keep_outcome(row, error) is None
    assert row.current().status == "queued"
    kit.run_until_done()
    assert (row.current().status, canvas.names()) == ("completed", ["publish"])


@pytest.mark.parametrize("error", LATE_ERRORS, ids=lambda e: type(e).__name__)
def test_a_late_error_says_nothing_about_a_later_post(kit: Seedance, error: Exception) -> None:
    row = begin(kit)
    declare_dead(kit)
    assert row.buy_again()
    assert keep_outcome(row, error) is None
    assert row.current().status == "creating"
    kit.run_until_done()
    assert (row.current().status, kit.charges) == ("completed", 1)


@pytest.mark.parametrize("error", LATE_ERRORS[1:3], ids=lambda e: type(e).__name__)
def test_a_late_proof_that_nothing_was_bought_ends_the_doubt(
    kit: Seedance, error: ApiError
) -> None:
    row = begin(kit)
    declare_dead(kit)
    assert keep_outcome(row, error) is None
    kit.run_until_done()
    assert (row.current().status, canvas.names()) == ("rejected", ["refund"])


@pytest.mark.parametrize("failures", [1, 5])
def test_a_database_that_is_away_when_the_reply_comes_is_waited_for(
    kit: Seedance, failures: int
) -> None:
    row = begin(kit)
    task = bought(row)
    left = [failures]

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        keep_outcome(row, task)
    assert row.current().api_id == task.id


def test_what_no_database_takes_is_told_with_its_id(
    kit: Seedance, caplog: pytest.LogCaptureFixture
) -> None:
    row = begin(kit)
    task = bought(row)

    def fail(*args: Any) -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(fail):
        keep_outcome(row, task)
    (record,) = [r for r in caplog.records if r.levelname == "CRITICAL"]
    assert task.id in record.getMessage()
    declare_dead(kit)
    assert row.adopt(task.id)
    kit.run_until_done()
    assert row.current().status == "completed"


def unknown_with_a_copy(kit: Seedance) -> tuple[Video, str]:
    """Return a video whose create is unknown, and the copy of its image."""
    image = io.BytesIO(b"\xff\xd8\xff" + b"x" * 100)
    kit.next_video("create_dropped")
    video = generate_video("A kite", images=[image])
    ((name, is_copy),) = video.images
    assert is_copy
    kit.run_until_done()
    return video, name


def test_the_copies_of_a_deleted_row_go_with_it(kit: Seedance) -> None:
    video, name = unknown_with_a_copy(kit)
    given_up(kit, video)
    assert default_storage.exists(name)
    video.current().delete()
    assert not default_storage.exists(name)


def test_a_row_with_copies_keeps_them_while_it_may_be_bought_again(kit: Seedance) -> None:
    video, name = unknown_with_a_copy(kit)
    assert (video.current().status, default_storage.exists(name)) == ("create_unknown", True)
    assert video.buy_again()
    kit.run_until_done()
    assert (video.current().status, default_storage.exists(name)) == ("completed", False)
