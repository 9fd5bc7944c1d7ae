"""Whose turn it is to buy: `MAX_IN_FLIGHT` and `MAX_CREATES`, across all workers.

The account's row is locked while its videos are counted, so no two workers take the same place.
An account without limits has no row, and its creates pay for none of this.
"""

from __future__ import annotations

import enum
from datetime import date, datetime, timezone
from typing import Any

from django.db.models import F, Q
from django.utils import timezone as django_timezone

from .. import sending
from ..conf import Account, get_settings
from ..db import clock, locks
from ..models import AccountState, KeptTask, Video
from ..models.account import AccountStateQuerySet
from ..models.video import VideoQuerySet
from ..models.walk import alone

__all__ = ["Verdict", "call_next", "give_back", "in_line", "look", "win"]

Status = Video.Status

LONGEST_LOCK = 5.0
"""Seconds that a create waits for the account's row, which others hold for milliseconds."""
FALLBACK = 900.0
"""Seconds after which a create that waits for its turn looks again, should nobody call it."""


class Verdict(enum.Enum):
    """Whether a create may be sent."""

    GO = "go"
    WAIT = "wait"
    """As many videos render as may; older creates are first."""
    SPENT = "spent"
    """The day's creates are used up."""
    LOST = "lost"
    """Another copy has moved the row."""


def look(video: Video, account: Account) -> Verdict:
    """Tell whether it is a create's turn, without taking it."""
    if account.max_creates is not None and _spent(video, _rows(account.name)) >= (
        account.max_creates
    ):
        return Verdict.SPENT
    return Verdict.GO if _is_turn(video, account.max_in_flight) else Verdict.WAIT


def win(video: Video, account: Account, **changes: Any) -> Verdict:
    """Take the right to POST, with these changes, if it is the create's turn."""
    if account.max_in_flight is None and account.max_creates is None:
        return _moved(video, changes)
    state = _rows(account.name)
    state.get_or_create(name=account.name)
    # A create whose account somebody has locked does not keep its worker: it comes back.
    with locks.short(video.db, LONGEST_LOCK):
        # An update locks the row on every database, and SQLite as a whole: the count holds.
        state.update(strikes=F("strikes"))
        verdict = look(video, account)
        if verdict is Verdict.GO:
            verdict = _moved(video, changes)
        if verdict is Verdict.GO:
            _count(video, state)
    return verdict


def _moved(video: Video, changes: dict[str, Any]) -> Verdict:
    return Verdict.GO if video.move((Status.CREATING,), **changes) else Verdict.LOST


def give_back(video: Video) -> None:
    """Take a create that bought nothing off the day's count."""
    if get_settings().account(video.account).max_creates is None or video.post_started_at is None:
        return
    counted = _rows(video.account).filter(creates_day=_day(video.post_started_at), creates__gt=0)
    counted.update(creates=F("creates") - 1)


def in_line(name: str) -> VideoQuerySet:
    """Return the creates of an account that nobody has sent."""
    rows = Video.objects.primary().filter(account=name, status=Status.CREATING)
    return rows.filter(post_started_at__isnull=True)


def call_next(name: str) -> None:
    """Send the oldest creates that wait for their turn, as many as there are places."""
    account = get_settings().accounts.get(name)
    if account is None or account.max_in_flight is None:
        return
    free = _free(name, account.max_in_flight)
    if free <= 0:
        return
    waiting = in_line(name).filter(_heard(), in_line_since__isnull=False)
    for video in waiting.order_by("created_at", "pk")[:free]:
        with alone(video):
            _call(video)


def _call(video: Video) -> None:
    after = get_settings().resend_after
    # What is due sooner than a parked task has been called already.
    parked = KeptTask.objects.using(video.db).filter(
        video=video, task__in=(sending.CREATE, sending.SUBMIT), due_at__gt=clock.after(after)
    )
    keys = list(parked.values_list("pk", flat=True))
    for kept in KeptTask.objects.using(video.db).filter(pk__in=keys).make_due(after):
        with alone(kept):
            kept.send()


def _heard() -> Q:
    """Return which creates keep their place in the line.

    Each look at a create, and each sweep, moves its `overdue_at` ahead. Where that has not been
    possible for long (its row is locked, or refused), the others need not wait for it.
    """
    late = clock.after(-2 * get_settings().resend_after)
    return Q(overdue_at__isnull=True) | Q(overdue_at__gt=late)


def _is_turn(video: Video, limit: int | None) -> bool:
    if limit is None:
        return True
    free = _free(video.account, limit)
    older = Q(created_at__lt=video.created_at) | Q(created_at=video.created_at, pk__lt=video.pk)
    return free > 0 and in_line(video.account).filter(_heard(), older)[:free].count() < free


def _free(name: str, limit: int) -> int:
    """Return how many more videos of an account may render; the count stops at the limit."""
    sent = Q(status=Status.CREATING, post_started_at__isnull=False)
    busy = Video.objects.primary().filter(sent | Q(status__in=Video.POLLED), account=name)
    return limit - busy[:limit].count()


def _rows(name: str) -> AccountStateQuerySet:
    return AccountState.objects.primary().filter(name=name)


def _spent(video: Video, state: AccountStateQuerySet) -> int:
    counted = state.values_list("creates_day", "creates").first()
    if counted is None or counted[0] is None or counted[0] < _day(video.now):
        return 0
    return counted[1]


def _count(video: Video, state: AccountStateQuerySet) -> None:
    today = _day(video.now)
    begun = state.filter(Q(creates_day__isnull=True) | Q(creates_day__lt=today))
    if not begun.update(creates_day=today, creates=1):
        state.update(creates=F("creates") + 1)


def _day(moment: datetime) -> date:
    if django_timezone.is_naive(moment):  # of a project with USE_TZ = False
        moment = django_timezone.make_aware(moment)
    return moment.astimezone(timezone.utc).date()
