"""Times as people write them on a command line."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError

__all__ = ["duration", "spelled"]

UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+|\d+(?:\.\d+)?", re.ASCII)
_PART = re.compile(r"([\d.]+)([dhms]?)", re.ASCII)
LONGEST = 100 * 366 * 86400.0


def duration(text: str) -> float:
    """Return the seconds of a time such as `90d`, `12h`, `1h30m`, `45s` or `45`."""
    if not _DURATION.fullmatch(text.strip()):
        raise ArgumentTypeError(f"{text!r} is not a time such as 90d, 12h, 30m or 45s")
    parts = _PART.findall(text)
    seconds = sum(float(number) * UNITS[unit or "s"] for number, unit in parts)
    if not 0 < seconds <= LONGEST:
        raise ArgumentTypeError(f"{text!r} must be above 0 and below 100 years")
    return seconds


def spelled(seconds: float) -> str:
    """Return a time in its two largest units: `2h 5m`, `45s`."""
    left = round(seconds)
    parts = []
    for unit, length in UNITS.items():
        count, left = divmod(left, int(length))
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
