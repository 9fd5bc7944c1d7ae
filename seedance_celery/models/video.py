"""The video: its table, and the rows of it that each part of the package looks for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import models, router
from django.utils.translation import gettext_lazy as _

from ..db import clock, pool, statements
from .account import AccountState
from .actions import Actions
from .kept import KeptTask
from .poller import Poller

__all__ = ["Video"]


class VideoQuerySet(models.QuerySet["Video"]):
    def primary(self) -> VideoQuerySet:
        """Use the database that is written to: replicas lag behind what was just decided."""
        return self.using(router.db_for_write(self.model))

    def for_poll(self) -> VideoQuerySet:
        """Bring along the database's time as `video.now`, and what every poll must know.

        `video.troubled`: is its key? `video.has_poller`: do batch pollers ask for its account?
        """
        state = AccountState.objects.troubled().filter(name=models.OuterRef("account"))
        pollers = Poller.objects.on().filter(account=models.OuterRef("account"))
        # mypy takes the attributes that this brings along for fields.
        return self.annotate(  # type: ignore[no-redef]
            now=clock.now(), troubled=models.Exists(state), has_poller=models.Exists(pollers)
        )

    def with_now(self) -> VideoQuerySet:
        """Bring along, beside that, `video.has_store`: will a task keep the file that it lacks?"""
        stores = KeptTask.objects.storing().filter(video=models.OuterRef("pk"))
        lacks_file = models.When(status="completed", file="", then=models.Exists(stores))
        found = models.Case(lacks_file, default=False, output_field=models.BooleanField())
        return self.for_poll().annotate(has_store=found)  # type: ignore[no-redef]

    def find(self, pk: Any) -> Video | None:
        """Return the row of a pk with the database's time, by a statement compiled before."""
        alias = router.db_for_write(self.model)

        def look(session: pool.Session) -> Video | None:
            return statements.find(session, alias, self.model, self.for_poll, pk)

        return pool.read(alias, look)

    def polled(self) -> VideoQuerySet:
        """Videos that the API has in work."""
        return self.filter(status__in=Video.POLLED)

    def next_poll(self, account: str, passed: Collection[Any] = ()) -> float | None:
        """Return in how many seconds the next video of an account is due; None where none is.

        Without those that were `passed` over because they cannot be changed.
        """
        rows = self.primary().polled().filter(account=account, next_poll_at__isnull=False)
        rows = rows.exclude(pk__in=passed) if passed else rows
        first = rows.for_poll().only("next_poll_at").order_by("next_poll_at").first()
        if first is None or first.next_poll_at is None:
            return None
        return (first.next_poll_at - first.now).total_seconds()

    def ended_by_us(self) -> VideoQuerySet:
        """Videos whose end was decided here: they are still asked for late."""
        return self.filter(
            models.Q(status=Video.Status.TIMED_OUT)
            | models.Q(status=Video.Status.ERROR, urlless_polls__gt=0)
            | models.Q(status=Video.Status.FAILED, final_polls__gt=0)
        )

    def unfinished(self) -> VideoQuerySet:
        """Videos that have not ended."""
        return self.filter(finished_at__isnull=True)


class Video(Actions):
    """One video. Its status moves only by guarded updates: whoever wins one goes on."""

    objects = VideoQuerySet.as_manager()

    class Meta:
        verbose_name = _("video")
        verbose_name_plural = _("videos")
        ordering = ["-created_at"]
        get_latest_by = "created_at"
        permissions = [
            ("buy_video", _("Can buy an unknown video again")),
            ("abandon_video", _("Can give up a video or stop what waits for it")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["api_id", "account"], name="seedance_api_id"),
            models.UniqueConstraint(
                fields=["account", "idempotency_key"], name="seedance_idempotency_key"
            ),
        ]
        indexes = [
            models.Index(fields=["overdue_at"], name="seedance_overdue"),
            models.Index(fields=["account", "next_poll_at"], name="seedance_due"),
            models.Index(fields=["status", "created_at"], name="seedance_status"),
            models.Index(fields=["-created_at"], name="seedance_created"),
        ]

    @staticmethod
    def unfinished_error(video: Video) -> models.ProtectedError:
        """Return the error for deleting a video that has not ended."""
        message = "This video is paid for and has not ended. Delete it once it has."
        return models.ProtectedError(message, {video})
