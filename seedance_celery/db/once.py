"""Warnings that would repeat with every page view or sweep are logged once by each process."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["forget", "warn_once"]

REMEMBERED = 1000
"""How many warnings are remembered. The oldest are forgotten first and would be logged again."""

_logged: OrderedDict[Hashable, None] = OrderedDict()


def warn_once(logger: logging.Logger, key: Hashable, message: str, *args: object) -> None:
    """Log a warning, unless this process has logged one with the same key before."""
    if key in _logged:
        return
    _logged[key] = None
    while len(_logged) > REMEMBERED:
        _logged.popitem(last=False)
    logger.warning(message, *args)


def forget() -> None:
    """Forget which warnings were logged, for tests."""
    _logged.clear()
