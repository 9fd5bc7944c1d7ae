"""Every signal waits for the commit: inside a block that rolls back, none fires."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

import seedance_celery
from seedance_celery import sending
from seedance_celery.accounts import health
from seedance_celery.buying import outcomes
from seedance_celery.db import clock
from seedance_celery.exceptions import (
    CanvasStopped,
    KeyRefused,
    OutcomeUnknown,
    RequestRefused,
)
from seedance_celery.models import AccountState, KeptTask, Poller, Video
from seedance_celery.polling import loop
from seedance_celery.protocol import VideoTask
from seedance_celery.shortcuts import track_video
from seedance_celery.tasks import poll_video, refresh_videos, store_video
from seedance_celery.testing import Seedance

Act = Callable[[], Any]


def a_row(status: str, **values: Any) -> Video:
    defaults = {"api_id": "task_1", "poll_token": 1, "announced_at": clock.now()}
    return Video.objects.create(status=status, **{**defaults, **values}).current()


def unknown(**values: Any) -> Video:
    return a_row("create_unknown", api_id=None, deadline_at=clock.after(-1), **values)


def create_ends(kit: Seedance, answer: Any) -> Act:
    video = a_row("creating", api_id=None, post_started_at=clock.now(), announced_at=None)
    return lambda: outcomes.keep_outcome(video, answer)


def bought(kit: Seedance) -> Act:
    return create_ends(kit, VideoTask("task_9", "queued", "queued"))


def bought_for_a_row_that_is_gone(kit: Seedance) -> Act:
    video = a_row("rejected", api_id=None, finished_at=clock.now())
    Video.objects.filter(pk=video.pk)._raw_delete("default")
    return lambda: outcomes.keep_outcome(video, VideoTask("task_9", "queued", "queued"))


def refused(kit: Seedance) -> Act:
    return create_ends(kit, RequestRefused("…", http_status=400))


def lost(kit: Seedance) -> Act:
    return create_ends(kit, OutcomeUnknown("…", cause="ReplyLost"))


def tracked(kit: Seedance) -> Act:
    return lambda: track_video(kit.buy())


def adopted(kit: Seedance) -> Act:
    video = unknown()
    return lambda: video.adopt("task_9")


def given_up_by_the_time(kit: Seedance) -> Act:
    video = unknown()
    return lambda: poll_video({"video_pk": str(video.pk)})


def announced_again(kit: Seedance) -> Act:
    video = a_row("failed", finished_at=clock.now(), announced_at=None, overdue_at=clock.after(-1))
    return lambda: loop.act(str(video.pk), video.poll_token)


def polled(kit: Seedance, *scenarios: str) -> Act:
    api_id = kit.buy(*scenarios)
    return lambda: poll_video(api_id)


def completed(kit: Seedance) -> Act:
    return polled(kit)


def failed(kit: Seedance) -> Act:
    return polled(kit, "failed")


def collected_late(kit: Seedance) -> Act:
    api_id = kit.buy()
    kit.clock.advance(600)
    ended = {"finished_at": clock.after(-86000), "overdue_at": clock.after(-1)}
    video = a_row("timed_out", api_id=api_id, **ended)
    return lambda: loop.act(str(video.pk), video.poll_token)


def stored(kit: Seedance, *scenarios: str) -> Act:
    api_id = kit.buy(*scenarios)
    poll_video(api_id)
    kit.listener.fired.clear()
    return lambda: store_video(api_id)


def kept(kit: Seedance) -> Act:
    return stored(kit)


def not_kept(kit: Seedance) -> Act:
    return stored(kit, "file_html")


def key_refused(kit: Seedance) -> Act:
    video = a_row("queued")
    return lambda: health.learn(video, KeyRefused("…", http_status=401))


def key_taken_again(kit: Seedance) -> Act:
    past = {"hold_until": clock.after(-9), "refused_at": clock.after(-9)}
    AccountState.objects.create(name="default", strikes=1, **past)
    video = a_row("queued")
    assert health.wait_for(video) is None
    return lambda: health.learn(video, VideoTask("task_1", "queued", "queued"))


ACTS: list[tuple[Callable[[Seedance], Act], list[str]]] = [
    (bought, ["video_created"]),
    (bought_for_a_row_that_is_gone, ["video_created"]),
    (refused, ["video_finished", "video_rejected"]),
    (lost, ["video_create_unknown"]),
    (tracked, ["video_created"]),
    (adopted, ["video_created"]),
    (given_up_by_the_time, ["video_finished"]),
    (announced_again, ["video_failed", "video_finished"]),
    (completed, ["video_completed", "video_created", "video_finished"]),
    (failed, ["video_created", "video_failed", "video_finished"]),
    (collected_late, ["video_completed", "video_finished"]),
    (kept, ["video_stored"]),
    (not_kept, ["video_store_failed"]),
    (key_refused, ["account_refused"]),
    (key_taken_again, ["account_restored"]),
]


@pytest.mark.parametrize(("prepare", "signals"), ACTS, ids=[act.__name__ for act, _ in ACTS])
def test_a_signal_fires_once_it_is_true_and_only_then(
    kit: Seedance,
    prepare: Callable[[Seedance], Act],
    signals: list[str],
    tmp_path: Any,
    settings: Any,
) -> None:
    settings.MEDIA_ROOT = tmp_path
    act = prepare(kit)
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        with contextlib.suppress(CanvasStopped):
            act()
        assert kit.signals() == []
        raise ZeroDivisionError
    assert kit.signals() == []
    with transaction.atomic():
        with contextlib.suppress(CanvasStopped):
            act()
        assert kit.signals() == []
    fired = kit.signals()
    assert sorted(name for name in fired if name != "video_progressed") == signals


def test_a_batch_poller_tells_of_progress_after_the_commit(transactional_db: None) -> None:
    with Seedance(http=True, POLLER="batch") as kit:
        video = track_video(kit.buy("stuck"))
        kit.run_due()
        while video.current().status == "queued" and kit.clock.time < video.current().deadline_at:
            kit.advance(10)
        # As if what was polled now had not been seen yet.
        Video.objects.update(status="queued", progress=0, next_poll_at=clock.after(-1))
        kit.listener.fired.clear()
        poller = Poller.objects.get()
        with transaction.atomic():
            refresh_videos(poller.account, poller.number, poller.token)
            assert kit.signals() == []
        assert kit.signals() == ["video_progressed"]


def test_what_waits_for_a_video_goes_on_after_the_commit(kit: Seedance) -> None:
    row = a_row("failed", finished_at=clock.now(), announced_at=None, overdue_at=clock.after(-1))
    text = sending.signature_text(sending.POLL, [{"video_pk": str(row.pk)}], task_id="a")
    KeptTask.objects.create(celery_id="a", task=sending.POLL, video=row, signature=text)
    with transaction.atomic():
        loop.act(str(row.pk), row.poll_token)
        assert kit.broker.fetch() == []
    assert [message.celery_id for message in kit.broker.fetch()] == ["a"]


def test_each_signal_of_the_package_goes_through_one_function() -> None:
    folder = Path(seedance_celery.__file__).parent
    senders = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("send_robust", "asend_robust")
    ]
    assert senders == ["signals.py"]
