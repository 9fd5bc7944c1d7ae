"""Insert many videos that are under way, and send the message of each poll loop.

`python -m benchmarks.insert SHORTEST LONGEST`, with the API's ids on the standard input: the first
polls come in so many seconds.
"""

from __future__ import annotations

import importlib
import random
import sys
from datetime import timedelta

import django


def start(ids: list[str], shortest: float, longest: float) -> None:
    """Insert and send."""
    django.setup()
    importlib.import_module("benchmarks.celery")
    from django.utils import timezone

    from seedance_celery.models import Video

    now = timezone.now()
    videos, waits = [], []
    for api_id in ids:
        wait = random.uniform(shortest, longest)
        due = now + timedelta(seconds=wait)
        videos.append(
            Video(
                api_id=api_id,
                status=Video.Status.IN_PROGRESS,
                is_known=True,
                poll_token=1,
                next_poll_at=due,
                overdue_at=due + timedelta(hours=1),
                deadline_at=now + timedelta(days=1),
            )
        )
        waits.append(wait)
    Video.objects.bulk_create(videos, batch_size=1000)
    for video, wait in zip(videos, waits, strict=True):
        passed = (timezone.now() - now).total_seconds()
        video.send(max(1.0, wait - passed))


if __name__ == "__main__":
    start(sys.stdin.read().split(), float(sys.argv[1]), float(sys.argv[2]))
