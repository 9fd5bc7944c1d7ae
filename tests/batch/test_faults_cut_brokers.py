"""`tests/faults/test_cut_brokers.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.faults.test_cut_brokers import *  # noqa: F403

pytestmark = pytest.mark.full
