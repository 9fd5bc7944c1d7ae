"""A receiver for every signal of the package: it records, and springs the test's trap."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

from django.dispatch import Signal

from . import traps
from .recorder import record

FIELDS = ("api_id", "status", "progress", "file")


def connect() -> None:
    """Connect to each signal that `seedance_celery.signals` has."""
    if importlib.util.find_spec("seedance_celery.signals") is None:
        return
    from seedance_celery import signals

    for name, signal in vars(signals).items():
        if isinstance(signal, Signal):
            signal.connect(_receiver(name), weak=False, dispatch_uid=f"tests.{name}")


@cache
def _receiver(name: str) -> Callable[..., None]:
    def receive(sender: Any, **kwargs: Any) -> None:
        video = kwargs.get("video")
        details = {field: str(getattr(video, field, "")) for field in FIELDS} if video else {}
        for key in ("late", "account"):
            if key in kwargs:
                details[key] = kwargs[key]
        record("signal", name, video=str(video.pk) if video else "", **details)
        traps.spring(name)

    return receive
