"""`tests/faults/test_canvases.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.faults.test_canvases import *  # noqa: F403

pytestmark = pytest.mark.full
