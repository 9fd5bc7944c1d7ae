"""What the rate limit benchmark's processes do: a task that retries by hand, and starting it."""

from __future__ import annotations

import random
from typing import Any

import requests
from celery import shared_task
from django.conf import settings

FIRST, LONGEST = 10.0, 60.0
"""Seconds of the first and of the longest backoff: as this package's."""


@shared_task(bind=True, max_retries=None, ignore_result=True, name="benchmarks.follow")
def follow(self: Any, api_id: str, refusals: int = 0) -> None:
    """Poll a video until it has ended, with a backoff of its own after a 429."""
    options = settings.SEEDANCE
    reply = requests.get(
        f"{options['BASE_URL']}/v1/videos/{api_id}",
        headers={"Authorization": f"Bearer {options['API_KEY']}"},
        timeout=30,
    )
    if reply.status_code == 429:
        wait = min(FIRST * 2**refusals, LONGEST) * (1 - random.random() / 4)
        raise self.retry(args=(api_id, refusals + 1), countdown=wait)
    reply.raise_for_status()
    if reply.json()["status"] in ("queued", "in_progress"):
        raise self.retry(args=(api_id, 0), countdown=random.uniform(10, 20))


def buy(count: int) -> list[str]:
    """Buy videos without the package; return their ids."""
    from seedance_celery.client import Client

    options = settings.SEEDANCE
    with Client(options["API_KEY"], options["BASE_URL"]) as client:
        return [client.create("A kite").id for _ in range(count)]


def follow_by_hand(api_ids: list[str]) -> None:
    """Send the task for each video."""
    for api_id in api_ids:
        follow.delay(api_id)


def follow_with_the_package(api_ids: list[str]) -> None:
    """Track each video."""
    from seedance_celery.shortcuts import track_video

    for api_id in api_ids:
        track_video(api_id)
