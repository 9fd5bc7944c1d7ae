"""`tests/faults/test_brokers.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.faults.test_brokers import *  # noqa: F403

pytestmark = pytest.mark.full
