"""Celery's queues for native delayed delivery, which every run on a RabbitMQ shares.

A worker that sees a quorum queue declares them under fixed names. They are removed by the last of
the test runs that overlap, and only if a test run made them.
"""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path
from typing import Any

from kombu import Connection

from . import names
from .brokers import waiting
from .services import RABBITMQ

NAME = "celery_delayed_"
LEVELS = 28
OURS = "made by a test run"


class DelayedQueues:
    """Hold this while a run may use them: a lock that runs share, on a file that remembers."""

    def __init__(self) -> None:
        host, port = RABBITMQ.address
        path = Path(tempfile.gettempdir(), f"{names.PREFIX}delayed_{host}_{port}.lock")
        self._file = path.open("a+")
        fcntl.flock(self._file, fcntl.LOCK_SH)
        with Connection(RABBITMQ.url, connect_timeout=5) as connection:
            if waiting(connection, f"{NAME}0") is None:
                self._file.write(OURS)
                self._file.flush()

    def release(self) -> None:
        """Leave them to the other runs; the last one removes them."""
        with self._file:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._file.seek(0)
            if self._file.read():
                _drop()
                self._file.truncate(0)


def _drop() -> None:
    with Connection(RABBITMQ.url, connect_timeout=5) as connection:
        channel: Any = connection.channel()
        for level in range(LEVELS):
            channel.queue_delete(f"{NAME}{level}")
            channel.exchange_delete(f"{NAME}{level}")
        channel.exchange_delete(f"{NAME}delivery")
