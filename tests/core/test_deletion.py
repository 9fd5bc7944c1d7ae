"""A video that is paid for, or waited for, cannot be deleted: not in the admin, not anywhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import models
from django.test import Client
from django.urls import reverse

from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import publish

LISTING = "admin:seedance_celery_video_changelist"
DELETE = "admin:seedance_celery_video_delete"


@pytest.fixture
def admin(transactional_db: None) -> Client:
    """A superuser's browser."""
    user = get_user_model().objects.create_superuser("admin", "admin@example.com", "secret")
    client = Client()
    client.force_login(user)
    return client


def delete(admin: Client, video: Video) -> None:
    admin.post(reverse(DELETE, args=[video.pk]), {"post": "yes"})


def delete_selected(admin: Client, video: Video) -> None:
    form = {"action": "delete_selected", "_selected_action": str(video.pk), "post": "yes"}
    admin.post(reverse(LISTING), form)


def delete_rows(admin: Client, video: Video) -> None:
    with pytest.raises(models.ProtectedError):
        Video.objects.filter(pk=video.pk).delete()


@pytest.mark.parametrize("way", [delete, delete_selected, delete_rows])
def test_a_video_that_renders_stays(kit: Seedance, admin: Client, way: Any) -> None:
    video = generate_video("A kite")
    way(admin, video)
    assert Video.objects.filter(pk=video.pk).exists()
    kit.run_until_done()
    assert video.current().status == "completed"


@pytest.mark.parametrize("way", [delete, delete_selected, delete_rows])
def test_a_video_that_has_ended_stays_while_a_task_waits(
    kit: Seedance, admin: Client, way: Any
) -> None:
    video = generate_video("A kite", link=publish.s())
    kit.run_until_done()
    KeptTask.objects.update(finished_at=None)
    way(admin, video)
    assert Video.objects.filter(pk=video.pk).exists()
    assert KeptTask.objects.filter(video=video).exists()


def test_a_video_that_nobody_waits_for_goes_with_its_tasks(kit: Seedance, admin: Client) -> None:
    video = generate_video("A kite", link=publish.s())
    kit.run_until_done()
    delete(admin, video)
    assert Video.objects.exists(), "a broker may still deliver a copy of the task"
    KeptTask.objects.update(finished_at=kit.clock.time - timedelta(days=8))
    delete(admin, video)
    assert not Video.objects.exists()
    assert not KeptTask.objects.exists()
    assert canvas.names() == ["publish"]
