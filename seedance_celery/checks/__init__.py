"""The system checks, which say at start-up what is wrong and what to write.

None asks a network or a database, and none calls a key's callable.
"""

from __future__ import annotations

from . import celery_app, celery_tasks, database, settings

__all__ = ["celery_app", "celery_tasks", "database", "settings"]
