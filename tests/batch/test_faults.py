"""The most telling faults of `tests/faults`, with batch pollers. The full matrix has them all."""

from __future__ import annotations

from tests.faults.test_brokers import test_a_wiped_broker
from tests.faults.test_workers import test_a_killed_worker, test_lost_loops_without_beat

__all__ = ["test_a_killed_worker", "test_a_wiped_broker", "test_lost_loops_without_beat"]
