"""Idempotency keys whose videos' rows were removed: what remains of such a row."""

from __future__ import annotations

from django.db import models, router
from django.utils.translation import gettext_lazy as _

from .fields import OpaqueField

__all__ = ["UsedKey"]


class UsedKeyQuerySet(models.QuerySet["UsedKey"]):
    def primary(self) -> UsedKeyQuerySet:
        """Use the database that is written to."""
        return self.using(router.db_for_write(self.model))


class UsedKey(models.Model):
    """An idempotency key that has been used, and the video that it bought.

    There may be two of one key: it is forgotten after a time, and may then be used again.
    """

    account = models.CharField(_("account"), max_length=64)
    idempotency_key = OpaqueField(_("idempotency key"), max_length=255)
    video_pk = models.UUIDField(_("video's primary key"))
    api_id = models.CharField(_("API id"), max_length=255, blank=True)
    removed_at = models.DateTimeField(_("removed at"))
    """When the row of the video was removed."""

    objects = UsedKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("used key")
        verbose_name_plural = _("used keys")
        indexes = [
            models.Index(fields=["account", "idempotency_key"], name="seedance_used_key"),
            models.Index(fields=["removed_at"], name="seedance_used_key_age"),
        ]

    def __str__(self) -> str:
        return self.api_id or str(self.video_pk)
