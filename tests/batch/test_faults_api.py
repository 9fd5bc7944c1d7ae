"""`tests/faults/test_api.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.faults.test_api import *  # noqa: F403

pytestmark = pytest.mark.full
