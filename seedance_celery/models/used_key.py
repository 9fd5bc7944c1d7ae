"""Idempotency keys outlive their rows: a small row remembers what each of them has bought.

Every way to delete a video passes Django's `pre_delete` and `post_delete`. The keys are noted at
the first, for each video, and written down together at the second, in the transaction of the
deletion: so pruning 500 videos takes one statement for their keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _

from ..api.replies import MAX_ID
from ..conf import get_settings
from ..db import clock
from ..db.fields import OpaqueField
from .columns import Columns


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
    api_id = models.CharField(_("API id"), max_length=MAX_ID, blank=True)
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


_noted: WeakKeyDictionary[BaseDatabaseWrapper, dict[Any, Columns]] = WeakKeyDictionary()
"""Videos that are being deleted over each connection, by pk."""


def note(video: Columns, using: str) -> None:
    """Note a video that is about to be deleted, if it has a key."""
    if video.idempotency_key:
        _noted.setdefault(connections[using], {})[video.pk] = video


def remember_noted(using: str) -> None:
    """Write down the keys of all videos that the running deletion removes."""
    # A deletion that failed leaves its notes, and the next one writes a key down whose row is
    # there. That changes nothing: the row is looked for first.
    if videos := _noted.pop(connections[using], None):
        remember_keys(videos.values(), using)


def remember_keys(videos: Iterable[Columns], using: str) -> None:
    """Write down the keys of videos whose rows go, in one statement."""
    keys = [
        UsedKey(
            account=video.account,
            idempotency_key=video.idempotency_key,
            video_pk=video.pk,
            api_id=video.api_id or "",
            removed_at=clock.now(),
        )
        for video in videos
        if video.idempotency_key
    ]
    UsedKey.objects.using(using).bulk_create(keys)


def used_key(account: str, key: str) -> UsedKey | None:
    """Return what is remembered of a key whose video's row was removed."""
    rows = UsedKey.objects.primary().filter(account=account, idempotency_key=key)
    remembered = rows.filter(removed_at__gt=clock.after(-get_settings().keep_keys))
    return remembered.order_by("-removed_at").first()


def forget_old_keys(limit: int) -> int:
    """Remove up to so many keys that are older than `KEEP_KEYS`; return how many."""
    old = UsedKey.objects.primary().filter(removed_at__lte=clock.after(-get_settings().keep_keys))
    keys = list(old.order_by("removed_at").values_list("pk", flat=True)[:limit])
    if keys:
        UsedKey.objects.primary().filter(pk__in=keys).delete()
    return len(keys)
