"""Global Celery settings of a project's own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import SiteFactory
from tests.faults.conftest import NewFlight
from tests.faults.flight import SLOW

SETTINGS: dict[str, dict[str, Any]] = {
    "time-limits": {"task_time_limit": 3, "task_soft_time_limit": 2},
    "late": {"task_acks_late": True, "task_reject_on_worker_lost": True},
    "hooks": {"task_annotations": ["tests.faults.annotations.Hooks"]},
    "rate-limit": {"task_annotations": {"*": {"rate_limit": "20/s"}}},
    "ignored-results": {"task_ignore_result": True},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_child_killed_under(new_site: SiteFactory, new_flight: NewFlight, name: str) -> None:
    results = "django-db" if name == "hooks" else "redis"
    site = new_site(speed=SLOW, celery=SETTINGS[name], results_in=results)
    worker = site.worker()
    flight = new_flight(site, 5).climb()
    worker.kill_child(worker.children()[-1])
    site.trap("publish.before.tests.keep", "kill")
    flight.land()


pytestmark = pytest.mark.full
