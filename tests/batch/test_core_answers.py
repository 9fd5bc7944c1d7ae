"""`tests/core/test_answers.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.core.test_answers import *  # noqa: F403

pytestmark = pytest.mark.full
