"""`tests/core/test_delivery.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.core.test_delivery import *  # noqa: F403

pytestmark = pytest.mark.full
