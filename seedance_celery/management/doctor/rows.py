"""Probes of the rows: is the sweep at work, is a key refused, does a video wait for a person?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...conf import get_settings
from ...db import clock
from ...models import AccountState, KeptTask, Upkeep, Video
from .findings import Found, bad, good, unsure

__all__ = ["look_at_accounts", "look_at_sweep", "look_at_videos"]

NAMED = 3
"""How many rows a line names."""


def look_at_sweep() -> Iterator[Found]:
    """Look for what a sweep would have sent long ago."""
    settings = get_settings()
    late = 2 * (settings.sweep_interval or 60.0) + settings.resend_after
    before = clock.after(-late)
    loops = Video.objects.primary().filter(overdue_at__lte=before).count()
    waiting = KeptTask.objects.primary().unfinished().exclude(signature="")
    tasks = waiting.filter(due_at__lte=before).count()
    if loops or tasks:
        message = f"{loops} poll loops and {tasks} kept tasks are overdue by {late:.0f} s or more"
        hint = "Run a worker; where SWEEP_INTERVAL is 0: seedance_sweep --every 30s."
        yield bad(message, hint)
    elif not settings.sweep_interval:
        hint = (
            "Let beat send seedance_celery.tasks.sweep_videos, or run seedance_sweep --every 30s."
        )
        yield unsure("nothing is overdue, and SWEEP_INTERVAL is 0: workers do not sweep", hint)
    else:
        yield _look_at_last_sweep(late)


def _look_at_last_sweep(late: float) -> Found:
    last: Any = Upkeep.objects.primary().annotate(now=clock.now()).first()
    if last is None or last.swept_at is None:
        return good("nothing is overdue; no sweep has run yet")
    ago = (last.now - last.swept_at).total_seconds()
    told = f"{ago:.0f} s" if ago < 600 else f"{ago / 60:.0f} minutes"
    if ago > late:
        hint = "Run a worker: it sweeps by its own timer."
        return unsure(f"nothing is overdue, but the last sweep was {told} ago", hint)
    return good(f"nothing is overdue; the last sweep was {told} ago")


def look_at_accounts() -> Iterator[Found]:
    """Look for keys that the API refuses or holds back."""
    names = get_settings().accounts
    states = AccountState.objects.primary().filter(name__in=names).annotate(now=clock.now())
    lines = [line for state in states for line in _look_at_account(state)]
    yield from lines or [good("no account is refused or held back")]


def _look_at_account(state: Any) -> Iterator[Found]:
    if state.refused_at:
        message = f"{state.name}: refused since {state.refused_at:%Y-%m-%d %H:%M} UTC"
        yield bad(f"{message}: {state.refused_reason}", "Correct the key; videos go on polling.")
    elif state.strikes and state.hold_until and state.hold_until > state.now:
        message = f"{state.name}: held back until {state.hold_until:%H:%M:%S} UTC"
        yield unsure(message, "The API asked for it; nothing is to be done.")
    if state.creates_hold_until and state.creates_hold_until > state.now:
        message = f"{state.name}: no creates until {state.creates_hold_until:%H:%M:%S} UTC"
        yield unsure(message, "The balance is used up: top it up.")


def look_at_videos() -> Iterator[Found]:
    """Look for creates whose outcome only a person can find out."""
    unknown = Video.objects.primary().unfinished().filter(status=Video.Status.CREATE_UNKNOWN)
    count = unknown.count()
    if not count:
        yield good("none waits for a person")
        return
    names = ", ".join(str(pk) for pk in unknown.values_list("pk", flat=True)[:NAMED])
    hint = "Look at the provider's dashboard, then: seedance_track PK --adopt ID (or --buy-again)."
    yield unsure(f"{count} may be bought or not, and wait for a person: {names}", hint)
