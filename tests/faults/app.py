"""An app of the test project: a point after the statement that ends a video."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

from tests.project import traps

POINT = "sql.ended"
"""Springs once the terminal status is committed, before anybody is told."""


class FaultsConfig(AppConfig):
    """Watches the statements of this process."""

    name = "tests.faults"
    label = "faults"

    def ready(self) -> None:
        connection_created.connect(_watch, weak=False, dispatch_uid="tests.faults")


def _watch(connection: Any, **kwargs: Any) -> None:
    if _spring not in connection.execute_wrappers:
        connection.execute_wrappers.append(_spring)


def _spring(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    result = execute(sql, params, many, context)
    is_end = sql.startswith("UPDATE") and "announce_tries" in sql and "history" in sql
    if is_end and not context["connection"].in_atomic_block:
        traps.spring(POINT)
    return result
