"""Writing down what cannot be taken back, for as long as the database is away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import Error, connections

from . import clock

__all__ = ["insist"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


def insist(write: Callable[[], T], seconds: float, using: str) -> T:
    """Return what `write` returns, trying for about so many seconds while the database is away.

    `write` may be run again after it was carried out, where only its answer was lost. Raises the
    database's own error in the end, or at once inside an atomic block, whose transaction is lost.
    """
    waited, pause = 0.0, FIRST_PAUSE
    while True:
        try:
            return write()
        except Error as error:
            if waited >= seconds or connections[using].in_atomic_block:
                raise
            logger.info("What has happened is not written yet (%s)", type(error).__name__)
            connections[using].close_if_unusable_or_obsolete()
        clock.sleep(pause)
        waited += pause
        pause = min(2 * pause, LONGEST_PAUSE)
