"""When the rows were last looked after, and whether somebody is at it now."""

from __future__ import annotations

import uuid

from django.db import IntegrityError, models, router, transaction
from django.utils.translation import gettext_lazy as _

from ..db import clock, locks
from ..db.row_errors import RowLockedError

__all__ = ["Upkeep"]


MOMENT = 0.2
"""Seconds that a sweep waits for another one that begins or ends just now."""


class UpkeepQuerySet(models.QuerySet["Upkeep"]):
    def primary(self) -> UpkeepQuerySet:
        """Use the database that is written to."""
        return self.using(router.db_for_write(self.model))

    def begin_sweep(self, seconds: float) -> uuid.UUID | None:
        """Take the lease of the sweep; return what names it, or None while another sweep has it.

        Where somebody has locked the row, the sweep goes on without its lease: no two sweeps ever
        send the same row, and standing still would be worse than working side by side.
        """
        rows = self.primary().filter(pk=1)
        lease = uuid.uuid4()
        taken = {"sweeper": lease, "sweeping_until": clock.after(seconds)}
        free = models.Q(sweeping_until__isnull=True) | models.Q(sweeping_until__lte=clock.now())
        try:
            if locks.change(rows.filter(free), MOMENT, **taken):
                return lease
        except RowLockedError:
            return lease
        if rows.exists():
            return None
        try:
            with transaction.atomic(using=rows.db):
                self.primary().create(pk=1, swept_at=None, **taken)
        except IntegrityError:  # another's first sweep was faster
            return None
        return lease

    def renew_sweep(self, lease: uuid.UUID, seconds: float) -> None:
        """Keep the lease of a sweep that goes on."""
        mine = self.primary().filter(pk=1, sweeper=lease)
        locks.update(mine, sweeping_until=clock.after(seconds))

    def end_sweep(self, lease: uuid.UUID) -> None:
        """Write down that a sweep has run, and let the next one begin."""
        mine = self.primary().filter(pk=1, sweeper=lease)
        locks.update(mine, sweeping_until=None, swept_at=clock.now())


class Upkeep(models.Model):
    """The one row that tells when a sweep last ran, and the lease of the one that runs."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    swept_at = models.DateTimeField(_("swept at"), null=True)
    """When the last sweep ended; null before the first has."""
    sweeper = models.UUIDField(_("sweeper"), null=True)
    """Which sweep has the lease, or had it last."""
    sweeping_until = models.DateTimeField(_("sweeping until"), null=True)
    """Until then no other sweep begins; null while none runs."""

    objects = UpkeepQuerySet.as_manager()

    class Meta:
        verbose_name = _("upkeep")
        verbose_name_plural = _("upkeep")

    def __str__(self) -> str:
        return f"swept at {self.swept_at}"
