"""`tests/faults/test_celery_settings.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.faults.test_celery_settings import *  # noqa: F403

pytestmark = pytest.mark.full
