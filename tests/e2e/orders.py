"""What the site's web process does in the end-to-end tests."""

from __future__ import annotations

from typing import Any

from celery import chain, chord, group
from django.db import transaction

from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video, track_video, wait_for_video
from seedance_celery.tasks import create_video, poll_video, store_video
from tests.project.tasks import errback, gather, keep, my_create, old_errback, refund


def ours(prompt: str, tag: str) -> str:
    poll = poll_video.s().on_error(errback.s(tag=tag)).on_error(refund.si(tag=tag))
    canvas = chain(create_video.s(prompt, seconds=5), poll, keep.s(tag=tag))
    return str(canvas.apply_async().id)


def theirs(prompt: str, reply: str, tag: str) -> str:
    canvas = chain(my_create.s(prompt, reply), poll_video.s(), keep.s(tag=tag))
    return str(canvas.apply_async().id)


def stored(prompt: str, tag: str) -> str:
    canvas = chain(create_video.s(prompt), poll_video.s(), store_video.s(), keep.s(tag=tag))
    return str(canvas.apply_async().id)


def nested(prompt: str, tag: str) -> str:
    tail = group(keep.s(tag=f"{tag}-a"), keep.s(tag=f"{tag}-b"))
    return str(chain(create_video.s(prompt), poll_video.s(), keep.s(tag=tag), tail)().id)


def together(prompts: list[str], tag: str) -> str:
    header = [chain(create_video.s(prompt), poll_video.s()) for prompt in prompts]
    return str(chord(header, gather.s(tag=tag)).apply_async().id)


def many_on_one(prompt: str, count: int, tag: str) -> str:
    api_id = create_video(prompt)["id"]
    for _ in range(count):
        chain(poll_video.s(api_id), keep.s(tag=tag)).apply_async()
    return str(api_id)


def row(prompt: str, tag: str) -> str:
    with transaction.atomic():
        video = generate_video(
            prompt,
            link=keep.s(tag=tag),
            link_error=[errback.s(tag=tag), old_errback.s(tag=tag)],
        )
    return str(video.pk)


def tracked(api_id: str, tag: str) -> str:
    return str(track_video(api_id, link=keep.s(tag=tag)).pk)


def waited(pk: str, timeout: float) -> str:
    import uuid

    return str(wait_for_video(uuid.UUID(pk), timeout).status)


def unfinished() -> dict[str, Any]:
    return {
        "videos": Video.objects.filter(overdue_at__isnull=False).count(),
        "tasks": KeptTask.objects.filter(finished_at__isnull=True).count(),
    }


def unrelated(tag: str) -> str:
    return str(keep.delay(tag=tag).id)
