"""What runs twice, or the other thing as well, when something fails at the wrong moment."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from celery import chain, current_app
from celery.worker import state
from celery.worker.request import Request
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection
from django.test import override_settings

from seedance_celery import sending
from seedance_celery.canvas import keeping
from seedance_celery.db import clock
from seedance_celery.lifecycle.sweep import sweep
from seedance_celery.models import KeptTask, Video
from seedance_celery.polling.poll import poll
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.signals import video_completed
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import old_refund, publish, refund
from tests.core.crash import Killed, MortalKit, Tripwire
from tests.core.test_delivery import broker_down
from tests.harness.waiting import wait_until

ERRORS = (OperationalError("server closed the connection"), InterfaceError("(0, '')"))


@contextlib.contextmanager
def failing(error: Error, words: str, times: int) -> Iterator[list[str]]:
    """Let so many statements with these words in them fail."""
    failed: list[str] = []

    def execute(run: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if words in sql and sql.startswith("UPDATE") and len(failed) < times:
            failed.append(sql)
            raise error
        return run(sql, *rest)

    with connection.execute_wrapper(execute):
        yield failed


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_database_that_is_away_after_a_continuation_was_sent_repeats_nothing(
    kit: Seedance, error: Error
) -> None:
    generate_video("A kite", link=publish.s(), link_error=refund.s())
    with failing(error, 'SET "lease_until" = %s, "due_at" = %s, "published" =', 12) as failed:
        kit.run_until_done()
    assert len(failed) == 12
    assert canvas.names() == ["publish"]
    assert not KeptTask.objects.filter(finished_at=None).exists()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_database_that_is_away_after_the_receivers_ran_runs_them_once(
    kit: Seedance, error: Error
) -> None:
    generate_video("A kite", link=publish.s())
    with failing(error, 'SET "announced_at" = %s', 12) as failed:
        kit.run_until_done()
    assert len(failed) == 12
    assert kit.signals("video_completed") == ["video_completed"]
    assert kit.signals("video_finished") == ["video_finished"]
    assert canvas.names() == ["publish"]


def test_a_receiver_that_breaks_the_connection_stops_nothing(kit: Seedance) -> None:
    def broken(**kwargs: object) -> None:
        connection.close()
        raise InterfaceError("connection already closed")

    video_completed.connect(broken)
    try:
        generate_video("A kite", link=publish.s())
        kit.run_until_done()
    finally:
        video_completed.disconnect(broken)
    assert kit.signals("video_finished") == ["video_finished"]
    assert canvas.names() == ["publish"]


def test_a_refund_that_has_run_is_not_followed_by_the_next_step(kit: Seedance) -> None:
    """The old-style errback cannot be sent, and meanwhile the video completes after all."""
    kit.next_video("stuck=700")
    waits = poll_video.s(create_video("A kite")["id"], timeout=60)
    waits.on_error(refund.s()).on_error(old_refund.s())
    chain(waits, publish.s()).apply_async()
    with broker_down(only="refund"):
        kit.advance(900)
    kit.run_until_done()
    assert Video.objects.get().status == "completed"
    assert canvas.names() == ["refund", "old_refund"]


class AfterErrbacks(Tripwire):
    """Kills the process at the first moment after an errback ran in it."""

    died = False

    def pass_by(self, event: str) -> None:
        if self.armed and canvas.ran and not self.died:
            self.died = True
            raise Killed(event)


def test_a_death_among_the_errbacks_does_not_let_the_chain_go_on(transactional_db: None) -> None:
    """An inline errback ran, its process died, and then the video is resumed and completes."""
    canvas.ran.clear()
    tripwire = AfterErrbacks()
    with MortalKit(tripwire, TIMEOUT=300) as kit:
        kit.next_video("stuck=700")
        video = generate_video("A kite", link=publish.s(), link_error=refund.s())
        while not tripwire.died:
            kit.advance(1)
        assert video.resume(timeout=3600)
        kit.run_until_done()
        assert video.current().status == "completed"
    assert canvas.names() == ["refund", "refund"]
    assert not KeptTask.objects.filter(finished_at=None).exists()


def the_task() -> KeptTask:
    return KeptTask.objects.get(task=sending.POLL)


def test_a_late_copy_that_has_expired_drops_no_kept_task(kit: Seedance) -> None:
    """A broker delivers the first message again, past its `expires`, while the task is parked."""
    api_id = create_video("A kite")["id"]
    expires = datetime.now(timezone.utc) - timedelta(hours=1)
    chain(poll_video.s(api_id), publish.s()).apply_async()
    kit.run_due()
    message = _as_request(the_task().celery_id, expires)
    assert message.revoked()
    assert the_task().finished_at is None
    assert the_task().celery_id not in state.revoked, "the worker would drop every later copy"
    kit.run_until_done()
    assert canvas.names() == ["publish"]


def _as_request(celery_id: str, expires: datetime) -> Request:
    """Return what a worker makes of a message of `poll_video`."""
    app: Any = current_app._get_current_object()
    headers = {
        "id": celery_id,
        "task": sending.POLL,
        "expires": expires.isoformat(),
        "argsrepr": "()",
        "kwargsrepr": "{}",
    }
    message = _Message(headers)
    body = ([], {}, {})
    return Request(message, app=app, headers=headers, body=body, decoded=True, hostname="here")


class _Message:
    """The little of a kombu message that a request asks for."""

    delivery_info: dict[str, Any] = {}
    properties: dict[str, Any] = {"reply_to": "", "correlation_id": ""}
    delivery_tag = 1
    content_type = "application/json"
    content_encoding = "utf-8"
    acknowledged = True

    def __init__(self, headers: dict[str, Any]) -> None:
        self.headers = headers

    def ack_log_error(self, *args: object, **kwargs: object) -> None:
        """Nothing is to be acknowledged here."""


def test_a_copy_that_cannot_be_kept_outlives_its_process(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its broker is all that it has: the copy that comes back must not end silently."""
    with pickled(monkeypatch):
        api_id = create_video("A kite")["id"]
        chain(poll_video.s(api_id), publish.s({1, 2})).apply_async()
        (message,) = (m for m in kit.broker.fetch() if m.task == sending.POLL)
        kit.run_due()
        # A process took the next message, claimed the row, and died: the broker delivers again.
        assert the_task().claim(60)
        kit.broker.messages = [m for m in kit.broker.fetch() if m.task != sending.POLL]
        kit.broker.messages.append(message)
        kit.run_until_done()
    assert canvas.names() == ["publish"]


