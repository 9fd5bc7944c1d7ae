"""Databases that refuse to change some rows, and rows that no driver can read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from django.db import connection

MARKED = {
    "seedance_celery_video": "model",
    "seedance_celery_kepttask": "celery_id",
    "seedance_celery_poller": "account",
    "seedance_celery_accountstate": "name",
}
"""For each table the column by which its poisoned rows are told from the others."""


@contextmanager
def by_trigger() -> Iterator[None]:
    """Let a trigger refuse each change, and the removal, of a row whose mark begins with `bad`."""
    made = {"sqlite": _on_sqlite, "postgresql": _on_postgres, "mysql": _on_mariadb}
    undo = made[connection.vendor]()
    try:
        yield
    finally:
        _run(undo)


@contextmanager
def by_check() -> Iterator[None]:
    """Let a CHECK refuse each change of such a row, which is older than the CHECK."""
    added = " NOT VALID" if connection.vendor == "postgresql" else ""
    if connection.vendor == "mysql":
        _run(["SET check_constraint_checks = 0"])
    _run(
        f"ALTER TABLE {table} ADD CONSTRAINT bad_{table} CHECK ({column} NOT LIKE 'bad%%'){added}"
        for table, column in MARKED.items()
    )
    if connection.vendor == "mysql":
        _run(["SET check_constraint_checks = 1"])
    try:
        yield
    finally:
        _run(f"ALTER TABLE {table} DROP CONSTRAINT bad_{table}" for table in MARKED)


KINDS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "trigger": by_trigger,
    "check": by_check,
}


def _run(statements: Iterator[str] | list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.replace("%%", "%"), None)


def _on_sqlite() -> list[str]:
    for verb in ("UPDATE", "DELETE"):
        _run(
            f"CREATE TRIGGER bad_{verb}_{table} BEFORE {verb} ON {table} "
            f"WHEN OLD.{column} LIKE 'bad%%' BEGIN SELECT RAISE(ABORT, 'refused'); END"
            for table, column in MARKED.items()
        )
    return [f"DROP TRIGGER bad_{verb}_{table}" for verb in ("UPDATE", "DELETE") for table in MARKED]


def _on_postgres() -> list[str]:
    body = "$$ BEGIN RAISE EXCEPTION 'refused'; END $$"
    _run([f"CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS {body}"])
    _run(
        f"CREATE TRIGGER bad BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW "
        f"WHEN (OLD.{column} LIKE 'bad%%') EXECUTE FUNCTION bad()"
        for table, column in MARKED.items()
    )
    return [*(f"DROP TRIGGER bad ON {table}" for table in MARKED), "DROP FUNCTION bad"]


def _on_mariadb() -> list[str]:
    for verb in ("UPDATE", "DELETE"):
        _run(
            f"CREATE TRIGGER bad_{verb}_{table} BEFORE {verb} ON {table} FOR EACH ROW "
            f"IF OLD.{column} LIKE 'bad%%' THEN SIGNAL SQLSTATE '45000' "
            "SET MESSAGE_TEXT = 'refused'; END IF"
            for table, column in MARKED.items()
        )
    return [f"DROP TRIGGER bad_{verb}_{table}" for verb in ("UPDATE", "DELETE") for table in MARKED]
