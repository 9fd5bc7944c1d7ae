"""Tasks as users write them, which note what they were given."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.exceptions import Reject
from django.db import transaction

ran: list[tuple[str, Any]] = []


def names() -> list[str]:
    return [name for name, _ in ran]


@shared_task
def note(value: Any = None, *, tag: str = "note") -> Any:
    ran.append((tag, value))
    return value


@shared_task(bind=True, max_retries=5)
def patient(self: Any, value: Any) -> Any:
    """Asks for itself three times, half an hour apart."""
    ran.append(("patient", self.request.retries))
    if self.request.retries < 3:
        raise self.retry(countdown=1800)
    return value


@shared_task(autoretry_for=(ConnectionError,), retry_backoff=True, retry_jitter=True, max_retries=4)
def shaky(value: Any) -> Any:
    """Fails twice before it works."""
    ran.append(("shaky", value))
    if names().count("shaky") < 3:
        raise ConnectionError
    return value


@shared_task(bind=True, acks_late=True)
def picky(self: Any) -> None:
    """Gives its message back once."""
    ran.append(("picky", self.request.delivery_info["redelivered"]))
    if names().count("picky") == 1:
        raise Reject("not now", requeue=True)


@shared_task
def careful() -> None:
    """Sends on commit, as a view does."""
    with transaction.atomic():
        transaction.on_commit(lambda: note.delay(tag="committed") and None)


@shared_task
def wrong() -> None:
    raise LookupError("no such film")


@shared_task
def again() -> None:
    """Sends itself for ever."""
    again.delay()


@shared_task
def cleanup(request: Any, exc: Exception, traceback: Any) -> None:
    ran.append(("cleanup", type(exc).__name__))


@shared_task(rate_limit="1/h")
def elsewhere(value: Any) -> Any:
    ran.append(("elsewhere", value))
    return value
