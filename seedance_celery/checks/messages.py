"""The tag of this package's checks, and the shape of their messages."""

from __future__ import annotations

from typing import Final

from django.core import checks

__all__ = ["TAG", "error", "warning"]

TAG: Final = "seedance"


def error(number: int, message: str, hint: str) -> checks.Error:
    """Return an error; its id is made from its number."""
    return checks.Error(message, hint=hint, id=f"{TAG}.E{number:03}")


def warning(number: int, message: str, hint: str) -> checks.Warning:
    """Return a warning; its id is made from its number."""
    return checks.Warning(message, hint=hint, id=f"{TAG}.W{number:03}")
