"""What a row and past videos tell about when to ask next.

The history is read by the sweep, at most once in `PERIOD` and process, and kept in memory as plans:
a poll reads nothing. A process that never sweeps has no plans, and asks evenly.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db import Error
from django.db.models import QuerySet

from ..conf import get_settings
from ..db import clock, row_errors
from ..models import Video, walk
from . import cadence
from .plans import Life, Plan, make_plan

__all__ = ["countdown", "forget", "refresh"]

logger = logging.getLogger(__name__)

Status = Video.Status
Kind = tuple[str, int | None]
"""A model, and a length in seconds; None for any."""

PERIOD = 600.0
"""Seconds for which a process uses the history that it has read."""
ROWS = 2000
"""How many of the latest videos are read."""
LIVES = 300
"""How many of a kind count, the latest."""
SETTLED = 300.0
"""Seconds after which a video may count: of younger ones, the quick have ended and the slow not."""
WATCHED = timedelta(seconds=20)
"""How long after its create a video that counts may have become known."""

_ENDED = (Status.COMPLETED, Status.FAILED, Status.ERROR)
_COLUMNS = (
    "model",
    "seconds",
    "status",
    "post_started_at",
    "api_created_at",
    "created_at",
    "rendering_since",
    "finished_at",
    "late",
    "polls",
)

_plans: dict[Kind, Plan] = {}
_read_at: float | None = None


def countdown(video: Video, now: datetime, changes: Mapping[str, Any]) -> float:
    """Return the seconds until the next poll of a video that has just been asked for.

    `now` is the database's time at the answer, `changes` the columns that the answer changes, not
    yet on the row. No query is made.
    """
    said = {name: changes.get(name, getattr(video, name)) for name in ("progress", "model")}
    since = changes.get("rendering_since", video.rendering_since)
    facts = cadence.Facts(
        age=(now - video.begun_at).total_seconds(),
        rendering=(now - since).total_seconds() if since else None,
        polls=video.polls + 1,
        progress=said["progress"],
        gained=said["progress"] - video.progress,
        since=(now - video.answered_at).total_seconds() if video.answered_at else 0.0,
    )
    plan = _plans.get((said["model"], video.seconds)) or _plans.get((said["model"], None))
    return cadence.next_countdown(facts, plan, *get_settings().poll_countdown)


def refresh() -> None:
    """Read the history anew, where this process has not done so for `PERIOD`.

    One query. Where it fails, nothing changes until the next time.
    """
    global _plans, _read_at
    if _read_at is not None and monotonic() - _read_at < PERIOD:
        return
    _read_at = monotonic()
    try:
        _plans = _made_plans(_read_lives())
    except Error as error:
        logger.info("The history of polls is not read (%s)", type(error).__name__)


def forget() -> None:
    """Forget the history, as a new process: for tests."""
    global _plans, _read_at
    _plans, _read_at = {}, None


def _read_lives() -> dict[Kind, list[Life]]:
    settled = Video.objects.primary().filter(created_at__lt=clock.after(-SETTLED))
    rows = settled.with_now().order_by("-created_at")
    lives: dict[Kind, list[Life]] = defaultdict(list)
    for row in _latest(rows.only(*_COLUMNS)):
        try:
            life = _life(row)
        except (ArithmeticError, TypeError, ValueError) as error:  # a date near the year 1 or 9999
            row_errors.tell(f"Video {row.pk}", error)
            continue
        if life is not None:
            lives[row.model, row.seconds].append(life)
            lives[row.model, None].append(life)
    return lives


def _latest(rows: QuerySet[Video]) -> list[Video]:
    try:
        return list(rows[:ROWS])
    except (Error, ValueError, OverflowError) as error:
        if not row_errors.is_about_row(error):
            raise
    # One of them cannot be read, and the driver gives none. It costs the plans itself alone.
    keys = list(rows.values_list("pk", flat=True)[:ROWS])
    return walk.read(rows, keys)


def _life(video: Video) -> Life | None:
    """Return the life of a video that was watched all the time; None for any other."""
    begun, since = video.begun_at, video.rendering_since
    is_ended = video.status in _ENDED and video.finished_at is not None
    if video.late or video.created_at - begun > WATCHED or not (is_ended or video.is_polled):
        return None
    shortest, longest = get_settings().poll_countdown
    # It was seen to have ended; it had ended about half an interval before.
    late_by = timedelta(seconds=shortest / 2)
    end = max(video.finished_at - late_by, begun) if video.finished_at else video.now
    if (end - begun).total_seconds() > longest * (2 * video.polls + 1):
        return None  # an outage, a hold; or it was resumed or adopted
    if since is None:
        return Life((end - begun).total_seconds(), None, is_ended)
    queued, rendering = max(since, begun) - begun, max(end, since) - since
    return Life(queued.total_seconds(), rendering.total_seconds(), is_ended)


def _made_plans(lives: Mapping[Kind, Iterable[Life]]) -> dict[Kind, Plan]:
    shortest, longest = get_settings().poll_countdown
    made = {
        kind: make_plan(list(known)[:LIVES], shortest, longest) for kind, known in lives.items()
    }
    return {kind: plan for kind, plan in made.items() if plan is not None}
