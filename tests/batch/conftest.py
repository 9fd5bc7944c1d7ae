"""The fixtures of the core and fault suites, with batch pollers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from seedance_celery.testing import Seedance
from tests.conftest import SiteFactory
from tests.core import canvas, test_crashes
from tests.faults.conftest import NewFlight, cut_site, new_place, shared_site
from tests.faults.flight import Flight
from tests.harness.site import Site

__all__ = ["cut_site", "new_place", "shared_site"]

BATCH = {"POLLER": "batch"}


@pytest.fixture
def kit(transactional_db: None) -> Iterator[Seedance]:
    """A started kit whose videos are polled in batches."""
    canvas.ran.clear()
    with Seedance(http=True, **BATCH) as seedance:
        yield seedance


@pytest.fixture(autouse=True)
def mortal_kits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kits that the suite of crashes makes poll in batches, too."""
    monkeypatch.setitem(test_crashes.FAST, "POLLER", "batch")


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


def batch_site(seedance: Mapping[str, Any] | None = None, **options: Any) -> Site:
    """Make a site whose processes poll in batches, unless `seedance` says otherwise."""
    return Site(seedance={**BATCH, **(seedance or {})}, **options)


@pytest.fixture
def new_flight(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> NewFlight:
    """Make the videos of this test: `new_flight(site, count)`."""
    scenario = f"batch: {request.node.name.removeprefix('test_')}"
    return lambda site, count=6, **more: Flight(site, scenario, count, record_property, **more)
