"""The status endpoint: requests per second and queries per request, in one process.

`python -m benchmarks status_endpoint [--quick] [--seconds SECONDS]`. Needs nothing: SQLite in
memory, a history of 1,000 videos, a signed-in member of the staff. What is left out is the web
server, and the two queries with which most projects read session and user. `cpu_ms` is the
process's own time for a request, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import RequestFactory  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from seedance_celery.models import Video  # noqa: E402
from seedance_celery.views import video_statuses  # noqa: E402

HISTORY = 1000


def insert(count: int, status: str, **changes: Any) -> list[Video]:
    """Insert videos that began two minutes ago."""
    start = timezone.now() - timedelta(minutes=2)
    values = {"model": "doubao-seedance-2-0", "seconds": 5, "prompt": "A kite", "status": status}
    values |= {"created_at": start, "post_started_at": start, **changes}
    return Video.objects.bulk_create(Video(api_id=f"{status}{n}", **values) for n in range(count))


def measure(rows: list[Video], seconds: float, *, unchanged: bool) -> dict[str, Any]:
    """Ask for some rows again and again."""
    factory, user = RequestFactory(), User(username="staff", is_staff=True)
    query = {"id": [str(row.pk) for row in rows]}
    headers: dict[str, str] = {}

    def ask() -> Any:
        request = factory.get("/videos/", query, headers=headers)
        request.user = user
        return video_statuses(request)

    etag = ask()["ETag"]
    if unchanged:
        headers["If-None-Match"] = etag
    with CaptureQueriesContext(connection) as captured:
        status = ask().status_code
    count, started, worked = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        ask()
        count += 1
    rate = round(count / (time.perf_counter() - started))
    cost = round(1000 * (time.process_time() - worked) / count, 2)
    counted = {"rows": len(rows), "status": status, "queries": len(captured)}
    return {**counted, "per_second": rate, "cpu_ms": cost}


def main(arguments: list[str] | None = None) -> None:
    """Print one line of JSON for each case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    seconds = 0.2 if options.quick else options.seconds
    call_command("migrate", verbosity=0)
    old = timezone.now() - timedelta(hours=1)
    finished = old + timedelta(seconds=170)
    insert(HISTORY, "completed", created_at=old, post_started_at=old, finished_at=finished)
    # Of another length than the history: what is shown does not change while it is measured.
    rows = insert(50, "in_progress", progress=30, seconds=10)
    for count in (1, 50):
        for unchanged in (False, True):
            print(json.dumps(measure(rows[:count], seconds, unchanged=unchanged)), flush=True)


if __name__ == "__main__":
    main()
