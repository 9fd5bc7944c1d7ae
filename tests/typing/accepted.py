"""Typical uses, which type checkers accept."""

from __future__ import annotations

import uuid
from typing import Any

from celery import chain, chord, group
from django.dispatch import receiver

from seedance_celery.client import Client
from seedance_celery.exceptions import (
    CanvasStopped,
    OutcomeUnknown,
    SeedanceError,
    StoreFailed,
    VideoEnded,
)
from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video, track_video, wait_for_video
from seedance_celery.signals import video_completed
from seedance_celery.task_types import CreateOptions, CreateReply, PollResult, StoreResult, VideoRef
from seedance_celery.tasks import create_video, poll_video, store_video
from seedance_celery.testing import Seedance, SeedanceTestMixin


def canvases(order: int, publish: Any) -> None:
    chain(create_video.s("A kite", seconds=5), poll_video.s(), publish.s()).apply_async()
    chain(create_video.s("A kite", images=["a.png"]), poll_video.s(timeout=60), store_video.s())()
    chord([poll_video.s("task_1", propagate=False), poll_video.si("task_2")], publish.s())()
    group(poll_video.s("task_1"), poll_video.s({"id": "task_2"}).on_error(publish.si(order)))()
    create_video.s(metadata={"order": order}).set(countdown=5)


def sent(order: int) -> str:
    create_video.delay("A kite", seconds=5, idempotency_key=str(order))
    create_video.delay_on_commit("A kite", account="eu")
    options: CreateOptions = {"seconds": 5, "size": "16:9"}
    create_video.delay("A kite", **options)
    poll_video.delay(uuid.uuid4(), account="eu", timeout=3.5)
    poll_video.apply_async(("task_1",), {"timeout": 60}, countdown=10, queue="videos")
    poll_video.apply_async(kwargs={"video": "task_1", "propagate": False})
    create_video.apply_async(kwargs={"prompt": "A kite", "seconds": 5}, expires=60)
    store_video.apply_async(("task_1",), link_error=poll_video.si("task_1"))
    task: str = poll_video.name
    return task


def results() -> tuple[str, int | None, int, str]:
    reply: CreateReply = create_video("A kite")
    polled: PollResult = poll_video(reply)
    stored: StoreResult = store_video(polled)
    waited: PollResult = poll_video.delay(reply["id"]).get(timeout=5)
    url: str = waited["video_url"]
    return url, polled["created_at"], stored["file_size"], reply["video_pk"]


def rows(publish: Any, ref: VideoRef) -> Video:
    video = generate_video("A kite", seconds=5, link=publish.s(), store=True, timeout=60)
    video = track_video("task_1", link_error=[publish.s()])
    poll_video.delay(ref)
    video.refresh()
    video.resume(timeout=60)
    return wait_for_video(video, timeout=5)


@receiver(video_completed)
def on_completed(sender: type[Video], video: Video, **kwargs: Any) -> None:
    status: str = video.status
    print(status, video.video_url)


def errors(video: Video) -> str:
    try:
        poll_video(video.pk)
    except VideoEnded as error:
        return f"{error.api_id} {error.status} {error.reason} {error.video_pk}"
    except StoreFailed as error:
        stopped: CanvasStopped = error
        return stopped.reason
    except SeedanceError:
        return ""
    return ""


def client() -> int | None:
    with Client("sk-key", timeout=(1, 2)) as api:
        try:
            return api.retrieve(api.create("A kite", seconds=5).id).progress
        except OutcomeUnknown as error:
            print(error.cause, error.request_id)
            return error.http_status


def testing(seedance: Seedance) -> list[str]:
    seedance.next_video("failed")
    seedance.run_until_done(within=60)
    seedance.assert_requested(create=1)
    seedance.assert_fired("video_failed", late=False)
    return seedance.signals()


class RenderTests(SeedanceTestMixin):
    seedance_options = {"http": True}

    def test_money(self) -> None:
        self.seedance.assert_charged(0)
