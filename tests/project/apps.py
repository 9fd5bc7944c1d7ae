"""The tests' own app."""

from __future__ import annotations

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Connects the receivers, as a user's app does."""

    name = "tests.project"
    label = "project"

    def ready(self) -> None:
        from . import receivers

        receivers.connect()
