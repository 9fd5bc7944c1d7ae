"""What the site's web process does while everything it leaves behind is kept."""

from __future__ import annotations

import io
import uuid
from typing import Any

from celery import chain, current_app
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import override_settings
from django.urls import reverse

from seedance_celery.models import AccountState, KeptTask, Video
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.tasks import create_video, poll_video, store_video
from tests.privacy.tasks import publish
from tests.project.tasks import errback, old_errback

MODELS = ("video", "accountstate")


def order(prompt: str, scenarios: list[str]) -> None:
    """Order a video for each scenario, by a chain and as a row with an image."""
    for number, scenario in enumerate(scenarios):
        text = f"{prompt} {number} [{scenario}]"
        errbacks = [errback.s(tag="chain"), old_errback.s(tag="chain")]
        create, poll = create_video.s(text), poll_video.s()
        for step in (create, poll):
            for one in errbacks:
                step = step.on_error(one)
        chain(create, poll, store_video.s(), publish.s(tag="chain")).apply_async()
        image = io.BytesIO(b"\xff\xd8\xff" + text.encode())
        generate_video(
            text,
            images=[image],
            metadata={"order": number},
            link=publish.s(tag="row"),
            link_error=errbacks,
        )


def by_name(prompt: str) -> None:
    """Send a create as a project without our code would: by the task's name."""
    current_app.send_task("seedance_celery.tasks.create_video", (prompt,), {"seconds": 5})


def refused(prompt: str) -> list[str]:
    """Ask for what is refused here; return what the exceptions say."""
    told = []
    calls: list[Any] = [
        lambda: generate_video(prompt, seconds=99),
        lambda: generate_video(prompt, size=prompt[:20]),
        lambda: create_video(prompt + "\0"),
        lambda: create_video(prompt, account="nowhere"),
        lambda: create_video(f"{prompt} [create_400]"),
        lambda: track_video(" "),
        lambda: poll_video(uuid.uuid4()),
    ]
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever it is, its text is looked at
            told += [repr(error), str(error), repr(error.args)]
    return told


def act() -> None:
    """Do what a person may do with what waits for one."""
    unknown = list(Video.objects.filter(status="create_unknown"))
    for video, name in zip(unknown, ("give_up", "buy_again", "stop_waiting"), strict=False):
        getattr(video, name)()
    for video in Video.objects.all()[:3]:
        video.refresh()


def busy() -> int:
    """Return how many videos have something left to do."""
    waits = Video.objects.filter(finished_at=None).exclude(status="create_unknown").count()
    return waits + KeptTask.objects.filter(finished_at=None, due_at__isnull=False).count()


def secrets() -> list[str]:
    """Return the signatures of the videos' URLs."""
    urls = Video.objects.exclude(video_url="").values_list("video_url", flat=True)
    return [part for url in urls for part in url.partition("?")[2].split("&") if len(part) > 20]


def results() -> list[str]:
    """Return the rows that keep Celery's results, as text."""
    from django_celery_results.models import TaskResult

    return [repr(row) for row in TaskResult.objects.values_list()]


def rows() -> dict[str, list[Any]]:
    """Return the columns of the rows but those that are there to hold a prompt or a URL."""
    videos = [
        {k: v for k, v in row.items() if k not in ("prompt", "video_url", "raw")}
        for row in Video.objects.values()
    ]
    found: dict[str, list[Any]] = {"video": videos, "account": list(AccountState.objects.values())}
    found["kept"] = list(KeptTask.objects.values())
    return found


def pages() -> dict[str, str]:
    """Return the admin's pages, by their address."""
    User.objects.filter(username="boss").delete()
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    paths = [reverse("admin:index")]
    for model in MODELS:
        paths.append(reverse(f"admin:seedance_celery_{model}_changelist"))
    for video in Video.objects.all():
        paths.append(reverse("admin:seedance_celery_video_change", args=[video.pk]))
        paths.append(reverse("admin:seedance_celery_video_history", args=[video.pk]))
    for state in AccountState.objects.all():
        paths.append(reverse("admin:seedance_celery_accountstate_change", args=[state.pk]))
    with override_settings(ALLOWED_HOSTS=["*"], DEBUG=False):
        return {path: client.get(path).content.decode() for path in paths}
