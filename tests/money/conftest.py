"""A kit, as the core tests have it."""

from __future__ import annotations

from tests.core.conftest import kit

__all__ = ["kit"]
