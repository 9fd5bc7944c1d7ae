"""System checks: what is wrong is said at start-up, with what to write.

None asks a network or a database, and none calls a key's callable.
"""

from __future__ import annotations

from . import celery_app, celery_tasks, database, settings

__all__ = ["celery_app", "celery_tasks", "database", "settings"]
