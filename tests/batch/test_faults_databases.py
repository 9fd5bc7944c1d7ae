"""`tests/faults/test_databases.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.faults.test_databases import *  # noqa: F403

pytestmark = pytest.mark.full
