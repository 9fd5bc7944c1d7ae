"""Real workers: few connections to the database and to the API, kept over polls."""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg
import pytest

from seedance_celery.db.pool import MAX_SESSIONS
from tests.conftest import SiteFactory
from tests.harness.site import Site
from tests.perf import orders
from tests.unit.scripted_server import Peer, Received, ScriptedServer, reply, video

LATENCY = 0.1


def answer(peer: Peer, received: Received) -> None:
    time.sleep(LATENCY)
    peer.send(reply(video(received.path.rpartition("/")[2])))


def make_site(
    new_site: SiteFactory,
    api: ScriptedServer,
    env: dict[str, str] | None = None,
    **seedance: Any,
) -> Site:
    """Make a site on PostgreSQL whose only statements are those of its polls."""
    own = {"REQUEST_TIMEOUT": [5, 5], "RESEND_AFTER": 60, "SWEEP_INTERVAL": 0}
    options = {**own, "BASE_URL": api.url, **seedance}
    return new_site(results_in="none", simulator=False, seedance=options, env=env)


def ask_database(site: Site, statement: str) -> list[Any]:
    with psycopg.connect(site.database.url, autocommit=True) as connection:
        return [row[0] for row in connection.execute(statement)]


def sessions(site: Site) -> set[int]:
    """Return the sessions of others with the site's database."""
    return set(
        ask_database(
            site,
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()",
        )
    )


def wait_for_polls(site: Site, api: ScriptedServer, more: int) -> None:
    count = len(api.requests) + more
    site.wait_until(lambda: len(api.requests) >= count, 60, f"{more} more polls")


@pytest.mark.parametrize(
    ("pool", "concurrency"), [("prefork", 1), ("prefork", 2), ("threads", 20), ("gevent", 20)]
)
def test_many_polls_share_few_connections(
    new_site: SiteFactory, pool: str, concurrency: int
) -> None:
    with ScriptedServer(answer) as api:
        site = make_site(new_site, api)
        site.call(orders.follow, 20)
        site.worker(pool=pool, concurrency=concurrency)
        wait_for_polls(site, api, 60)
        before, connections = sessions(site), api.connections
        wait_for_polls(site, api, 60)
        after = sessions(site)
        assert after
        assert after <= before or len(before | after) <= MAX_SESSIONS
        assert len(after) <= min(concurrency, MAX_SESSIONS)
        assert connections <= api.connections <= concurrency
        assert "Traceback" not in site.logs(1000)


@pytest.mark.parametrize("keep", [60, 0])
def test_a_pool_of_the_projects_is_no_hindrance(new_site: SiteFactory, keep: int) -> None:
    """Where connections are kept, the poll loop takes none of it; else it is what bounds them."""
    options = {"pool": {"min_size": 1, "max_size": 3}}
    env = {"TEST_DATABASE_OPTIONS": json.dumps(options)}
    with ScriptedServer(answer) as api:
        site = make_site(new_site, api, env=env, KEEP_CONNECTION=keep)
        site.call(orders.follow, 20)
        site.worker(pool="threads", concurrency=20)
        wait_for_polls(site, api, 60)
        # The process that ordered the videos has such a pool, too.
        assert len(sessions(site)) <= 2 * 3 + (MAX_SESSIONS if keep else 0)
        assert "Traceback" not in site.logs(1000)


def rest_between_polls(site: Site) -> None:
    """Wait until a poll has been kept and the next one is not near."""
    near = "SELECT bool_and(next_poll_at > now() + '0.6 s') FROM seedance_celery_video"
    site.wait_until(lambda: ask_database(site, near) == [True], 30, "a rest")


def test_a_dead_connection_is_replaced_without_a_lost_poll(new_site: SiteFactory) -> None:
    with ScriptedServer(answer) as api:
        site = make_site(new_site, api, POLL_COUNTDOWN=[1, 1])
        site.call(orders.follow, 1)
        site.worker(concurrency=1)
        wait_for_polls(site, api, 3)
        rest_between_polls(site)
        (dead,) = sessions(site)
        ask_database(site, f"SELECT pg_terminate_backend({dead})")
        wait_for_polls(site, api, 2)
        rest_between_polls(site)
        assert len(sessions(site) - {dead}) == 1
        assert "the database is away" not in site.logs(1000)


def test_no_connection_outlives_its_poll_where_none_is_to_be_kept(new_site: SiteFactory) -> None:
    with ScriptedServer(answer) as api:
        site = make_site(new_site, api, POLL_COUNTDOWN=[1, 1], KEEP_CONNECTION=0)
        site.call(orders.follow, 1)
        site.worker(concurrency=1)
        wait_for_polls(site, api, 3)
        rest_between_polls(site)
        site.wait_until(lambda: not sessions(site), 30, "no session is left")


def test_a_forked_child_opens_its_own_and_leaves_its_parents_alone(new_site: SiteFactory) -> None:
    site = new_site(results_in="none", simulator=False)
    found = site.call(orders.fork)
    assert found["status"] == 0
    assert found["child"] != found["parent"] == found["after"]
