"""The main job with a real broker, a real database and a real worker process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import SiteFactory, matrix
from tests.e2e import orders
from tests.harness.site import Site

BROKERS = ("redis", "rabbitmq", "rabbitmq-quorum", "sqla")
# Broker, pool, database, results: each in its most telling company.
CORE = ("redis-prefork", "rabbitmq-threads", "sqla-prefork", "rabbitmq-quorum-prefork")
EVERY = (
    *CORE,
    "redis-threads",
    "redis-gevent",
    "redis-solo",
    "rabbitmq-prefork",
    "rabbitmq-gevent",
    "sqla-threads",
)
DATABASES = {"redis": "postgres", "rabbitmq": "mariadb", "rabbitmq-quorum": "postgres"}
RESULTS = {"redis": "redis", "rabbitmq": "none", "rabbitmq-quorum": "django-db", "sqla": "sqlite"}


@pytest.fixture(scope="module", params=matrix(CORE, EVERY))
def site(request: pytest.FixtureRequest, new_shared_site: SiteFactory) -> Iterator[Site]:
    broker, _, pool = request.param.rpartition("-")
    made = new_shared_site(
        broker=broker,
        database=DATABASES.get(broker, "sqlite"),
        results_in=RESULTS[broker],
        speed=4,
    )
    made.worker(pool=pool)
    yield made
    made.close()


def test_a_chain_with_our_create_goes_on_once(site: Site) -> None:
    site.call(orders.ours, "A kite", "ours")
    (event,) = site.events.wait(1, 40, event="task", tag="ours")
    assert event["value"]["status"] == "completed"
    assert event["value"]["video_url"].startswith(site.simulator.url)
    _settles(site)
    assert site.events.count(tag="ours") == 1
    signals = site.events.counts("name", event="signal", video=event["video"])
    assert (signals["video_created"], signals["video_completed"]) == (1, 1)
    assert signals["video_finished"] == 1


@pytest.mark.parametrize("reply", ["raw", "id", "task_id"])
def test_a_chain_with_the_users_own_create_goes_on_once(site: Site, reply: str) -> None:
    site.call(orders.theirs, "A kite", reply, f"theirs-{reply}")
    site.events.wait(1, 40, event="task", tag=f"theirs-{reply}")
    _settles(site)
    assert site.events.count(tag=f"theirs-{reply}") == 1


def test_a_failed_video_runs_the_errbacks_with_its_data(site: Site) -> None:
    site.call(orders.ours, "A kite [moderation]", "failed")
    site.events.wait(2, 40, event="errback", tag="failed")
    _settles(site)
    inline, sent = sorted(site.events.all(tag="failed"), key=lambda e: e["name"])
    assert (inline["exc"], inline["status"], inline["reason"]) == (
        "VideoFailed",
        "failed",
        "moderation",
    )
    assert inline["api_id"].startswith("task_")
    assert sent["name"] == "refund"
    assert site.events.count(event="signal", name="video_failed", api_id=inline["api_id"]) == 1


def test_a_nested_canvas_goes_on_to_its_ends(site: Site) -> None:
    site.call(orders.nested, "A kite", "nested")
    for tag in ("nested", "nested-a", "nested-b"):
        site.events.wait(1, 40, event="task", tag=tag)
    _settles(site)
    assert [site.events.count(tag=t) for t in ("nested", "nested-a", "nested-b")] == [1, 1, 1]


def test_a_chord_goes_on_where_there_is_a_result_backend(site: Site) -> None:
    if site.results.url is None:
        with pytest.raises(Exception, match="result backend"):
            site.call(orders.together, ["A", "B"], "together")
        return
    site.call(orders.together, ["A", "B", "C"], "together")
    (event,) = site.events.wait(1, 60, event="task", tag="together")
    assert len(event["videos"]) == 3
    _settles(site)
    assert site.events.count(tag="together") == 1


def test_ten_chains_on_one_video_are_one_loop(site: Site) -> None:
    api_id = site.call(orders.many_on_one, "A kite", 10, "many")
    site.events.wait(10, 40, event="task", tag="many")
    _settles(site)
    assert site.events.count(tag="many") == 10
    shortest = site.env["TEST_SEEDANCE"]
    assert site.simulator.app.videos[api_id].shortest_gap > 0.2, shortest


def test_a_row_from_a_view_ends_with_its_link_or_its_errbacks(site: Site) -> None:
    good = site.call(orders.row, "A kite", "row-good")
    bad = site.call(orders.row, "A kite [failed]", "row-bad")
    assert site.call(orders.waited, good, 40) == "completed"
    assert site.call(orders.waited, bad, 40) == "failed"
    site.events.wait(1, 20, event="task", tag="row-good")
    site.events.wait(2, 20, event="errback", tag="row-bad")
    _settles(site)
    assert (site.events.count(tag="row-good"), site.events.count(tag="row-bad")) == (1, 2)


def test_the_file_is_kept_at_the_end_of_a_chain(site: Site) -> None:
    site.call(orders.stored, "A kite", "stored")
    (event,) = site.events.wait(1, 60, event="task", tag="stored")
    kept = site.folder / "media" / event["value"]["file"]
    assert kept.stat().st_size == event["value"]["file_size"]
    assert kept.read_bytes()[4:8] == b"ftyp"


def _settles(site: Site) -> None:
    """Wait until no row has anything left to do: what would come twice has come by then."""
    site.wait_until(
        lambda: not any(site.call(orders.unfinished).values()), 30, "every row is settled"
    )
