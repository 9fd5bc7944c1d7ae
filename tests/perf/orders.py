"""What a site's processes do in these tests."""

from __future__ import annotations

import os
from typing import Any

from django.db import connections

from seedance_celery import dbpool
from seedance_celery.shortcuts import track_video


def follow(count: int) -> None:
    for number in range(count):
        track_video(f"task_{number}", timeout=3600)


def backend() -> int:
    """Return the server's pid of the session that a statement runs on."""
    with dbpool.session("default") as session, session.connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def fork() -> dict[str, Any]:
    """Use a kept connection before, in and after a fork."""
    connections.close_all()
    dbpool.keep(is_worker=True)
    parents = backend()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, str(backend()).encode())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    found = {"parent": parents, "child": int(os.read(reader, 20) or 0), "status": status}
    return {**found, "after": backend()}
