"""`tests/faults/test_workers.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.faults.test_workers import *  # noqa: F403

pytestmark = pytest.mark.full
