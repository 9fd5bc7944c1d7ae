"""`tests/core/test_delivery.py` again, with batch pollers."""

from __future__ import annotations

import pytest

from tests.core.test_delivery import *  # noqa: F403

pytestmark = pytest.mark.full

# These count the messages of loops: `test_poller.py` has what takes their place.
del globals()["test_a_stale_loop_and_the_one_that_replaced_it_do_not_both_ask"]
del globals()["test_many_sweeps_at_once_send_each_row_once"]
