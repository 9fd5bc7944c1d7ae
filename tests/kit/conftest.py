"""The kit's own tests. The sample project is run as the project of someone else, not from here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit import work

collect_ignore = ["sample_project"]


@pytest.fixture(autouse=True)
def _nothing_ran() -> Iterator[None]:
    work.ran.clear()
    yield
    work.ran.clear()
