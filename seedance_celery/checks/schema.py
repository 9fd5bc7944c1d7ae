"""Whether the database has this package's tables as the code knows them."""

from __future__ import annotations

from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from ..db import pool
from ..models import Video

__all__ = ["unapplied"]

LABEL = "seedance_celery"
APPLIED = MigrationRecorder.Migration._meta.db_table


def unapplied() -> list[str]:
    """Return the names of the migrations that the database that is written to has not seen."""
    known = sorted(n for app, n in MigrationLoader(None).disk_migrations if app == LABEL)
    # Django's own recorder would open this thread's connection, and a pool of the project's.
    with pool.borrowed(Video.objects.primary().db) as connection, connection.cursor() as cursor:
        if APPLIED not in connection.introspection.table_names(cursor):
            return known
        cursor.execute(f"SELECT name FROM {APPLIED} WHERE app = %s", [LABEL])  # noqa: S608
        applied = {name for (name,) in cursor.fetchall()}
    return [name for name in known if name not in applied]
