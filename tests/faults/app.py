"""An app of the test project: points after the statements that decide something."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

from tests.project import traps

POINTS = {
    "sql.ended": ("announce_tries", "history"),
    "sql.announced": ('SET "announced_at"',),
    "sql.published": ("published_at",),
    "sql.decided": ('"error"',),
    "sql.raised": ("raised_at",),
}
"""Springs once a statement that sets these columns is committed.

Ended: the terminal status, before anybody is told. Announced: before what waits is sent.
Published: before the kept task is finished. Decided: before errbacks. Raised: after those that
run in the worker.
"""


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
    if sql.startswith("UPDATE") and not context["connection"].in_atomic_block:
        changes = sql.partition(" WHERE ")[0]
        for point, columns in POINTS.items():
            if all(column in changes for column in columns):
                traps.spring(point)
    return result
