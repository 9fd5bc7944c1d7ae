"""The right to download a video: for one process at a time, however many tasks want its file."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

from ..conf import get_settings
from ..db import clock

__all__ = ["StoreLease"]


class StoreLease:
    """The right to download one video's file.

    It is held while the row has the time that was last written: whoever lost it leaves another's.
    """

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self._until: datetime | None = None
        # A heartbeat renews the lease from a thread of its own.
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take it where nobody holds it; return whether it is held now."""
        return self._extend(self._rows.exclude(store_lease_until__gt=clock.now()))

    def renew(self) -> bool:
        """Hold it for longer; return whether it is still this process's."""
        with self._lock:
            return self._extend(self._held())

    def release(self) -> None:
        """Give it back, unless it is another's by now."""
        self._held().update(store_lease_until=None)

    def _held(self) -> Any:
        return self._rows.filter(store_lease_until=self._until)

    def _extend(self, rows: Any) -> bool:
        until = self._rows.values_list(clock.after(get_settings().resend_after), flat=True).first()
        won = bool(rows.update(store_lease_until=until))
        if won:
            self._until = until
        return won
