"""Where a scenario plays: a broker and a database, each in its usual company."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import matrix

PLACES = {
    "redis": ("redis", "postgres"),
    "rabbitmq": ("rabbitmq", "postgres"),
    "rabbitmq-quorum": ("rabbitmq-quorum", "postgres"),
    "sqlite": ("redis", "sqlite"),
    "embedded": ("sqla", "sqlite"),
}
SERVERS = ("redis", "rabbitmq", "rabbitmq-quorum")
"""The places whose broker can be cut off."""


def options(place: str, **more: Any) -> dict[str, Any]:
    """Return what `Site` needs for a place."""
    broker, database = PLACES[place]
    return {"broker": broker, "database": database, "results_in": "none", **more}


def everywhere(*core: str, of: tuple[str, ...] = tuple(PLACES)) -> Any:
    """Play a scenario at the `core` places, and at all `of` them in the full matrix."""
    return pytest.mark.parametrize("place", matrix(core, of))
