"""A result backend per site."""

from __future__ import annotations

import atexit
import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import names
from .brokers import forget_keys
from .services import REDIS

KINDS = ("redis", "sqlite", "django-db", "none")


@dataclasses.dataclass
class Results:
    """A result backend's URL (None: there is none) and its Celery settings."""

    kind: str
    url: str | None
    celery: dict[str, Any] = dataclasses.field(default_factory=dict)
    close: Callable[[], None] = lambda: None


def create(kind: str, folder: Path) -> Results:
    """Make a result backend of a kind; skip the test where its server is absent."""
    if kind == "redis":
        return _redis()
    urls = {"sqlite": f"db+sqlite:///{folder / 'results.sqlite3'}", "django-db": "django-db"}
    return Results(kind, urls.get(kind))


def _redis() -> Results:
    REDIS.require()
    prefix = f"{names.unique()}:"
    close = partial(forget_keys, prefix)
    atexit.register(close)
    celery = {"result_backend_transport_options": {"global_keyprefix": prefix}}
    return Results("redis", REDIS.url, celery, close)
