"""What stands above the list: how many of each status, and what needs a person."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from ..conf import get_settings
from ..db import clock
from ..models import AccountState, Video
from .parts import moment, part_of_page

__all__ = ["overview"]

Status = Video.Status

CACHED_FOR = 10
"""Seconds."""
DAY = 24 * 3600
STUCK_SHOWN = 5
OPEN = (Status.CREATING, Status.QUEUED, Status.IN_PROGRESS, Status.CREATE_UNKNOWN)

_KEY = "seedance_celery.admin.overview"


def overview() -> dict[str, Any]:
    """Return the counts (of all that is open, and the last day's ends), stuck rows and bad keys.

    Three indexed queries, cached for some seconds.
    """
    known: dict[str, Any] | None = cache.get(_KEY)
    if known is None:
        nothing: dict[str, Any] = {"counts": [], "undecided": 0}
        known = {
            **part_of_page(_counts, "counts", nothing),
            "stuck": part_of_page(_stuck, "list of stuck videos", []),
            "accounts": part_of_page(_accounts, "list of refused keys", []),
        }
        cache.set(_KEY, known, CACHED_FOR)
    accounts = [
        {**account, "refused_at": moment(account["refused_at"])} for account in known["accounts"]
    ]
    return {**known, "accounts": accounts}


def _counts() -> dict[str, Any]:
    recent = Q(created_at__gte=clock.after(-DAY)) | Q(status__in=OPEN)
    rows = Video.objects.filter(recent).order_by().values_list("status")
    open_ones = Count("pk", filter=Q(finished_at__isnull=True))
    found = {status: counts for status, *counts in rows.annotate(Count("pk"), n=open_ones)}
    counts = [
        {"status": status.value, "label": status.label, "count": found.get(status.value, [0])[0]}
        for status in Status
    ]
    # What a later version left behind, before it was rolled back.
    counts += [
        {"status": status, "label": status or _("(no status)"), "count": numbers[0]}
        for status, numbers in found.items()
        if status not in Status.values
    ]
    _all, undecided = found.get(Status.CREATE_UNKNOWN.value, (0, 0))
    return {"counts": counts, "undecided": undecided}


def _stuck() -> list[dict[str, str]]:
    """Return rows that nobody has come back to: no worker runs, or its queue is too long."""
    late = 2 * get_settings().resend_after
    rows = Video.objects.filter(overdue_at__lte=clock.after(-late)).order_by("overdue_at")
    rows = rows.only("api_id", "status")[:STUCK_SHOWN]
    return [{"pk": str(row.pk), "name": str(row), "status": row.status} for row in rows]


def _accounts() -> list[Any]:
    rows = AccountState.objects.troubled().filter(refused_at__isnull=False)
    return list(rows.values("name", "refused_at", "refused_reason"))
