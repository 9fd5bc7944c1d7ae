"""The Celery app, and what tests want to know of it."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import after_task_publish, before_task_publish, task_prerun, worker_ready

from . import traps
from .recorder import record

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")
app = Celery("tests")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def on_ready(sender: Any, **kwargs: Any) -> None:
    record("ready", sender.hostname)


@before_task_publish.connect
def on_publish(sender: Any, **kwargs: Any) -> None:
    traps.spring(f"publish.before.{sender}")


@after_task_publish.connect
def on_published(sender: Any, **kwargs: Any) -> None:
    traps.spring(f"publish.after.{sender}")


@task_prerun.connect
def on_start(sender: Any, **kwargs: Any) -> None:
    traps.spring(f"task.{sender.name}")
