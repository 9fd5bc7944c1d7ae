"""`tests/core/test_crashes.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.core.test_crashes import *  # noqa: F403

pytestmark = pytest.mark.full
