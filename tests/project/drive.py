"""What a site's web process is asked to do: `site.call(drive.start, …)`.

Arguments and results travel as JSON.
"""

from __future__ import annotations

import os
from typing import Any

from celery import current_app
from django.apps import apps
from django.core.management import call_command


def ping() -> int:
    """Return the process's pid."""
    return os.getpid()


def send(name: str, *args: Any, **options: Any) -> str:
    """Send a task by name; return its Celery id."""
    result = current_app.send_task(name, args=args, **options)
    return str(result.id)


def start(signature: dict[str, Any]) -> str:
    """Send a canvas, given as the dict that a signature is; return its Celery id."""
    return str(current_app.signature(signature).apply_async().id)


def rows(model: str, **filters: Any) -> list[dict[str, Any]]:
    """Return the rows of a model of the package, as dicts."""
    found = apps.get_model("seedance_celery", model)._default_manager.filter(**filters)
    return [
        {f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields} for row in found
    ]


def manage(command: str, *args: str, **options: Any) -> None:
    """Run a management command."""
    call_command(command, *args, **options)
