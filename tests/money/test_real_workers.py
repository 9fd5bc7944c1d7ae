"""Servers that take the money, workers that are killed, messages that come twice: bought once.

Every video has a prompt of its own, which names what the server does with its create. The server
counts what it charged for.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from tests.conftest import SiteFactory, matrix
from tests.core.test_money import BOUGHT_AND_LOST, BOUGHT_AND_TOLD, REFUSED
from tests.harness.site import KEY, Site
from tests.money import orders

CREATE_TIMEOUT = 4
SEEDANCE = {"CREATE_TIMEOUT": CREATE_TIMEOUT}
UNTIL_GIVEN_UP = ("create_stalled=30", "create_late=30")
"""A create that waits for its answer until `CREATE_TIMEOUT`."""
STALLED = ("create_stalled=2", "create_late=2", *UNTIL_GIVEN_UP)
USES_UP = ("create_402", "create_403_quota")
"""Refusals that pause every further create of the account, for five minutes."""
EVERY = (*BOUGHT_AND_TOLD, *BOUGHT_AND_LOST, *REFUSED, *STALLED)
CONCURRENCY = 2
DIED = "the process that sent the create died before the reply"
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


def asked_for(scenarios: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the prompts of what `create_video` and `generate_video` are asked for."""
    return prompts("task", *scenarios), prompts("row", *scenarios)


def settings(scenarios: Sequence[str]) -> dict[str, Any]:
    """Return settings that give an account of its own to each create that uses one up.

    Five minutes of pause are the package's answer to such a refusal, and would hold the others.
    """
    every = itertools.chain(*asked_for(scenarios))
    spent = [prompt for prompt in every if any(scenario in prompt for scenario in USES_UP)]
    return {**SEEDANCE, "ACCOUNTS": {prompt: {"API_KEY": KEY} for prompt in spent}}


def order(site: Site, scenarios: Sequence[str]) -> set[str]:
    """Order each twice over: by messages that come twice, and from two web processes at once."""
    by_task, by_row = asked_for(scenarios)
    drivers = [site.driver(), site.driver()]
    threads = [threading.Thread(target=d.call, args=(orders.rows, by_row)) for d in drivers]
    for thread in threads:
        thread.start()
    site.call(orders.tasks, by_task)
    for thread in threads:
        thread.join()
    return {*by_task, *by_row}


def check(site: Site, asked: set[str], *, killed: int = 0) -> None:
    """Check that nothing was bought twice, and that all that was bought can be seen.

    `killed` is how often a create was killed. A message that a killed worker had taken and not
    begun is the broker's to deliver again, in an hour: it has bought nothing, and has no row.
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
    assert sum(DIED in row["reason"] for row in rows.values()) >= killed
    by_id = {video.api_id: video.order.prompt for video in site.simulator.app.videos.values()}
    assert all(by_id[row["api_id"]] == row["prompt"] for row in rows.values() if row["api_id"])
    completed = {p for p, row in rows.items() if row["status"] == "completed"}
    # What a killed worker had taken of the next tasks is the broker's: they have been published.
    due = completed if not killed else completed - set(site.call(orders.published))
    site.wait_until(lambda: due <= continued(site) <= completed, 60, "every chain has gone on")


def continued(site: Site) -> set[str]:
    """Return the prompts whose next task has run."""
    return {str(event["tag"]) for event in site.events.all(event="task", name="keep")}


def kill_in_the_post(site: Site, times: int) -> None:
    """Kill by turns the children of one worker, and the whole other one, while creates wait."""
    since = 0.0
    for number in range(times):
        # More wait than the other worker has children: whichever is killed, it is a create's.
        busy = partial(are_in_the_post, site, CONCURRENCY + 1, since)
        site.wait_until(busy, message="creates wait for their answers")
        if number % 2:
            site.workers[1].kill()
            site.start_worker(concurrency=CONCURRENCY)
        else:
            site.workers[0].kill_children_at_work()
        since = site.simulator.app.now()


def are_in_the_post(site: Site, count: int, since: float) -> bool:
    """Tell whether so many creates that were sent after `since` still wait for their answer."""
    app = site.simulator.app
    begun = max(since, app.now() - CREATE_TIMEOUT + 1)
    sent = [v.order.prompt for v in list(app.videos.values()) if v.created_at > begun]
    return sum(any(name in prompt for name in UNTIL_GIVEN_UP) for prompt in sent) >= count


def two_workers(new_site: SiteFactory, scenarios: Sequence[str], **options: Any) -> Site:
    """Return a site whose two workers have as many children each."""
    site = new_site(seedance=settings(scenarios), results_in="none", speed=4, **options)
    site.worker(concurrency=CONCURRENCY)
    site.worker(concurrency=CONCURRENCY)
    return site


def test_workers_that_die_in_the_post_buy_nothing_twice(new_site: SiteFactory) -> None:
    scenarios = [*UNTIL_GIVEN_UP * 2, *STALLED, *TELLING]
    site = two_workers(new_site, scenarios)
    asked = order(site, scenarios)
    kill_in_the_post(site, 2)
    check(site, asked, killed=2)


@pytest.mark.full
@pytest.mark.parametrize("broker", SITES)
def test_every_way_to_lose_a_reply_buys_once(new_site: SiteFactory, broker: str) -> None:
    database, pool = SITES[broker]
    places = {"broker": broker, "database": database, "results_in": "none"}
    site = new_site(**places, seedance=settings(EVERY), speed=4)
    site.worker(pool=pool)
    check(site, order(site, EVERY))


@pytest.mark.full
@pytest.mark.parametrize("broker", SITES)
def test_every_way_to_lose_a_reply_under_kills_buys_once(
    new_site: SiteFactory, broker: str
) -> None:
    scenarios = [*UNTIL_GIVEN_UP * 8, *EVERY]
    site = two_workers(new_site, scenarios, broker=broker, database=SITES[broker][0])
    asked = order(site, scenarios)
    kill_in_the_post(site, 4)
    check(site, asked, killed=4)


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
