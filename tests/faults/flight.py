"""Videos in flight while a fault happens, and what must be true when they have landed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.faults import orders
from tests.harness.site import QUICK_SEEDANCE, Site

SLOW = 0.05
"""The simulator's speed: renders take two minutes, and end when a test says so."""
MARGIN = 15.0
"""Seconds for two busy cores: starting processes, reconnecting to a broker."""
LIMIT = 1.0 + QUICK_SEEDANCE["RESEND_AFTER"] + QUICK_SEEDANCE["SWEEP_INTERVAL"] + MARGIN
"""One countdown, `RESEND_AFTER` and `SWEEP_INTERVAL`: when all videos must have been reached."""

LOCKED = 60.0
"""Seconds more on a broker in an SQLite file. A new child may inherit a lock that nobody holds, and
then waits 5 s for each message that it sends; or the worker ends by itself and is started again."""

Report = Callable[[str, object], None]


class Flight:
    """`count` videos of one site, each with a chain of its own.

    With `status="failed"` the provider rejects each of them, and errbacks run.
    """

    def __init__(
        self, site: Site, scenario: str, count: int, report: Report, *, status: str = "completed"
    ) -> None:
        self.site = site
        self.scenario = scenario
        self.status = status
        self._report = report
        self.tags = [f"{scenario}-{number}" for number in range(count)]
        self._charges = site.simulator.app.charges
        self._before = set(site.call(orders.statuses))
        self.celery_ids: list[str] = []
        # By the test's own clock: a worker's may be wrong.
        self.seconds = 0.0

    def take_off(self, send: Callable[[list[str]], Any] = orders.chains) -> Flight:
        """Send the chains."""
        if self.status == "failed":
            self.site.simulator.app.next("failed", n=len(self.tags))
        self.celery_ids = self.site.call(send, self.tags)
        return self

    def climb(self, send: Callable[[list[str]], Any] = orders.chains) -> Flight:
        """Send the chains; wait until every video is bought and every `poll_video` parked."""
        self.take_off(send)
        self.site.wait_until(self.is_up, 60, "all videos are in flight")
        return self

    def is_up(self) -> bool:
        """Tell whether every video is bought, and awaited by a task without a message."""
        counts = {self.site.call(orders.parked), self.site.call(orders.followed)}
        return counts == {len(self.tags)}

    def land(self, *, twice: int = 0, within: float = LIMIT) -> None:
        """End the renders and the fault now; check that each video is reached, once.

        `twice`: how many videos a documented window allows to be announced or continued again.
        """
        ended_at = time.monotonic()
        within += LOCKED if self.site.broker.kind == "sqla" else 0
        self.site.simulator.app.advance(600)
        try:
            self.site.wait_until(self._all_reached, within + 60, f"{self.scenario}: all reached")
            self.seconds = time.monotonic() - ended_at
            self.site.wait_until(self._is_settled, 60, "every row is settled")
        finally:
            self._tell()
        assert self.seconds <= within
        self._check(twice)

    def _all_reached(self) -> bool:
        return len(self.reached()) == len(self.tags)

    def reached(self) -> dict[str, str]:
        """Return the videos, by tag, whose canvas went on and whose signals fired."""
        announced = self.site.events.counts("video", event="signal", name="video_finished")
        return {e["tag"]: _pk(e) for e in self._continued() if announced[_pk(e)]}

    def _continued(self) -> list[dict[str, Any]]:
        is_good = self.status == "completed"
        what = {"event": "task", "name": "keep"} if is_good else {"event": "errback"}
        return [e for e in self.site.events.all(**what) if e["tag"] in self.tags and _pk(e)]

    def _is_settled(self) -> bool:
        return not any(self.site.call(orders.left).values())

    def repeated(self) -> dict[str, int]:
        """Return how many continuations and announcements there were beyond one per video."""
        ran = Counter((e["name"], e["tag"]) for e in self._continued())
        found = {"continued": ran.total() - len(ran)}
        for name in (f"video_{self.status}", "video_finished"):
            counts = self.site.events.counts("video", event="signal", name=name)
            found[name] = sum(counts[pk] - 1 for pk in self.reached().values() if counts[pk])
        return found

    def _tell(self) -> None:
        reached = len(self.reached())
        row = {
            "scenario": self.scenario,
            "videos": len(self.tags),
            "reached": reached,
            "twice": max(self.repeated().values()),
            "lost": len(self.tags) - reached,
            "seconds": round(self.seconds, 1),
        }
        self._report("fault", row)

    def _check(self, twice: int) -> None:
        pks = set(self.reached().values())
        found = self.site.call(orders.statuses)
        assert {found[pk] for pk in pks} == {self.status}
        assert len(pks) == len(self.tags)
        assert len(set(found) - self._before) == len(self.tags)
        assert self.site.simulator.app.charges - self._charges == len(self.tags)
        assert all(extra <= twice for extra in self.repeated().values()), self.repeated()
        false = ({"event": "errback"}, {"name": "keep"})[self.status == "failed"]
        assert not [e for e in self.site.events.all(**false) if e["tag"] in self.tags]


def _pk(event: dict[str, Any]) -> str:
    return str(event.get("video") or event.get("video_pk") or "")
