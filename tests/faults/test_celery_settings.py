"""Global Celery settings of a project's own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import SiteFactory, matrix
from tests.faults import orders
from tests.faults.conftest import WATCHED, NewFlight
from tests.faults.flight import SLOW

LIMITS = {"task_time_limit": 3, "task_soft_time_limit": 2}
LATE = {"task_acks_late": True, "task_reject_on_worker_lost": True}
EARLY = {"task_acks_late": False, "task_acks_on_failure_or_timeout": False}
HOOKS = {"task_annotations": ["tests.faults.annotations.Hooks"]}
RATE = {"task_annotations": {"*": {"rate_limit": "20/s"}}}
IGNORED = {"task_ignore_result": True, "task_store_errors_even_if_ignored": True}
BASE = {"task_cls": "tests.faults.base:Base"}

SETTINGS: dict[str, dict[str, Any]] = {
    "limits-and-late": {**LIMITS, **LATE, **IGNORED},
    "base-and-hooks": {**BASE, **HOOKS, **EARLY},
    "limits": LIMITS,
    "late": LATE,
    "early": EARLY,
    "hooks": HOOKS,
    "rate": RATE,
    "ignored": IGNORED,
    "base": BASE,
}
RESULTS = {"base-and-hooks": "django-db", "hooks": "django-db", "limits-and-late": "redis"}
MOMENTS = ("sql.ended", "publish.before.tests.keep", "sql.published")


@pytest.mark.parametrize("name", matrix(("limits-and-late", "base-and-hooks"), tuple(SETTINGS)))
def test_children_killed_under(new_site: SiteFactory, new_flight: NewFlight, name: str) -> None:
    results = RESULTS.get(name, "none")
    site = new_site(speed=SLOW, celery=SETTINGS[name], results_in=results, env=WATCHED)
    worker = site.worker()
    flight = new_flight(site).climb()
    worker.kill_child(worker.children()[-1])
    for moment in MOMENTS:
        site.trap(moment, "kill")
    flight.land()
    assert site.events.count(event="trap") == len(MOMENTS)
    failures = [e for e in site.events.all(event="hook", name="on_failure") if "poll" in e["task"]]
    assert not failures


def test_a_slow_create_under_global_time_limits(
    new_site: SiteFactory, new_flight: NewFlight
) -> None:
    """It takes four seconds where the project allows three: the package bounds it by itself."""
    site = new_site(speed=SLOW, celery={**LIMITS, **LATE}, results_in="none")
    site.worker()
    site.simulator.app.fault("late=4", routes=["create"])
    flight = new_flight(site, 2).climb()
    flight.land()


def test_a_pickled_argument_in_a_later_step(new_site: SiteFactory, new_flight: NewFlight) -> None:
    """Such a canvas waits by retrying: a child that is killed gives its message back."""
    pickles = {"task_serializer": "pickle", "accept_content": ["pickle", "json"]}
    site = new_site(broker="rabbitmq", speed=SLOW, celery=pickles, results_in="none")
    worker = site.worker(env={"C_FORCE_ROOT": "1"})
    flight = new_flight(site, 3).take_off(orders.with_sets)
    site.wait_until(lambda: site.call(orders.followed) == 3, 30, "all are bought")
    worker.kill_child(worker.children()[-1])
    flight.land()
