"""The Django app, which connects the system checks, Celery's signals and the worker's timer."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["SeedanceConfig"]


class SeedanceConfig(AppConfig):
    """`INSTALLED_APPS = [..., "seedance_celery"]` is all that a project adds."""

    name = "seedance_celery"
    label = "seedance_celery"
    verbose_name = _("Seedance videos")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the tasks in every process, so that web processes can send them."""
        from . import checks, tasks, worker  # noqa: F401
        from .canvas import receivers  # noqa: F401

        worker.quiet_celery()
