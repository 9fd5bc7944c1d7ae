"""Whether the database has this package's tables as the code knows them."""

from __future__ import annotations

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from .models import Video

__all__ = ["unapplied"]

LABEL = "seedance_celery"


def unapplied() -> list[str]:
    """Return the names of the migrations that the database that is written to has not seen."""
    executor = MigrationExecutor(connections[Video.objects.primary().db])
    targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == LABEL]
    return [migration.name for migration, _ in executor.migration_plan(targets)]
