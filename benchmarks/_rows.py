"""What rows in flight make of PostgreSQL: plans, sizes, dead rows, and the cost of a poll's rows.

The statements are the package's own, on a database of its own. Nothing is asked over HTTP: a round
claims every row and writes it back, as a poll does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from tests.harness import databases
from tests.harness.processes import ROOT

from ._table import table

ROUNDS = 3
CLAIM = 200


def measure_rows(count: int) -> None:
    """Fill a database with so many rows in flight and measure it, in a process of its own."""
    database = databases.create("postgres")
    try:
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "TEST_DATABASE_URL": database.url,
            "TEST_SEEDANCE": '{"API_KEY": "sk-none", "POLLER": "batch"}',
        }
        command = [sys.executable, "-m", "benchmarks._rows", str(count)]
        subprocess.run(command, env=env, cwd=ROOT, check=True)
    finally:
        database.drop()


def fill(count: int) -> None:
    """Insert rows in flight, and as many that have ended."""
    from datetime import timedelta

    from django.utils import timezone

    from seedance_celery.models import Video

    now = timezone.now()
    for start in range(0, count, 5000):
        rows = []
        for number in range(start, min(start + 5000, count)):
            at = now - timedelta(seconds=20 - 20 * number / count)
            raw = {"id": f"task_{number:030}", "status": "in_progress", "progress": 30}
            shared: dict[str, Any] = {
                "model": "doubao-seedance-2-0",
                "raw": raw,
                "prompt": "x" * 200,
            }
            rows.append(
                Video(
                    api_id=f"task_{number:030}",
                    status=Video.Status.IN_PROGRESS,
                    next_poll_at=at,
                    overdue_at=at + timedelta(seconds=60),
                    deadline_at=now + timedelta(hours=1),
                    poll_token=1,
                    **shared,
                )
            )
            rows.append(
                Video(
                    api_id=f"done_{number:030}",
                    status=Video.Status.COMPLETED,
                    finished_at=now,
                    announced_at=now,
                    **shared,
                )
            )
        Video.objects.bulk_create(rows, batch_size=2000)


def poll_all(count: int) -> list[str]:
    """Claim as many rows as there are, the longest due first, and write them back.

    Returns, for one row, the time in all, the CPU of this process, and the server's log. The log is
    the whole server's.
    """
    from datetime import timedelta

    from seedance_celery.polling.bulk import claim, move_all

    wal = wal_position()
    wall, cpu, done = time.perf_counter(), time.process_time(), 0
    while done < count:
        rows = claim("default", CLAIM, 3600)
        later = rows[0].now  # due again at once, after all the others
        done += len(
            move_all(
                [
                    (
                        row,
                        {
                            "progress": (row.progress + 1) % 99,
                            "raw": {"id": row.api_id, "status": "in_progress", "progress": 31},
                            "answered_at": row.now,
                            "asked_at": row.now,
                            "polls": row.polls + 1,
                            "next_poll_at": later,
                            "overdue_at": later + timedelta(seconds=60),
                        },
                    )
                    for row in rows
                ]
            )
        )
    assert done == count, f"{done} of {count} rows were written"
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    wal = wal_position() - wal
    return [f"{1000 * wall / count:.3f}", f"{1000 * cpu / count:.3f}", f"{wal / count / 1000:.1f}"]


def wal_position() -> int:
    """Return the bytes that the server has written to its log so far."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        return int(cursor.fetchone()[0])


def explain(what: str, queryset: Any) -> list[str]:
    """Return a line of a table: how PostgreSQL runs a query, and how long it takes."""
    text = queryset.explain(analyze=True, buffers=True)
    lines = text.splitlines()
    scan = next(line.strip(" ->") for line in lines if "Scan" in line)
    took = next(line.split(": ")[1] for line in lines if "Execution Time" in line)
    return [what, f"`{scan.split('  (')[0]}`", took]


def sizes() -> list[str]:
    """Return the sizes of the table and its indexes, and its dead rows."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT pg_size_pretty(pg_table_size(c.oid)), pg_size_pretty(pg_indexes_size(c.oid)),"
            " s.n_dead_tup, s.n_tup_upd, s.n_tup_hot_upd, s.autovacuum_count"
            " FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid"
            " WHERE c.relname = 'seedance_celery_video'"
        )
        table, indexes, dead, updated, hot, vacuums = cursor.fetchone()
    share = f"{100 * hot / updated:.0f} %" if updated else "-"
    return [table, indexes, f"{dead:,}", f"{updated:,}", share, str(vacuums)]


def main(count: int) -> None:
    """Print the tables."""
    import django

    django.setup()
    from django.db import connection

    from seedance_celery.db import clock
    from seedance_celery.models import KeptTask, Poller, Video

    fill(count)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    version = connection.cursor().execute("SHOW server_version").fetchone()[0]
    print(f"\n### {count:,} rows in flight and as many that have ended, PostgreSQL {version}")
    now = clock.now()
    polled = Video.objects.polled().filter(account="default")
    due = polled.filter(next_poll_at__lte=now).with_now().order_by("next_poll_at")[:CLAIM]
    following = polled.filter(next_poll_at__isnull=False).order_by("next_poll_at")[:1]
    overdue = Video.objects.with_now().filter(overdue_at__lte=now).order_by("overdue_at")[:500]
    kept = KeptTask.objects.unfinished().filter(due_at__lte=now).order_by("due_at")[:500]
    queries = [
        (f"claim: up to {CLAIM} due rows", due),
        ("when the next one is due", following),
        ("sweep: overdue videos", overdue),
        ("sweep: due tasks", kept),
        ("sweep: batch pollers", Poller.objects.filter(overdue_at__isnull=False)),
    ]
    table(["query", "plan", "time"], [explain(what, rows) for what, rows in queries])
    lines = [["before", *sizes(), "", "", ""]]
    for number in range(1, ROUNDS + 1):
        cost = poll_all(count)
        lines.append([f"after {number} polls of each", *sizes(), *cost])
    head = ["", "table", "indexes", "dead rows", "updates", "HOT", "autovacuums"]
    table([*head, "ms per row", "of CPU here", "kB of log"], lines)


if __name__ == "__main__":
    main(int(sys.argv[1]))
