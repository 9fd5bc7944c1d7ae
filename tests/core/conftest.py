"""In-process tests of the whole package: the real ORM, HTTP to the simulator, no worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seedance_celery.testing import Seedance
from tests.core import canvas


@pytest.fixture
def kit(transactional_db: None) -> Iterator[Seedance]:
    """A started kit, on a database whose commits are real."""
    canvas.ran.clear()
    with Seedance(http=True) as seedance:
        yield seedance
