"""`tests/core/test_main_job.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.core.test_main_job import *  # noqa: F403

pytestmark = pytest.mark.full
