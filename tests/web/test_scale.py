"""The admin and the endpoint on PostgreSQL, with a million videos of three years."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from seedance_celery.admin.listing import MOST_ROWS
from seedance_celery.models import Video
from tests.harness.databases import Database
from tests.web.conftest import person

pytestmark = [
    pytest.mark.full,
    pytest.mark.parametrize("database", ["postgres"], indirect=True),
]

ROWS = 1_000_000
LIST = "/admin/seedance_celery/video/"
TABLE = Video._meta.db_table

# One in 25,000 renders, one in 20 failed; 10,000 rows are of another model.
STARTED = "now() - n * interval '96 seconds'"
OWN = {
    "id": "gen_random_uuid()",
    "api_id": "'task_' || n",
    "status": "CASE WHEN n % 25000 = 0 THEN 'in_progress' WHEN n % 20 = 0 THEN 'failed' "
    "ELSE 'completed' END",
    "created_at": STARTED,
    "post_started_at": STARTED,
    "finished_at": f"CASE WHEN n % 25000 <> 0 THEN {STARTED} + interval '90 seconds' END",
    "overdue_at": "CASE WHEN n % 25000 = 0 THEN now() + interval '1 minute' END",
    "model": "CASE WHEN n % 100 = 0 THEN 'seedance-2-5' ELSE 'doubao-seedance-2-0' END",
    "raw": "jsonb_build_object('text', repeat('x', 500))",
}


def fill() -> None:
    fields = Video._meta.concrete_fields
    values, params = [], []
    for field in fields:
        if field.column in OWN:
            values.append(OWN[field.column].replace("%", "%%"))
        else:
            values.append("NULL" if field.null else "%s")
            if not field.null:
                params.append(field.get_db_prep_save(field.get_default(), connection))
    columns = ", ".join(f'"{field.column}"' for field in fields)
    select = f"SELECT {', '.join(values)} FROM generate_series(1, {ROWS}) AS n"
    with connection.cursor() as cursor:
        cursor.execute(f'INSERT INTO "{TABLE}" ({columns}) {select}', params)
        cursor.execute(f'ANALYZE "{TABLE}"')


def plans(client: Client, url: str, query: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each statement about videos that a request makes, with its plan."""
    cache.clear()
    with CaptureQueriesContext(
        connection,
    ) as captured:
        answer = client.get(url, query)
    assert answer.status_code == 200
    statements = [q["sql"] for q in captured.captured_queries if f'FROM "{TABLE}"' in q["sql"]]
    return [(sql, _plan(sql)) for sql in statements]


def _plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {sql}".replace("%", "%%"), [])
        return "\n".join(row[0] for row in cursor.fetchall())


def _reads_all(plan: str) -> bool:
    # A scan that stops at a limit, having thrown nothing away, is cheap.
    return f"Seq Scan on {TABLE}" in plan and f"rows={MOST_ROWS} " not in plan


def test_no_page_reads_the_whole_table(database: Database) -> None:
    fill()
    boss = person("boss", is_staff=True, is_superuser=True)
    some = Video.objects.filter(status="in_progress").values_list("pk", flat=True)[:50]
    asked = [
        (LIST, {}),
        (LIST, {"p": 100}),
        (LIST, {"status__exact": "in_progress"}),
        (LIST, {"status__exact": "completed"}),
        (LIST, {"status__exact": "lost"}),
        (LIST, {"account": "default"}),
        (LIST, {"q": "task_777"}),
        (LIST, {"q": str(some[0])}),
        (LIST, {"created_at__year": 2025}),
        (LIST, {"created_at__year": 2025, "created_at__month": 3, "created_at__day": 4}),
        (f"{LIST}{some[0]}/change/", {}),
        ("/videos/", {"id": [str(pk) for pk in some]}),
    ]
    bad = []
    for url, query in asked:
        for sql, plan in plans(boss, url, query):
            took = float(re.findall(r"Execution Time: ([\d.]+)", plan)[0])
            if _reads_all(plan) or took > 100:
                bad.append((query, sql, plan))
    assert not bad, bad
    # A rare model has no index, which every poll would have to keep: its count reads the table.
    for _sql, plan in plans(boss, LIST, {"model": "seedance-2-5"}):
        assert float(re.findall(r"Execution Time: ([\d.]+)", plan)[0]) < 5000, plan
