"""The compiled statements do what the ORM's do, on each database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import SiteFactory
from tests.harness.databases import KINDS
from tests.harness.site import Site
from tests.perf import orders


@pytest.fixture(scope="module", params=KINDS)
def site(request: pytest.FixtureRequest, new_shared_site: SiteFactory) -> Iterator[Site]:
    made = new_shared_site(
        broker="sqla", database=request.param, results_in="none", simulator=False
    )
    yield made
    made.close()


def test_a_row_comes_back_as_the_orm_reads_it(site: Site) -> None:
    assert site.call(orders.compare) == {"differing": [], "progress": 2, "opened": False}


def test_one_of_many_wins_a_move(site: Site) -> None:
    assert site.call(orders.race, 6) == 1
