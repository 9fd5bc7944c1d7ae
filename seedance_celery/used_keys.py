"""Idempotency keys outlive their rows: a small row remembers what each of them has bought.

Every way to delete a video passes Django's `pre_delete` and `post_delete`. The keys are noted at
the first, for each video, and written down together at the second, in the transaction of the
deletion: so pruning 500 videos takes one statement for their keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from . import clock
from .conf import get_settings
from .models import UsedKey, Video

__all__ = ["forget_old_keys", "note", "remember_keys", "remember_noted", "used_key"]

_noted: WeakKeyDictionary[BaseDatabaseWrapper, dict[Any, Video]] = WeakKeyDictionary()
"""Videos that are being deleted over each connection, by pk."""


def note(video: Video, using: str) -> None:
    """Note a video that is about to be deleted, if it has a key."""
    if video.idempotency_key:
        _noted.setdefault(connections[using], {})[video.pk] = video


def remember_noted(using: str) -> None:
    """Write down the keys of all videos that the running deletion removes."""
    # A deletion that failed leaves its notes, and the next one writes a key down whose row is
    # there. That changes nothing: the row is looked for first.
    if videos := _noted.pop(connections[using], None):
        remember_keys(videos.values(), using)


def remember_keys(videos: Iterable[Video], using: str) -> None:
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
