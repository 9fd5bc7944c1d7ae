"""An app of the soak's processes, which records continuations."""

from __future__ import annotations

from typing import Any

from celery.signals import after_task_publish
from django.apps import AppConfig

from tests.project.recorder import record

KEEP = "tests.keep"
"""The task that goes on with a video."""


class SoakConfig(AppConfig):
    """Records each continuation when the broker has it: from then on it is the broker's to keep."""

    name = "benchmarks"
    label = "soak"

    def ready(self) -> None:
        after_task_publish.connect(_published, weak=False, dispatch_uid="soak")


def _published(sender: Any, body: Any, **kwargs: Any) -> None:
    if sender == KEEP:
        record("published", KEEP, tag=body[1].get("tag", ""))
