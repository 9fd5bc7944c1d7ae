"""What a site's processes do in these tests."""

from __future__ import annotations

import os
import threading
from typing import Any

from django.db import connections

from seedance_celery.db import pool
from seedance_celery.models import Video
from seedance_celery.shortcuts import track_video


def follow(count: int) -> None:
    for number in range(count):
        track_video(f"task_{number}", timeout=3600)


def backend() -> int:
    """Return the server's pid of the session that a statement runs on."""
    with pool.session("default") as session, session.connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def fork() -> dict[str, Any]:
    """Use a kept connection before, in and after a fork."""
    connections.close_all()
    pool.start()
    parents = backend()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, str(backend()).encode())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    found = {"parent": parents, "child": int(os.read(reader, 20) or 0), "status": status}
    return {**found, "after": backend()}


def compare() -> dict[str, Any]:
    """Write and read a row by the compiled statements, and read it by the ORM as well."""
    video = Video.objects.create(api_id="a", status="in_progress", poll_token=1, metadata={"a": 1})
    connections.close_all()
    pool.start()
    for _ in range(2):  # compiled, and used again
        row = Video.objects.find(str(video.pk))
        assert row is not None
        changes = {"raw": {"b": [2]}, "history": [["c", "d"]], "last_error": "e"}
        assert row.move(Video.POLLED, **changes, next_poll_at=row.now, progress=row.progress + 1)
        assert not row.move(("completed",), progress=99)
    compiled, usual = Video.objects.find(video.pk), video.current()
    assert compiled is not None
    names = [field.attname for field in Video._meta.concrete_fields] + ["troubled"]
    differing = [name for name in names if getattr(compiled, name) != getattr(usual, name)]
    connections.close_all()
    opened = connections["default"].connection is not None
    return {"differing": differing, "progress": compiled.progress, "opened": opened}


def race(count: int) -> int:
    """Move a row from threads that have read it at the same time; return how many won."""
    video = Video.objects.create(api_id="b", status="in_progress", poll_token=1)
    connections.close_all()
    pool.start()
    barrier = threading.Barrier(count)
    wins: list[bool] = []

    def move() -> None:
        row = Video.objects.find(video.pk)
        assert row is not None
        barrier.wait(20)
        wins.append(row.move(Video.POLLED, progress=1))

    threads = [threading.Thread(target=move) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(wins) == count
    return wins.count(True)
