"""What the sites of the money tests' processes are asked to do."""

from __future__ import annotations

import uuid
from typing import Any

from seedance_celery.conf import get_settings
from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.tasks import create_video
from tests.project.tasks import keep


def tasks(prompts: list[str]) -> None:
    """Send `create_video` for each prompt, and deliver each message twice."""
    for prompt in prompts:
        options = {"task_id": str(uuid.uuid4()), "link": keep.s(tag=prompt)}
        for _ in range(2):
            create_video.apply_async((prompt,), {"account": account_of(prompt)}, **options)


def rows(prompts: list[str]) -> None:
    """Ask for a row of each prompt, under the prompt as its key."""
    for prompt in prompts:
        own = {"account": account_of(prompt), "idempotency_key": prompt}
        generate_video(prompt, **own, link=keep.s(tag=prompt))


def account_of(prompt: str) -> str | None:
    """Return the account that a prompt has to itself, if the settings have one."""
    return prompt if prompt in get_settings().accounts else None


def seen() -> list[dict[str, Any]]:
    """Return what a person can see of each row."""
    return list(Video.objects.values("pk", "prompt", "status", "api_id", "reason"))


def published() -> list[str]:
    """Return the prompts of rows whose next task has been handed to the broker."""
    kept = KeptTask.objects.filter(published_at__isnull=False)
    return sorted(kept.values_list("video__prompt", flat=True))


def left() -> list[str]:
    """Return the prompts of rows on which something is still to be done."""
    due = KeptTask.objects.filter(finished_at=None, due_at__isnull=False).values("video")
    open_ = Video.objects.exclude(status__in=("completed", "create_unknown", "rejected"))
    busy = open_ | Video.objects.filter(pk__in=due) | Video.objects.filter(announced_at=None)
    return sorted(set(busy.values_list("prompt", flat=True)))
