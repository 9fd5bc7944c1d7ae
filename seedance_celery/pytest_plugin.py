"""The pytest plugin: the `seedance` fixture.

Loaded before Django is set up, so it imports nothing of the package until the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import Seedance

__all__ = ["seedance"]


@pytest.fixture
def seedance(request: pytest.FixtureRequest) -> Iterator[Seedance]:
    """A simulated API and time that passes at once; see `seedance_celery.testing.Seedance`.

    Needs the database: where the test asks for none itself, `db` is requested.
    """
    if "transactional_db" not in request.fixturenames:
        request.getfixturevalue("db")
    from .testing import Seedance

    with Seedance() as kit:
        yield kit
