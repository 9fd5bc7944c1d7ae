"""`tests/core/test_database_failures.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.core.test_database_failures import *  # noqa: F403

pytestmark = pytest.mark.full
