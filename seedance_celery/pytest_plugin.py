"""The pytest plugin: the `seedance` fixture.

Loaded before Django is set up, so it imports nothing of the package until the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .testing import Seedance

__all__ = ["seedance"]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "seedance(*, http=False, **settings): how the `seedance` fixture is started: "
        "served on a port, and with SEEDANCE settings of its own.",
    )


@pytest.fixture
def seedance(request: pytest.FixtureRequest, db: None) -> Iterator[Seedance]:
    """A simulated API and time that passes at once; see `seedance_celery.testing.Seedance`.

    Asks for the database itself; with `transactional_db` beside it, that one is used. The marker
    `@pytest.mark.seedance(http=True, TIMEOUT=60)` gives it options.
    """
    # By name in the signature: pytest-django makes no database for what is asked for later.
    from .testing import Seedance

    options: dict[str, Any] = {}
    for marker in request.node.iter_markers("seedance"):
        options = {**marker.kwargs, **options}
    with Seedance(**options) as kit:
        yield kit
