"""Names that no other run uses, and the age of a run that forgot its own."""

from __future__ import annotations

import secrets
import time

PREFIX = "sct_"
STALE_AFTER = 6 * 3600.0
"""Seconds after which what bears our name belongs to a run that was killed."""


def unique() -> str:
    """Return a name for a database, a queue or a key prefix: `sct_<time>_<random>`.

    From the system's randomness: pytest-randomly gives every worker the same seed.
    """
    return f"{PREFIX}{int(time.time()):x}_{secrets.token_hex(4)}"


def is_stale(name: str) -> bool:
    """Tell whether a name is ours and old."""
    parts = name.removeprefix(PREFIX).split("_")
    if not name.startswith(PREFIX) or len(parts) < 2:
        return False
    try:
        return time.time() - int(parts[0], 16) > STALE_AFTER
    except ValueError:
        return False
