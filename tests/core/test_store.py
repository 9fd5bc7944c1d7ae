"""Keeping the file, from the rows' side."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import chain
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage
from django.db import transaction

from seedance_celery import sending
from seedance_celery.canvas import results
from seedance_celery.exceptions import CanvasStopped, StoreFailed, VideoEnded
from seedance_celery.lifecycle.sweep import sweep
from seedance_celery.models import AccountState, KeptTask, Video
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.signals import video_completed
from seedance_celery.status import shown
from seedance_celery.tasks import create_video, poll_video, store_video
from seedance_celery.testing import Seedance, Simulator
from tests.core import canvas
from tests.core.canvas import broken, publish, refund
from tests.harness.databases import Database


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def start() -> None:
    waits = store_video.s().on_error(refund.s())
    chain(create_video.s("A kite"), poll_video.s(), waits, publish.s()).apply_async()


def the_video() -> Video:
    return Video.objects.get()


def test_a_chain_goes_on_with_the_kept_file(kit: Seedance, media: Path) -> None:
    start()
    kit.run_until_done()
    video = the_video()
    path = media / video.file.name
    assert path.read_bytes()[4:8] == b"ftyp"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == video.sha256
    result = canvas.ran[0][1]
    assert (result["file"], result["file_size"]) == (video.file.name, path.stat().st_size)
    assert kit.signals("video_stored") == ["video_stored"]
    assert kit.simulator.bearer_on_files == 0


def test_store_true_keeps_the_file_and_links_with_it(kit: Seedance) -> None:
    generate_video("A kite", store=True, link=publish.s())
    generate_video("Another", store=True)
    kit.run_until_done()
    assert all(video.file for video in Video.objects.all())
    assert canvas.ran[0][1]["sha256"]
    assert kit.simulator.counts["file"] == 2


def test_auto_store_keeps_every_file(kit: Seedance, settings: Any) -> None:
    settings.SEEDANCE = {**settings.SEEDANCE, "AUTO_STORE": True}
    generate_video("A kite")
    kit.run_until_done()
    assert the_video().file


def test_many_tasks_that_store_one_video_download_it_once(kit: Seedance, media: Path) -> None:
    reply = create_video("A kite")
    kit.run_until_done()
    for _ in range(5):
        chain(store_video.s(reply), publish.s()).apply_async()
    kit.run_until_done()
    assert canvas.names() == ["publish"] * 5
    assert kit.simulator.counts["file"] == 1
    assert len([path for path in media.rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize(
    "scenario",
    ["file_expired_then_renewed", "file_503*3", "file_cut*2", "file_reset*2", "file_chunked"],
)
def test_a_file_that_comes_late_is_kept(kit: Seedance, scenario: str) -> None:
    kit.next_video(scenario)
    start()
    kit.run_until_done()
    assert the_video().file
    assert canvas.names() == ["publish"]


@pytest.mark.parametrize("scenario", ["file_expired", "file_html", "file_xml", "file_not_mp4"])
def test_a_file_that_cannot_be_had_fails_the_store_and_not_the_video(
    kit: Seedance, scenario: str, media: Path
) -> None:
    kit.next_video(scenario)
    start()
    kit.run_until_done()
    assert the_video().status == "completed"
    assert the_video().store_error
    assert not the_video().file
    assert canvas.names() == ["refund"]
    error = canvas.ran[0][1]
    assert isinstance(error, StoreFailed)
    assert not isinstance(error, VideoEnded)
    assert (error.status, error.video_pk) == ("completed", str(the_video().pk))
    assert "signature" not in str(error.args)
    assert kit.signals("video_store_failed") == ["video_store_failed"]
    assert kit.signals("video_stored") == []
    assert [path for path in media.rglob("*") if path.is_file()] == []


def test_a_file_that_is_not_kept_is_an_expected_end_of_its_task(
    kit: Seedance, caplog: pytest.LogCaptureFixture
) -> None:
    kit.next_video("file_html")
    start()
    kit.run_until_done()
    assert store_video.throws == (CanvasStopped,)
    told = [r for r in caplog.records if r.name == "celery.app.trace" and r.levelname == "ERROR"]
    assert told == []
    [kept] = [row for row in KeptTask.objects.all() if row.error]
    assert kept.error[0] == "StoreFailed"
    again = results.error_from_json(kept.error)
    assert (type(again), again.args) == (StoreFailed, canvas.ran[0][1].args)


def test_a_storage_that_is_away_is_tried_again(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = FileSystemStorage.get_available_name
    calls = []

    def away(*args: object, **kwargs: object) -> str:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("the disk is full")
        return works(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(FileSystemStorage, "get_available_name", away)
    start()
    kit.run_until_done()
    assert the_video().file
    assert canvas.names() == ["publish"]


def test_video_store_keeps_a_file_later(kit: Seedance) -> None:
    video = generate_video("A kite")
    kit.run_until_done()
    assert not video.current().file
    video.store()
    kit.run_until_done()
    assert video.current().file


def test_after_an_outage_the_file_whose_link_dies_first_is_sent_for_first(kit: Seedance) -> None:
    now = int(kit.clock.unix())
    for number, left in enumerate((7200, 600, 3600)):
        video = Video.objects.create(
            api_id=f"task_{number}",
            status="completed",
            finished_at=kit.clock.time,
            announced_at=kit.clock.time,
            video_url=f"https://files.example/a.mp4?Expires={now + left}",
        )
        video.keep(sending.STORE, {"video_pk": str(video.pk)}, f"store-{number}")
    kit.broker.fetch()
    kit.broker.messages.clear()
    kit.clock.advance(300)
    sweep()
    assert [message.celery_id for message in kit.broker.fetch()] == [
        "store-1",
        "store-2",
        "store-0",
    ]


def test_a_new_link_is_not_asked_for_while_the_key_is_held_back(kit: Seedance) -> None:
    kit.next_video("file_expired")
    video = generate_video("A kite")
    kit.run_until_done()
    asked = kit.simulator.counts["retrieve"]
    later = kit.clock.time + timedelta(seconds=100)
    AccountState.objects.create(name="default", strikes=1, hold_until=later)
    video.store()
    kit.advance(95)
    assert kit.simulator.counts["retrieve"] == asked
    kit.advance(60)
    assert kit.simulator.counts["retrieve"] == asked + 1


def test_a_file_that_a_link_waits_for_is_told_as_being_kept_and_kept_by_one_task(
    kit: Seedance,
) -> None:
    video = generate_video("A kite", store=True, link=publish.s())
    seen: list[str | None] = []

    def look(sender: Any, video: Video, **kwargs: Any) -> None:
        seen.append(shown(video.current())["stored"])

    video_completed.connect(look)
    kit.run_until_done()
    assert seen == ["storing"]
    assert shown(video.current())["stored"] == "stored"
    own = KeptTask.objects.get(celery_id__startswith="seedance-store")
    assert (own.claim_token, own.sends) == (1, 0), "it ran"
    assert own.finished_at
    assert kit.simulator.counts["file"] == 1
    assert canvas.names() == ["publish"]


def test_a_file_is_kept_although_the_step_before_store_video_fails(
    kit: Seedance, settings: Any
) -> None:
    settings.SEEDANCE = {**settings.SEEDANCE, "AUTO_STORE": True}
    steps = (create_video.s("A kite"), poll_video.s(), broken.s(), store_video.s())
    chain(*steps).apply_async()
    kit.run_until_done()
    assert the_video().file
    assert kit.simulator.counts["file"] == 1


@pytest.mark.parametrize("scenario", ["normal", "file_html"])
def test_a_file_that_a_canvas_stores_is_fetched_once_with_auto_store(
    kit: Seedance, settings: Any, scenario: str
) -> None:
    settings.SEEDANCE = {**settings.SEEDANCE, "AUTO_STORE": True}
    kit.next_video(scenario)
    start()
    kit.run_until_done()
    kit.advance(3600)
    assert (kit.simulator.counts["file"] == 1) is (scenario == "normal")
    assert kit.simulator.counts["file"] <= 10, "one task after the other, not both at once"
    assert canvas.names() == ["publish" if scenario == "normal" else "refund"]


def test_a_file_that_is_wanted_while_the_api_says_completed_is_kept(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Seedance() as kit:
        api_id = kit.buy()
        kit.clock.advance(600)
        answer = Simulator.__call__

        def want_it_meanwhile(simulator: Simulator, *request: Any) -> Any:
            Video.objects.update(store_wanted=True)
            return answer(simulator, *request)

        monkeypatch.setattr(Simulator, "__call__", want_it_meanwhile)
        video = track_video(api_id)
        kit.run_until_done()
        assert video.current().polls == 1
        assert video.current().file


def test_a_file_that_is_wanted_as_its_video_completes_is_kept(kit: Seedance) -> None:
    video = track_video(kit.buy())
    with transaction.atomic():
        track_video(str(video), store=True)
        # Another process, for which nothing of this is committed yet.
        Video.objects.update(status="completed", finished_at=kit.clock.time)
    assert KeptTask.objects.filter(task=sending.STORE, video=video).count() == 1


def test_a_file_is_kept_although_nobody_waits_for_it_any_more(kit: Seedance) -> None:
    video = generate_video("A kite", store=True, link=publish.s())
    kit.advance(5)
    assert video.current().stop_waiting() == 1
    kit.run_until_done()
    assert video.current().file
    assert canvas.names() == []


def test_a_file_that_is_being_kept_is_kept_although_nobody_waits_any_more(kit: Seedance) -> None:
    kit.next_video("file_503*3")
    video = generate_video("A kite", store=True)
    while not video.current().is_finished:
        kit.advance(5)
    assert video.stop_waiting() == 0
    kit.run_until_done()
    assert video.current().file


def fill(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # Once the file is there.
    monkeypatch.setattr(os, "fsync", refuse)


def test_a_storage_that_stays_full_is_tried_ever_more_rarely(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(monkeypatch)
    video = generate_video("A kite", store=True)
    while not video.current().is_finished:
        kit.advance(1)
    kit.advance(3600)
    assert 6 <= kit.simulator.counts["file"] <= 16
    before = kit.simulator.counts["file"]
    kit.advance(3600)
    assert 6 <= kit.simulator.counts["file"] - before <= 9
    monkeypatch.undo()
    kit.run_until_done()
    assert video.current().file


def test_a_storage_that_fails_says_why_once(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(monkeypatch)
    video = generate_video("A kite", store=True)
    kit.advance(1800)
    told = "not stored yet: OSError: [Errno 28] No space left on device"
    assert [event for _, event in video.current().history].count(told) == 1
    warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [told in message for message in warned] == [True]
    assert video.current().store_error == ""


def test_an_upload_to_that_raises_says_why(kit: Seedance, settings: Any) -> None:
    def film(video: Video) -> str:
        return str(video.metadata["film"])

    settings.SEEDANCE = {**settings.SEEDANCE, "UPLOAD_TO": film}
    video = generate_video("A kite", store=True, metadata={})
    kit.advance(1800)
    assert "not stored yet: KeyError: 'film'" in [e for _, e in video.current().history]
    kit.clock.advance(86400)
    kit.run_until_done()
    assert video.current().store_error == "KeyError: 'film'"
    assert kit.signals("video_store_failed") == ["video_store_failed"]


@pytest.fixture
def kit_on_each(database: Database) -> Iterator[Seedance]:
    with Seedance() as seedance:
        yield seedance


def test_a_process_that_lost_its_lease_leaves_the_one_of_another(
    kit_on_each: Seedance, settings: Any
) -> None:
    anothers = kit_on_each.clock.time + timedelta(hours=2)

    def lose_it(video: Video) -> str:
        Video.objects.update(store_lease_until=anothers)
        return ""

    settings.SEEDANCE = {**settings.SEEDANCE, "UPLOAD_TO": lose_it}
    video = generate_video("A kite", store=True)
    kit_on_each.run_until_done()
    assert video.current().file
    assert video.current().store_lease_until == anothers


def test_a_process_that_lost_its_lease_says_of_no_file_that_it_cannot_be_kept(
    kit_on_each: Seedance, settings: Any
) -> None:
    tries: list[int] = []

    def lose_it(video: Video) -> str:
        tries.append(1)
        if len(tries) > 1:
            return ""
        Video.objects.update(store_lease_until=kit_on_each.clock.time + timedelta(seconds=30))
        raise SuspiciousFileOperation("outside of the storage")

    settings.SEEDANCE = {**settings.SEEDANCE, "UPLOAD_TO": lose_it}
    video = generate_video("A kite", store=True)
    kit_on_each.run_until_done()
    assert video.current().file
    assert kit_on_each.signals("video_store_failed") == []


def test_a_lease_is_given_back(kit_on_each: Seedance) -> None:
    video = generate_video("A kite", store=True)
    kit_on_each.run_until_done()
    assert video.current().file
    assert video.current().store_lease_until is None
