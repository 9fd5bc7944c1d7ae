"""How much longer a video takes, told from what others like it took.

The history of a video is fixed when it starts: the videos that had completed by the last full
ten minutes before. So an estimate never jumps back because others ended meanwhile, and one cached
query serves every video that started within the same ten minutes.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections import defaultdict
from datetime import datetime, timezone

from django.core.cache import cache
from django.db.models import F

from ..models import Video

__all__ = ["ENOUGH", "Estimate", "estimate", "shown_progress"]

Durations = dict[tuple[str, int | None], list[float]]

ENOUGH = 10
"""How many videos of a model and length must have completed before anything is estimated."""
HISTORY = 1000
"""How many of the latest completed videos are looked at."""
PERIOD = 600
"""Seconds for which videos share a history."""
KEPT_FOR = 2 * 3600
"""Seconds for which a history is cached; an older video has no estimate."""
LONGEST = 24 * 3600
"""Seconds of the longest render that is believed; a broken row must not bend the estimates."""
EARLIEST = datetime(2000, 1, 1, tzinfo=timezone.utc)
"""No video is older. What claims to be is not even read: some drivers raise for such dates."""
LAST_PERCENT = 95
"""What time alone can bring the bar to."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Seconds until a video is there: for half of those like it, and for nine in ten."""

    median_seconds_left: int
    p90_seconds_left: int


def started_at(video: Video) -> datetime:
    """Return when the wait for a video began."""
    return video.post_started_at or video.created_at


def estimate(video: Video) -> Estimate | None:
    """Return how much longer a video takes; None where history cannot tell.

    The row comes from `with_now()`. Counted are the videos of the same model and length that took
    longer than this one has taken so far; once hardly any did, there is nothing to tell.
    """
    durations, elapsed = _durations(video), _elapsed(video)
    longer = durations[bisect_right(durations, elapsed) :]
    if len(durations) < ENOUGH or len(longer) < ENOUGH / 5:
        return None
    left = [duration - elapsed for duration in longer]
    return Estimate(_rounded(_quantile(left, 0.5)), _rounded(_quantile(left, 0.9)))


def shown_progress(video: Video) -> tuple[int, bool]:
    """Return a video's progress in percent, and whether it is our estimate.

    The API's own figure stands still for minutes (0, 10, 30, 50, 100); where the time that has
    passed says more, that is shown. Never less than before, and 100 only for `completed`.
    """
    if video.status == Video.Status.COMPLETED:
        return 100, False
    known = min(video.progress, 99)
    durations = _durations(video)
    if len(durations) < ENOUGH:
        return known, False
    guess = int(LAST_PERCENT * min(1.0, _elapsed(video) / max(1.0, _quantile(durations, 0.9))))
    return max(known, guess), guess > known


def _elapsed(video: Video) -> float:
    return max(0.0, (video.now - started_at(video)).total_seconds())


def _durations(video: Video) -> list[float]:
    """Return what videos like this one took, in seconds, sorted."""
    if not video.is_polled or _elapsed(video) > KEPT_FOR - PERIOD:
        return []
    known = _history(int(started_at(video).timestamp()) // PERIOD)
    return known.get((video.model, video.seconds), [])


def _history(period: int) -> Durations:
    key = f"seedance_celery.polling.estimates.{period}"
    known: Durations | None = cache.get(key)
    if known is None:
        known = _read_history(datetime.fromtimestamp(period * PERIOD, timezone.utc))
        cache.set(key, known, KEPT_FOR)
    return known


def _read_history(before: datetime) -> Durations:
    # Tracked videos began at another time than their row, and late ones ended unobserved.
    completed = Video.objects.filter(
        status=Video.Status.COMPLETED,
        created_at__lt=before,
        finished_at__lt=before,
        post_started_at__gte=EARLIEST,
        finished_at__gt=F("post_started_at"),
        late=False,
    )
    rows = completed.order_by("-created_at").values_list(
        "model", "seconds", "post_started_at", "finished_at"
    )
    found: Durations = defaultdict(list)
    for model, seconds, started, finished in rows[:HISTORY]:
        if started and finished and (finished - started).total_seconds() <= LONGEST:
            found[model, seconds].append((finished - started).total_seconds())
    return {kind: sorted(durations) for kind, durations in found.items()}


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _rounded(seconds: float) -> int:
    # In steps, so that what is shown stays the same for a while and needs no new reply.
    step = 5 if seconds < 90 else 15
    return max(step, round(seconds / step) * step)
