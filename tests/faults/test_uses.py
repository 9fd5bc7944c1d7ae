"""Each use of a chain object goes on with real workers, however often its messages come."""

from __future__ import annotations

from tests.conftest import SiteFactory
from tests.faults import orders
from tests.faults.conftest import NewPlace
from tests.faults.places import everywhere
from tests.harness.site import Site

COUNT = 3
IMPORTS = {"imports": ["tests.project.chains"]}
EACH = {"videos": 4, "completed": 4, "stored": 1, "kept": 2 + 2 + 1 + 2}
"""What one use of each chain object leaves."""


def is_settled(site: Site) -> bool:
    return not site.broker.depth() and not any(site.call(orders.left).values())


def check(site: Site, uses: int) -> None:
    wanted = {name: number * uses for name, number in EACH.items()}
    site.wait_until(lambda: site.call(orders.ends)["stored"] >= uses, 60, "all are stored")
    site.wait_until(lambda: is_settled(site), 60, "rows are settled")
    assert site.call(orders.ends) == wanted
    ran = site.events.all(event="task", name="keep")
    assert len(ran) == len({event["video"] for event in ran}) == 2 * uses
    assert site.events.counts("tag", event="task", name="keep") == {"follow": uses, "film": uses}
    assert site.simulator.app.charges == 4 * uses


@everywhere("redis", "rabbitmq", of=("redis", "rabbitmq", "rabbitmq-quorum", "embedded"))
def test_chain_objects_go_on_each_time_they_are_applied(new_place: NewPlace, place: str) -> None:
    site = new_place(place, speed=20, celery=IMPORTS)
    site.call(orders.apply_chain_objects, COUNT)
    messages = site.broker.take_all()
    assert len(messages) == 4 * COUNT
    for _ in range(2):
        site.broker.give_back(messages)
    # Two workers may get two copies at the same time.
    site.worker()
    site.worker()
    check(site, COUNT)
    # And much later, after every canvas has gone on.
    site.broker.give_back(messages)
    site.wait_until(lambda: is_settled(site), 30, "the copies are consumed")
    check(site, COUNT)
    site.call(orders.apply_chain_objects_in_a_task, COUNT)
    check(site, 2 * COUNT)


@everywhere("redis", of=("redis", "rabbitmq"))
def test_a_chain_that_replaces_a_part_of_a_chord_under_the_first_protocol(
    new_site: SiteFactory, place: str
) -> None:
    """Celery sends the last step twice there, under one id: as the chord's part and as none."""
    celery = {**IMPORTS, "task_protocol": 1}
    site = new_site(broker=place, results_in="redis", speed=20, celery=celery)
    site.worker()
    site.call(orders.replacing_parts, 2)
    site.events.wait(1, 60, event="task", name="gather")
    site.wait_until(lambda: is_settled(site), 60, "rows are settled")
    (body,) = site.events.all(event="task", name="gather")
    assert len(set(body["videos"])) == 2
    assert [video["status"] for video in body["value"]] == ["completed"] * 2
    assert site.simulator.app.charges == 2
