"""`tests/faults/test_crashes_of_errbacks.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.faults.test_crashes_of_errbacks import *  # noqa: F403

pytestmark = pytest.mark.full
