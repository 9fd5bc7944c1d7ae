"""`tests/core/test_money.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.core.test_money import *  # noqa: F403

pytestmark = pytest.mark.full
