"""Renewing a lease from a thread, while something slow runs in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType

from django.db import Error, connections

logger = logging.getLogger(__name__)

LONGEST = 6 * 3600.0
"""Seconds after which the work counts as hung: its lease is renewed no more, and may expire."""


class Heartbeat:
    """Renew a lease every `every` seconds, from a thread of its own.

    The first renewal comes after `every` seconds, so quick work costs no statement. `renew`
    returns whether the lease was still this process's; once it was not, it is called no more.
    """

    def __init__(self, renew: Callable[[], int], every: float) -> None:
        self._renew = renew
        self._every = every
        self._renewed_at = monotonic()
        self._is_lost = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="seedance-lease", daemon=True)

    def start(self) -> Heartbeat:
        """Start to renew the lease, until `stop()` is called."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop renewing the lease, which then holds until its last renewal expires."""
        self._done.set()
        self._thread.join()

    def is_held(self) -> bool:
        """Tell whether the lease still is this process's, before a step that cannot be undone.

        It asks the database only after a pause in which nothing was renewed: of a process that
        was suspended, say.
        """
        if not self._is_lost and monotonic() - self._renewed_at > 2 * self._every:
            self._beat()
        return not self._is_lost

    __enter__ = start

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        beats = int(LONGEST / self._every)
        while beats and not self._is_lost and not self._done.wait(self._every):
            beats -= 1
            try:
                self._beat()
            finally:
                connections.close_all()

    def _beat(self) -> None:
        try:
            is_held = bool(self._renew())
        except Error as error:
            logger.info("A lease was not renewed (%s)", type(error).__name__)
            return
        self._renewed_at = monotonic()
        if not is_held:
            self._is_lost = True
            logger.info("A lease was lost: another process goes on")
