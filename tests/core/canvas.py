"""Tasks of a project's own, which note that they ran."""

from __future__ import annotations

from typing import Any

from celery import shared_task

ran: list[tuple[str, Any]] = []
"""What ran, in order: the name, and what it was given."""


def names() -> list[str]:
    """Return the names of what ran, in order."""
    return [name for name, _ in ran]


@shared_task
def publish(value: Any, *details: Any) -> Any:
    ran.append(("publish", value))
    return value


@shared_task
def broken(value: Any) -> None:
    raise ValueError("a bug in the project")


@shared_task
def narrow(value: Any, order: int) -> None:
    ran.append(("narrow", order))


@shared_task
def collect(values: Any) -> None:
    ran.append(("collect", values))


@shared_task
def refund(request: Any, exc: Exception, traceback: Any) -> None:
    ran.append(("refund", exc))


@shared_task(bind=True)
def bound_refund(self: Any, request: Any, exc: Exception, traceback: Any) -> None:
    ran.append(("bound_refund", exc))


@shared_task
def old_refund(celery_id: str) -> None:
    ran.append(("old_refund", celery_id))
