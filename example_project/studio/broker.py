"""A broker in a SQLite file, so that a first run needs no server.

It carries one machine's messages. In production set `CELERY_BROKER_URL` to Redis or RabbitMQ, and
this module goes away.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from celery import Celery
from kombu.transport import sqlalchemy

__all__ = ["OPTIONS", "declare", "embedded"]

OPTIONS = {"connect_args": {"timeout": 30}}
"""Seconds that a process waits while another one writes to the file."""


def embedded(path: Path) -> str:
    """Prepare the file and return the URL of its broker."""
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
    database.close()
    # A worker looks for messages this often. kombu would hand the transport option
    # "polling_interval" on to SQLAlchemy, which refuses it.
    sqlalchemy.Transport.polling_interval = 0.2
    return f"sqla+sqlite:///{path}"


def declare(app: Celery) -> None:
    """Make the file's tables and queue, before several processes would do so at once."""
    with app.connection_for_write() as connection:
        app.amqp.queues[app.conf.task_default_queue].bind(connection.default_channel).declare()