@contextlib.contextmanager
def pickled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the tasks of a canvas travel as pickles."""
    app: Any = current_app._get_current_object()
    app.conf.accept_content = ["pickle", "json"]
    names = (sending.POLL, publish.name)
    for name in names:
        monkeypatch.setattr(app.tasks[name], "serializer", "pickle")
        monkeypatch.setattr(app.tasks[name], "_exec_options", None)
    try:
        yield
    finally:
        app.conf.accept_content = ["json"]
        for name in names:
            app.tasks[name]._exec_options = None


def test_one_row_that_cannot_be_sent_does_not_hold_up_the_others(
    kit: Seedance, caplog: pytest.LogCaptureFixture
) -> None:
    videos = [generate_video(f"Kite {n}", link=publish.s()) for n in range(3)]
    kit.broker.fetch()
    kit.broker.messages.clear()
    broken = KeptTask.objects.filter(task=sending.SUBMIT, video=videos[0])
    text = broken.get().signature
    broken.update(signature="not JSON", due_at=clock.after(-1))
    kit.advance(200)
    assert [video.current().status for video in videos[1:]] == ["completed"] * 2
    assert "cannot be sent" in caplog.text
    broken.update(signature=text)
    kit.run_until_done()
    assert canvas.names() == ["publish"] * 3
    assert caplog.text.count("cannot be sent") < 8


def test_a_limit_on_retries_does_not_end_what_waits(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`task_annotations = {"*": {"max_retries": 1}}`, and a database that is away meanwhile."""
    monkeypatch.setattr(poll_video, "max_retries", 1)
    api_id = create_video("A kite")["id"]
    chain(poll_video.s(api_id).on_error(refund.s()), publish.s()).apply_async()

    def away(run: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "kepttask" in sql:
            raise OperationalError("away")
        return run(sql, *rest)

    with connection.execute_wrapper(away):
        for _ in range(5):
            kit.clock.advance(25)
            with contextlib.suppress(OperationalError):
                kit.run_due()
    kit.run_until_done()
    assert canvas.names() == ["publish"]


def test_a_chain_on_a_video_whose_end_was_never_announced_goes_on_at_once(kit: Seedance) -> None:
    video = track_video("task_1")
    Video.objects.filter(pk=video.pk).update(
        status="completed", finished_at=kit.clock.time, poll_token=9
    )
    chain(poll_video.s(video.pk), publish.s()).apply_async()
    kit.run_due()
    assert canvas.names() == ["publish"]
    kit.run_until_done()
    assert kit.signals("video_completed") == ["video_completed"]
    assert canvas.names() == ["publish"]


def test_a_slower_copy_that_reads_in_progress_does_not_reopen_a_completed_video(
    kit: Seedance,
) -> None:
    """A broker delivers one poll twice at the same instant: both ask, and one is discarded."""
    video = generate_video("A kite", link=publish.s())
    kit.advance(3)
    slower = video.current()
    kit.run_until_done()
    assert video.current().status == "completed"
    history = video.current().history
    kit.simulator.play(slower.api_id, "stuck")
    slower.next_poll_at = slower.now
    assert poll(slower) is None
    assert kit.simulator.videos[slower.api_id].asked_at
    row = video.current()
    assert (row.status, row.progress, row.history) == ("completed", 100, history)
    assert kit.signals("video_completed") == ["video_completed"]
    assert canvas.names() == ["publish"]


def test_a_result_backend_that_fails_once_repeats_nothing(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery stores a result after the canvas has gone on, and would run errbacks here."""
    backend: Any = poll_video.backend
    store, failed = backend.mark_as_done, []

    def mark_as_done(celery_id: str, *args: Any, **kwargs: Any) -> None:
        if celery_id == the_task().celery_id and not failed:
            failed.append(celery_id)
            raise ConnectionError("the result backend is away")
        store(celery_id, *args, **kwargs)

    generate_video("A kite", link=publish.s(), link_error=refund.s())
    monkeypatch.setattr(backend, "mark_as_done", mark_as_done)
    with pytest.warns(RuntimeWarning, match="result backend is away"):
        kit.run_until_done()
    assert failed
    assert canvas.names() == ["publish"]
    assert not KeptTask.objects.filter(finished_at=None).exists()


def test_a_next_task_that_cannot_be_sent_gives_no_money_back_and_goes_on_once_it_can(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bought = create_video.s("A kite").on_error(refund.s())
    chain(bought, poll_video.s().on_error(refund.s()), publish.s()).apply_async()
    with monkeypatch.context() as before_the_deploy:
        before_the_deploy.setattr(publish, "__header__", lambda value, order_pk: None)
        with pytest.raises(AssertionError, match=r"cannot go on: .*order_pk"):
            kit.run_until_done()
        assert Video.objects.get().status == "completed"
        assert "what comes next could not be sent, and is tried again in 900 s" in caplog.text
        assert canvas.names() == []
    kit.run_until_done()
    assert canvas.names() == ["publish"]


def test_a_next_task_whose_sending_fails_for_a_while_goes_on_soon(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any) -> None:
        raise LookupError("a result backend that is away")

    chain(create_video.s("A kite"), poll_video.s().on_error(refund.s()), publish.s()).apply_async()
    with monkeypatch.context() as outage:
        outage.setattr(publish, "__header__", away)
        kit.advance(600)
        assert canvas.names() == []
    kit.advance(120)
    assert canvas.names() == ["publish"]


def test_an_inline_errback_that_takes_longer_than_a_lease_runs_once(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(request: Any, exc: Exception, traceback: Any) -> None:
        canvas.ran.append(("refund", exc))
        for _ in range(3):
            before = the_task().lease_until
            kit.clock.advance(2)
            wait_until(lambda before=before: the_task().lease_until != before, 30)
            sweep()
            renewed.append(before)

    canvas.ran.clear()
    renewed: list[Any] = []
    monkeypatch.setattr(refund, "run", slow)
    with Seedance(http=True, REQUEST_TIMEOUT=(0.5, 1), RESEND_AFTER=3) as kit:
        kit.next_video("failed")
        generate_video("A kite", link=publish.s(), link_error=refund.s())
        kit.run_until_done()
    assert (canvas.names(), len(renewed)) == (["refund"], 3)
    assert not [t for t in threading.enumerate() if t.name == "seedance-lease"]


@pytest.mark.filterwarnings("ignore:Exception raised outside body:RuntimeWarning")
def test_a_result_that_cannot_be_stored_lets_go_of_the_task(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise OSError("the result backend is away")

    kit.next_video("failed")
    generate_video("A kite", link=publish.s(), link_error=refund.s())
    with monkeypatch.context() as patch:
        patch.setattr(type(current_app.backend), "mark_as_failure", away)
        kit.advance(300)
    assert not [t for t in threading.enumerate() if t.name == "seedance-lease"]
    kit.run_until_done()
    assert canvas.names() == ["refund"]


@pytest.mark.parametrize("how", ["redelivered", "not kept"])
def test_a_copy_that_comes_again_moves_no_deadline(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with pickled(monkeypatch):
        waits = poll_video.s(kit.buy("stuck"), timeout=600).on_error(refund.s())
        chain(waits, publish.s({1, 2} if how == "not kept" else 1)).apply_async()
        (message,) = kit.broker.fetch()
        kit.run_due()
        before = Video.objects.get().deadline_at
        kit.advance(300)
        kit.broker.messages.append(message)
        kit.run_due()
        assert Video.objects.get().deadline_at == before
        kit.advance(900)
    assert canvas.names() == ["refund"]
    assert Video.objects.get().status == "timed_out"


def test_a_copy_at_a_worker_without_the_account_waits(kit: Seedance) -> None:
    account = {"API_KEY": "sk-simulator", "BASE_URL": kit.url}
    both = {**settings.SEEDANCE, "ACCOUNTS": {"eu": account}}
    with override_settings(SEEDANCE=both):
        api_id = kit.buy(account="eu")
        waits = poll_video.s(api_id, account="eu").on_error(refund.s())
        chain(waits, publish.s()).apply_async()
        (message,) = kit.broker.fetch()
        kit.run_due()
    kit.broker.messages.append(message)
    kit.run_due()
    with override_settings(SEEDANCE=both):
        kit.run_until_done()
    assert canvas.names() == ["publish"]


@pytest.mark.parametrize("propagate", [True, False])
def test_a_video_resumed_as_its_task_looks_is_waited_for_on(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch, propagate: bool
) -> None:
    def resuming(kept: KeptTask, *rest: Any) -> bool:
        parked = park(kept, *rest)
        if not parked and not resumed:
            resumed.append(Video.objects.get().resume(3600))
        return parked

    park, resumed = keeping.park, list[bool]()
    api_id = kit.buy("stuck=700")
    track_video(api_id, timeout=60)
    kit.advance(100)
    monkeypatch.setattr(keeping, "park", resuming)
    chain(poll_video.s(api_id, propagate=propagate).on_error(refund.s()), publish.s()).apply_async()
    kit.run_until_done()
    assert resumed == [True]
    assert [value["status"] for _, value in canvas.ran] == ["completed"]
