"""Videos in flight while a fault happens, and what must be true when they have landed."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults import orders
from tests.harness.site import QUICK_SEEDANCE, Site

SLOW = 0.05
"""The simulator's speed: renders take two minutes, and end when a test says so."""
MARGIN = 8.0
"""Seconds for two busy cores: starting processes, reconnecting to a broker."""
LIMIT = 1.0 + QUICK_SEEDANCE["RESEND_AFTER"] + QUICK_SEEDANCE["SWEEP_INTERVAL"] + MARGIN
"""One countdown, `RESEND_AFTER` and `SWEEP_INTERVAL`: when all videos must have been reached."""

Report = Callable[[str, object], None]


class Flight:
    """`count` videos of one site, each with a chain of its own."""

    def __init__(self, site: Site, scenario: str, count: int, report: Report) -> None:
        self.site = site
        self.scenario = scenario
        self._report = report
        self.tags = [f"{scenario}-{number}" for number in range(count)]
        self._charges = site.simulator.app.charges
        self._before = set(site.call(orders.statuses))
        self.celery_ids: list[str] = []
        # By the test's own clock: a worker's may be wrong.
        self.seconds = 0.0

    def take_off(self) -> Flight:
        """Send the chains."""
        self.celery_ids = self.site.call(orders.chains, self.tags)
        return self

    def climb(self) -> Flight:
        """Send the chains; wait until every video is bought and every `poll_video` parked."""
        self.take_off()
        self.site.wait_until(self.is_up, 30, "all videos are in flight")
        return self

    def is_up(self) -> bool:
        """Tell whether every video is bought, and awaited by a task without a message."""
        counts = {self.site.call(orders.parked), self.site.call(orders.followed)}
        return counts == {len(self.tags)}

    def land(self, *, twice: int = 0, within: float = LIMIT, status: str = "completed") -> None:
        """End the renders and the fault now; check that each video is reached, once.

        `twice`: how many videos a documented window allows to be announced or continued again.
        """
        ended_at = time.monotonic()
        self.seconds = 0.0
        self.site.simulator.app.advance(3600 / SLOW if status == "timed_out" else 600)
        try:
            self.site.wait_until(self._all_reached, within + 20, f"{self.scenario}: all reached")
            self.seconds = time.monotonic() - ended_at
            self.site.wait_until(self._is_settled, 30, "every row is settled")
        finally:
            self._tell()
        assert self.seconds <= within
        self._check(status, twice)

    def _all_reached(self) -> bool:
        return len(self.reached()) == len(self.tags)

    def reached(self) -> dict[str, str]:
        """Return the videos, by tag, whose chain went on and whose signals fired."""
        announced = self.site.events.counts("video", event="signal", name="video_finished")
        return {tag: pk for tag, pk in self._continued() if announced[pk]}

    def _continued(self) -> list[tuple[str, str]]:
        events = self.site.events.all(event="task", name="keep")
        return [(e["tag"], e["video"]) for e in events if e["tag"] in self.tags]

    def _is_settled(self) -> bool:
        return not any(self.site.call(orders.left).values())

    def _repeated(self) -> dict[str, int]:
        """Return how many continuations and announcements there were beyond one per video."""
        found = {"keep": len(self._continued()) - len(dict(self._continued()))}
        for name in ("video_completed", "video_finished"):
            counts = self.site.events.counts("video", event="signal", name=name)
            found[name] = sum(counts[pk] - 1 for pk in self.reached().values() if counts[pk])
        return found

    def _tell(self) -> None:
        reached = len(self.reached())
        row = {
            "scenario": self.scenario,
            "videos": len(self.tags),
            "reached": reached,
            "twice": max(self._repeated().values()),
            "lost": len(self.tags) - reached,
            "seconds": round(self.seconds, 1),
        }
        self._report("fault", row)

    def _check(self, status: str, twice: int) -> None:
        pks = set(self.reached().values())
        found = self.site.call(orders.statuses)
        assert {found[pk] for pk in pks} == {status}
        assert len(pks) == len(self.tags)
        assert len(set(found) - self._before) == len(self.tags)
        assert self.site.simulator.app.charges - self._charges == len(self.tags)
        assert all(extra <= twice for extra in self._repeated().values()), self._repeated()
        errbacks = [e for e in self.site.events.all(event="errback") if e["tag"] in self.tags]
        assert not errbacks
