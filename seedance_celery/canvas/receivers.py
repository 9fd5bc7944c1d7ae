"""What Celery tells of kept tasks. Signals, not hooks: a project's annotations replace hooks."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from celery.exceptions import Ignore
from celery.signals import (
    before_task_publish,
    task_failure,
    task_postrun,
    task_revoked,
    task_success,
)
from django.db import Error, connections, transaction
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import receiver

from .. import sending
from ..db import clock
from ..models import KeptTask, Video, image_copies, used_key
from . import keeping

__all__: list[str] = []

logger = logging.getLogger(__name__)

KEPT = frozenset({sending.CREATE, sending.POLL, sending.STORE})


@before_task_publish.connect(dispatch_uid="seedance_celery.publish", weak=False)
def on_publish(sender: Any = None, headers: Any = None, **kwargs: Any) -> None:
    """Show no argument of our tasks in events, logs and results, sent by name as well."""
    if headers and str(sender).startswith(sending.PREFIX):
        headers.update(argsrepr="()", kwargsrepr="{}")


@task_success.connect(dispatch_uid="seedance_celery.success", weak=False)
def on_success(sender: Any = None, **kwargs: Any) -> None:
    """Finish a kept task: its canvas has gone on and its result is stored."""
    if sender is None or sender.name not in KEPT:
        return
    kept = keeping.concluded(sender.request, sender.request.id)
    if kept is None:
        return
    try:
        KeptTask.objects.primary().filter(pk=kept.pk).finish()
    except Error as error:
        logger.info("%s is finished later (%s)", kept, type(error).__name__)


@task_failure.connect(dispatch_uid="seedance_celery.failure", weak=False)
def on_failure(sender: Any = None, task_id: str = "", **kwargs: Any) -> None:
    """Send a kept task's errbacks and finish it, where it failed because its video did.

    A time limit and a lost process come here as well, in the worker's main process: they end
    nothing, and the sweep sends the task again.
    """
    if sender is None or sender.name not in KEPT:
        return
    kept = keeping.concluded(sender.request, task_id)
    if kept is None:
        return
    keeping.rest(sender.request)
    try:
        # The errbacks that Celery calls have run: a blip must not let them run again.
        keeping.record(kept, raised_at=clock.now())
        keeping.publish_errbacks(sender, kept)
    except Ignore:
        return  # the broker is away, or another process has the task
    except Error as error:
        logger.info("%s is finished later (%s)", kept, type(error).__name__)


@task_postrun.connect(dispatch_uid="seedance_celery.postrun", weak=False)
def on_postrun(sender: Any = None, **kwargs: Any) -> None:
    """Let go of a task of which nobody heard how it failed: its result could not be stored."""
    if sender is not None and sender.name in KEPT:
        keeping.rest(sender.request)


@task_revoked.connect(dispatch_uid="seedance_celery.revoked", weak=False)
def on_revoked(
    sender: Any = None, request: Any = None, expired: bool = False, **kwargs: Any
) -> None:
    """Drop the kept tasks whose Celery id someone revoked: they are not sent again.

    A message that has expired is no such wish: it is a late copy of one that was kept before. The
    worker would drop every later copy with it.
    """
    if sender is None or sender.name not in KEPT or request is None:
        return
    try:
        kept = KeptTask.objects.primary().filter(celery_id=request.id)
        if not expired:
            kept.finish()
        elif kept.unfinished().exists():
            _forget_revoked(request.id)
    except Error as error:
        logger.info("%s is dropped later (%s)", request.id, type(error).__name__)
    finally:
        # In the worker's main process, whose children must not inherit a connection. One that is
        # in a transaction is a test's.
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                connection.close()


def _forget_revoked(celery_id: str) -> None:
    from celery.worker import state  # a worker has it; a web process does not need it

    state.revoked.discard(celery_id)


@receiver(pre_delete, sender=Video, dispatch_uid="seedance_celery.pre_delete")
def on_delete(sender: Any, instance: Video, using: str, **kwargs: Any) -> None:
    """Refuse to delete a video that is being bought or rendered: it is paid for."""
    # The object may be older than the row, which was bought or resumed since.
    needed = ("finished_at", "images", "account", "idempotency_key", "api_id")
    row = Video.objects.primary().only(*needed).filter(pk=instance.pk).first()
    if row is None:
        return
    if not row.is_finished:
        raise Video.unfinished_error(instance)
    used_key.note(row, using)
    if row.images:
        # Of a create that was given up, and could have been bought again with them.
        transaction.on_commit(partial(image_copies.remove, row.images), using=row.db)


@receiver(post_delete, sender=Video, dispatch_uid="seedance_celery.post_delete")
def on_deleted(sender: Any, using: str, **kwargs: Any) -> None:
    """Remember the idempotency keys of the videos that are deleted."""
    used_key.remember_noted(using)
