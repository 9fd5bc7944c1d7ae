"""Put videos in flight at once: rows with their next polls spread over one countdown.

`python -m benchmarks._flight`, in a site's environment, with the API's ids on the standard input.
With `POLLER = "loop"` a message is sent for each of them; with `"batch"` one for all.
"""

from __future__ import annotations

import sys

import django


def put(ids: list[str]) -> None:
    """Insert rows as they are in the middle of a render, and start their polling."""
    from datetime import timedelta

    from django.utils import timezone

    from seedance_celery import sending
    from seedance_celery.conf import get_settings
    from seedance_celery.models import Poller, Video

    settings, now = get_settings(), timezone.now()
    longest = settings.poll_countdown[1]
    waits = [longest * (number + 0.5) / len(ids) for number in range(len(ids))]
    rows = []
    for api_id, wait in zip(ids, waits, strict=True):
        at = now + timedelta(seconds=wait)
        rows.append(
            Video(
                api_id=api_id,
                status=Video.Status.IN_PROGRESS,
                progress=30,
                model="doubao-seedance-2-0",
                is_known=True,
                poll_token=1,
                next_poll_at=at,
                overdue_at=at + timedelta(seconds=settings.resend_after),
                deadline_at=now + timedelta(days=1),
                raw={"id": api_id, "status": "in_progress", "progress": 30},
            )
        )
    Video.objects.bulk_create(rows, batch_size=1000)
    if sending.in_batches():
        Poller.objects.call("default")
        return
    for row, wait in zip(rows, waits, strict=True):
        row.send(wait)


if __name__ == "__main__":
    django.setup()
    __import__("benchmarks.celery")
    put(sys.stdin.read().split())
