"""`tests/faults/test_crashes.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.faults.test_crashes import *  # noqa: F403

pytestmark = pytest.mark.full
