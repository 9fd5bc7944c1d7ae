"""A task of someone's canvas, kept so that no crash can lose what comes after it."""

from __future__ import annotations

from typing import Any

from django.db import models, router
from django.utils.translation import gettext_lazy as _

from .. import sending
from ..db import clock, locks
from ..db.fields import OpaqueField
from . import walk

__all__ = ["KeptTask", "keep_unfinished", "store_id"]


def store_id(video_pk: Any) -> str:
    """Return the Celery id of the task by which the package itself keeps a video's file."""
    return f"seedance-store-{video_pk}"


def keep_unfinished(collector: Any, field: Any, sub_objs: Any, using: str) -> None:
    """Refuse to delete a video while tasks wait for it; finished ones go with it."""
    waiting = sub_objs.filter(finished_at__isnull=True)
    if waiting.exists():
        message = (
            "Tasks still wait for this video: their chains would never go on. Call "
            "video.stop_waiting() first. A file that is being kept is waited for."
        )
        raise models.ProtectedError(message, set(waiting[:100]))
    models.CASCADE(collector, field, sub_objs, using)


class KeptTaskQuerySet(models.QuerySet["KeptTask"]):
    def primary(self) -> KeptTaskQuerySet:
        """Use the database that is written to."""
        return self.using(router.db_for_write(self.model))

    def unfinished(self) -> KeptTaskQuerySet:
        """Tasks that have not continued their canvas yet."""
        return self.filter(finished_at__isnull=True)

    def storing(self) -> KeptTaskQuerySet:
        """Tasks that keep a file, or whose canvas does so next."""
        named = models.Q(task=sending.STORE) | models.Q(signature__contains=sending.STORE)
        return self.unfinished().filter(named)

    def unclaimed(self) -> KeptTaskQuerySet:
        """Tasks that nobody works on right now."""
        free = models.Q(lease_until__isnull=True) | models.Q(lease_until__lte=clock.now())
        return self.filter(free)

    def make_due(self, after: float) -> list[KeptTask]:
        """Return the tasks to send now; the sweep sends them `after` seconds on otherwise.

        One that somebody has locked, or that the database refuses to change, stays as it is: where
        it was parked, its `due_at` still is null.
        """
        # The update comes first: a task that is parked between the two is taken, or comes later.
        waiting = self.unfinished().exclude(signature="")
        walk.update(waiting, due_at=clock.after(after))
        left = models.Q(due_at__isnull=True) | models.Q(due_at__lte=clock.after(after))
        return list(waiting.unclaimed().filter(left))

    def finish(self) -> int:
        """Mark the tasks as done with: late copies of them end silently."""
        return self.unfinished().update(finished_at=clock.now(), due_at=None, lease_until=None)


class KeptTask(models.Model):
    """One task in a user's canvas that waits for, buys or stores a video.

    While `due_at` is null the task is parked: no message of it exists, and the end of its video
    makes it due.
    """

    key = OpaqueField(_("key"), max_length=255, unique=True)
    """Which use of a task this is (see `uses`); the Celery id, where the package made the task."""
    celery_id = OpaqueField(_("Celery id"), max_length=255)
    """What Celery calls the task. Several uses of a task may have one id."""
    argument = models.CharField(_("argument"), max_length=64, blank=True)
    """A digest of what the task was called with; empty where the package made the task."""
    task = models.CharField(_("task"), max_length=100)
    video = models.ForeignKey(
        "seedance_celery.Video",
        on_delete=keep_unfinished,
        related_name="kept_tasks",
        verbose_name=_("video"),
    )
    signature = models.TextField(_("signature"), blank=True)
    """The task as it was sent, with its canvas, as JSON; empty where it cannot be kept."""
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    timeout_at = models.DateTimeField(_("times out at"), null=True, blank=True)
    """When this task alone stops waiting, where that is sooner than the video's deadline."""
    due_at = models.DateTimeField(_("due at"), null=True, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    claim_token = models.PositiveIntegerField(_("claim token"), default=1)
    """The fence: whoever claims the task moves it on, and acts only while it stays."""
    sends = models.PositiveIntegerField(_("sends"), default=0)
    """How often it was sent again and stayed unheard."""
    published = models.PositiveIntegerField(_("published"), default=0)
    """How many of its continuations are with the broker."""
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    error = models.JSONField(_("error"), null=True, blank=True)
    """What the task raises, once that is decided: the class and its data."""
    raised_at = models.DateTimeField(_("raised at"), null=True, blank=True)
    """When the errbacks that run in the worker have run."""
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    objects = KeptTaskQuerySet.as_manager()

    class Meta:
        verbose_name = _("kept task")
        verbose_name_plural = _("kept tasks")
        indexes = [
            models.Index(fields=["due_at"], name="seedance_kept_due"),
            models.Index(fields=["celery_id"], name="seedance_kept_celery_id"),
        ]

    def __str__(self) -> str:
        return f"{self.task.rpartition('.')[2]} {self.celery_id}"

    def save(self, **options: Any) -> None:
        """Save the row; a task that the package makes by itself is known by its Celery id."""
        self.key = self.key or self.celery_id
        super().save(**options)

    def mine(self) -> KeptTaskQuerySet:
        """This row, as long as nobody else has claimed it."""
        rows = type(self).objects.primary().unfinished()
        return rows.filter(pk=self.pk, claim_token=self.claim_token)

    def claim(self, seconds: float) -> bool:
        """Take the right to work on the task, for so many seconds; return whether it was free.

        It is not free where another process has published a step since the row was read: this
        process would publish that step again. Nor is one that somebody has locked: the sweep sends
        it again.
        """
        until = clock.after(seconds)
        token = self.claim_token + 1
        decided = ("error", "raised_at", "published_at")
        as_read = {f"{name}__isnull": getattr(self, name) is None for name in decided}
        free = self.mine().unclaimed().filter(published=self.published, **as_read)
        won = locks.update(free, claim_token=token, lease_until=until, due_at=until, sends=0)
        if won:
            self.claim_token = token
        return bool(won)

    def renew(self, seconds: float, **changes: Any) -> bool:
        """Keep the right for so many seconds more; return whether it was still this process's."""
        until = clock.after(seconds)
        return bool(self.mine().update(lease_until=until, due_at=until, **changes))

    def send(self, countdown: float = 0) -> bool:
        """Send the task again under its own Celery id, without its canvas.

        Returns whether the broker took it. Tasks that cannot be kept wait by themselves.
        """
        return bool(self.signature) and sending.resend(self.signature, countdown)
