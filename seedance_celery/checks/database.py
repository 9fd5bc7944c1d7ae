"""Checks of the database settings that this package depends on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.db import connections, router

from .messages import TAG, error, warning

__all__ = ["check_database"]

WRITE_MODES = ("IMMEDIATE", "EXCLUSIVE")


@checks.register(TAG)
def check_database(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report time zones (E008) and SQLite's locking (W002)."""
    return [*_check_time_zone(), *_check_sqlite()]


def _check_time_zone() -> Iterator[checks.CheckMessage]:
    if not django_settings.USE_TZ:
        message = "USE_TZ is False: times in the rows cannot be compared with the database's clock."
        yield error(8, message, "Write USE_TZ = True.")


def _check_sqlite() -> Iterator[checks.CheckMessage]:
    alias = router.db_for_write(apps.get_model("seedance_celery", "Video"))
    # The wrapper's settings: reading them opens no connection.
    connection: Any = connections[alias]
    if connection.vendor != "sqlite" or connection.is_in_memory_db():
        return
    mode = connection.settings_dict["OPTIONS"].get("transaction_mode") or "DEFERRED"
    if str(mode).upper() not in WRITE_MODES:
        message = (
            f"SQLite ({alias!r}) begins transactions as {mode}: with a worker beside the web "
            "process, writes fail at once with 'database is locked'."
        )
        hint = (
            f"Write DATABASES[{alias!r}]['OPTIONS'] = {{'transaction_mode': 'IMMEDIATE', "
            "'timeout': 20}. In production use PostgreSQL, MySQL or MariaDB."
        )
        yield warning(2, message, hint)
