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
def seedance(db: None) -> Iterator[Seedance]:
    """A simulated API and time that passes at once; see `seedance_celery.testing.Seedance`.

    Asks for the database itself; with `transactional_db` beside it, that one is used.
    """
    # By name in the signature: pytest-django makes no database for what is asked for later.
    from .testing import Seedance

    with Seedance() as kit:
        yield kit
