"""What a project would write by hand, for comparison. Each follows one video to its end.

They do the least: no row, no deadline, no limit on a reply's size, and any error of the request
ends them. `COUNTDOWN` is the same for all, the package's included.
"""

from __future__ import annotations

import time
from functools import cache

import requests
from celery import Task, shared_task
from django.conf import settings
from openai import OpenAI

API: str = settings.SEEDANCE["BASE_URL"]
KEY: str = settings.SEEDANCE["API_KEY"]
HEADERS = {"Authorization": f"Bearer {KEY}"}
COUNTDOWN: float = settings.SEEDANCE["POLL_COUNTDOWN"][0]

UNFINISHED = ("queued", "in_progress")


@shared_task(bind=True, max_retries=None)
def requests_get(self: Task, video_id: str) -> dict:
    """(a) `requests.get` and `self.retry`."""
    answer = requests.get(f"{API}/v1/videos/{video_id}", headers=HEADERS, timeout=30)
    answer.raise_for_status()
    video = answer.json()
    if video["status"] in UNFINISHED:
        raise self.retry(countdown=COUNTDOWN)
    return video


session = requests.Session()
session.headers.update(HEADERS)


@shared_task(bind=True, max_retries=None)
def module_session(self: Task, video_id: str) -> dict:
    """(b) The same with a session that lives as long as the process."""
    answer = session.get(f"{API}/v1/videos/{video_id}", timeout=30)
    answer.raise_for_status()
    video = answer.json()
    if video["status"] in UNFINISHED:
        raise self.retry(countdown=COUNTDOWN)
    return video


@cache
def openai_client() -> OpenAI:
    return OpenAI(api_key=KEY, base_url=f"{API}/v1", timeout=30)


@shared_task(bind=True, max_retries=None)
def openai_retrieve(self: Task, video_id: str) -> dict:
    """(c) The `openai` package's client, kept by the process."""
    video = openai_client().videos.retrieve(video_id)
    if video.status in UNFINISHED:
        raise self.retry(countdown=COUNTDOWN)
    return video.model_dump()


@shared_task
def blocking_loop(video_id: str) -> dict:
    """(d) A loop that holds its worker's process until the video is done."""
    while True:
        answer = session.get(f"{API}/v1/videos/{video_id}", timeout=30)
        answer.raise_for_status()
        video = answer.json()
        if video["status"] not in UNFINISHED:
            return video
        time.sleep(COUNTDOWN)


# The floor: what Celery takes for a task that only comes again.


@shared_task(bind=True, max_retries=None)
def empty_raising(self: Task, video_id: str) -> None:
    """(e) An empty task that raises `Retry`."""
    raise self.retry(countdown=COUNTDOWN)


@shared_task(bind=True, max_retries=None)
def empty_returning(self: Task, video_id: str) -> None:
    """(e) An empty task that asks for its retry and returns."""
    self.retry(countdown=COUNTDOWN, throw=False)
