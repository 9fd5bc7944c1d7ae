"""Retries of a write that must not be lost, while the database is away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import Error, connections

from . import clock

T = TypeVar("T")

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


def insist(write: Callable[[], T], seconds: float, using: str) -> T:
    """Return what `write` returns, and try again for about `seconds` while the database is away.

    Use it for what has happened already and cannot be undone, such as a message that was sent. If
    only the database's answer was lost, `write` runs a second time after it has taken effect, so
    it must not mind that. Raises the database's own error once the time is up, and at once inside
    an atomic block, because the transaction is lost with its connection.
    """
    waited, pause = 0.0, FIRST_PAUSE
    while True:
        try:
            return write()
        except Error as error:
            if waited >= seconds or connections[using].in_atomic_block:
                raise
            logger.info("A write is tried again: the database is away (%s)", type(error).__name__)
            connections[using].close_if_unusable_or_obsolete()
        clock.sleep(pause)
        waited += pause
        pause = min(2 * pause, LONGEST_PAUSE)
