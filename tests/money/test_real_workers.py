"""Servers that take the money, workers that are killed, messages that come twice: bought once.

Every video has a prompt of its own, which names what the server does with its create. The server
counts what it charged for.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from typing import Any

import pytest

from tests.conftest import SiteFactory, matrix
from tests.core.test_money import BOUGHT_AND_LOST, BOUGHT_AND_TOLD, REFUSED
from tests.harness.site import Site
from tests.money import orders

CREATE_TIMEOUT = 4
SEEDANCE = {"CREATE_TIMEOUT": CREATE_TIMEOUT}
STALLED = ("create_stalled=2", "create_stalled=30", "create_late=2", "create_late=30")
TELLING = ("create_dropped", "create_garbled", "create_truncated_with_id", "create_400")
SITES = {
    "redis": ("postgres", "prefork"),
    "rabbitmq": ("mariadb", "threads"),
    "rabbitmq-quorum": ("postgres", "prefork"),
    "sqla": ("sqlite", "prefork"),
}


def prompts(kind: str, *scenarios: str) -> list[str]:
    """Return a prompt of its own for each scenario."""
    return [f"{kind} {number} [{scenario}]" for number, scenario in enumerate(scenarios)]


def charged(site: Site) -> Counter[str]:
    """Return how often each prompt was paid for."""
    return Counter(video.order.prompt for video in site.simulator.app.videos.values())


def order(site: Site, scenarios: list[str]) -> set[str]:
    """Order each twice over: by messages that come twice, and from two web processes at once."""
    by_task, by_row = prompts("task", *scenarios), prompts("row", *scenarios)
    drivers = [site.driver(), site.driver()]
    threads = [threading.Thread(target=d.call, args=(orders.rows, by_row)) for d in drivers]
    for thread in threads:
        thread.start()
    site.call(orders.tasks, by_task)
    for thread in threads:
        thread.join()
    return {*by_task, *by_row}


def check(site: Site, asked: set[str], *, killed: bool = False) -> None:
    """Check that nothing was bought twice, and that all that was bought can be seen.

    A message that a killed worker had taken and not begun is the broker's to deliver again, in an
    hour: it has bought nothing, and has no row.
    """
    site.wait_until(lambda: not site.call(orders.left), 120, "every row is settled")
    paid = charged(site)
    assert max(paid.values()) == 1
    assert set(paid) <= asked
    rows: dict[str, dict[str, Any]] = {row["prompt"]: row for row in site.call(orders.seen)}
    unsent = {p for p in asked - set(rows) if killed and p.startswith("task")}
    assert set(rows) == asked - unsent >= set(paid)
    assert len(site.call(orders.seen)) == len(rows)
    for prompt, row in rows.items():
        if prompt in paid:
            assert row["status"] in ("completed", "create_unknown"), (row, site.logs())
        elif any(scenario in prompt for scenario in REFUSED):
            # A worker that dies with the refusal in its hands leaves a doubt, not a purchase.
            assert row["status"] in ("rejected", "create_unknown"), row
        else:
            assert row["status"] == "create_unknown", row
    by_id = {video.api_id: video.order.prompt for video in site.simulator.app.videos.values()}
    assert all(by_id[row["api_id"]] == row["prompt"] for row in rows.values() if row["api_id"])
    completed = {p for p, row in rows.items() if row["status"] == "completed"}
    # What a killed worker had taken of the next tasks is the broker's: they have been published.
    due = completed if not killed else completed - set(site.call(orders.published))
    site.wait_until(lambda: due <= continued(site) <= completed, 60, "every chain has gone on")


def continued(site: Site) -> set[str]:
    """Return the prompts whose next task has run."""
    return {str(event["tag"]) for event in site.events.all(event="task", name="keep")}


def kill_in_the_post(site: Site, times: int) -> int:
    """Kill a child, or a whole worker, each time that a create waits for its answer."""
    killed = 0
    ends_at = time.monotonic() + 60
    for number in itertools.count():
        if killed == times or time.monotonic() > ends_at:
            return killed
        before = site.simulator.app.charges
        try:
            site.wait_until(lambda seen=before: site.simulator.app.charges > seen, 5)
        except AssertionError:
            if not site.call(orders.left):
                return killed
            continue
        worker = site.workers[number % len(site.workers)]
        if number % 2 and worker.children():
            worker.kill_child(worker.children()[-1])
        else:
            worker.kill()
            site.worker()
        killed += 1
    raise AssertionError("unreachable")


def test_workers_that_die_in_the_post_buy_nothing_twice(new_site: SiteFactory) -> None:
    site = new_site(seedance=SEEDANCE, results_in="none", speed=4)
    site.worker()
    site.worker()
    asked = order(site, [*STALLED, *TELLING])
    assert kill_in_the_post(site, 3) >= 2
    check(site, asked, killed=True)


@pytest.mark.full
@pytest.mark.parametrize("broker", SITES)
def test_every_way_to_lose_a_reply_buys_once(new_site: SiteFactory, broker: str) -> None:
    database, pool = SITES[broker]
    site = new_site(broker=broker, database=database, seedance=SEEDANCE, results_in="none", speed=4)
    site.worker(pool=pool)
    every = [*BOUGHT_AND_TOLD, *BOUGHT_AND_LOST, *REFUSED, *STALLED]
    check(site, order(site, every))


@pytest.mark.full
@pytest.mark.parametrize("broker", SITES)
def test_every_way_to_lose_a_reply_under_kills_buys_once(
    new_site: SiteFactory, broker: str
) -> None:
    site = new_site(
        broker=broker, database=SITES[broker][0], seedance=SEEDANCE, results_in="none", speed=4
    )
    site.worker()
    site.worker()
    asked = order(site, [*BOUGHT_AND_TOLD, *BOUGHT_AND_LOST, *REFUSED, *STALLED, *STALLED])
    assert kill_in_the_post(site, 8) >= 4
    check(site, asked, killed=True)


@pytest.mark.parametrize("kind", matrix(("postgres",), ("postgres", "mariadb", "sqlite")))
def test_workers_keep_to_the_limits_of_an_account(new_site: SiteFactory, kind: str) -> None:
    limits = {"MAX_IN_FLIGHT": 3, "MAX_CREATES": 9}
    site = new_site(database=kind, seedance=limits, results_in="none", speed=4)
    site.worker()
    site.worker(pool="threads", concurrency=4)
    asked = prompts("row", *["normal"] * 12)
    site.call(orders.rows, asked)
    site.wait_until(lambda: not site.call(orders.left), 90, "every row is settled")
    statuses = Counter(row["status"] for row in site.call(orders.seen))
    assert statuses == {"completed": 9, "rejected": 3}
    app = site.simulator.app
    assert app.charges == 9
    spans = [(v.created_at, v.ended_at) for v in app.videos.values()]
    assert max(sum(a <= t < b for a, b in spans) for t, _ in spans) <= 3
