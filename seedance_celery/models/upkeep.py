"""When the rows were last looked after."""

from __future__ import annotations

from django.db import IntegrityError, models, router, transaction
from django.utils.translation import gettext_lazy as _

from ..db import clock

__all__ = ["Upkeep"]


class UpkeepQuerySet(models.QuerySet["Upkeep"]):
    def primary(self) -> UpkeepQuerySet:
        """Use the database that is written to."""
        return self.using(router.db_for_write(self.model))

    def note_sweep(self) -> None:
        """Write down that a sweep has run."""
        rows = self.primary()
        if rows.filter(pk=1).update(swept_at=clock.now()):
            return
        try:
            with transaction.atomic(using=rows.db):
                rows.create(pk=1, swept_at=clock.now())
        except IntegrityError:  # another's first sweep was faster
            return


class Upkeep(models.Model):
    """The one row that tells when a sweep last ran."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    swept_at = models.DateTimeField(_("swept at"))

    objects = UpkeepQuerySet.as_manager()

    class Meta:
        verbose_name = _("upkeep")
        verbose_name_plural = _("upkeep")

    def __str__(self) -> str:
        return f"swept at {self.swept_at}"
