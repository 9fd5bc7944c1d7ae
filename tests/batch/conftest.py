"""The fixtures of the core and fault suites, with batch pollers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from seedance_celery.testing import Seedance
from tests.conftest import SiteFactory
from tests.core import canvas
from tests.faults.conftest import new_flight, shared_site
from tests.faults.table import pytest_terminal_summary
from tests.harness.site import Site

__all__ = ["new_flight", "pytest_terminal_summary", "shared_site"]

BATCH = {"POLLER": "batch"}


@pytest.fixture
def kit(transactional_db: None) -> Iterator[Seedance]:
    """A started kit whose videos are polled in batches."""
    canvas.ran.clear()
    with Seedance(**BATCH) as seedance:
        yield seedance


@pytest.fixture
def new_site() -> Iterator[SiteFactory]:
    """Make sites whose workers poll in batches."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(batch_site(**options))


@pytest.fixture(scope="module")
def new_shared_site() -> Iterator[SiteFactory]:
    """Make such sites that end with the module."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(batch_site(**options))


def batch_site(seedance: dict[str, Any] | None = None, **options: Any) -> Site:
    return Site(seedance={**BATCH, **(seedance or {})}, **options)
