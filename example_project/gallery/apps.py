"""The app: connects the receivers."""

from __future__ import annotations

from django.apps import AppConfig


class GalleryConfig(AppConfig):
    """`ready()` imports the receivers, so that every process has them."""

    name = "gallery"

    def ready(self) -> None:
        """Connect the receivers."""
        from . import receivers  # noqa: F401
