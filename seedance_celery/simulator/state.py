"""What the simulator remembers: videos, faults, and what it was asked."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from .orders import Order
from .scenarios import Play

__all__ = ["Fault", "RateLimit", "Render", "Seen", "SimulatedVideo", "State"]


@dataclass(frozen=True)
class Render:
    """How long a render takes (in seconds, queue included) and which progress it reports."""

    queued: float = 1
    seconds: float = 6
    steps: tuple[int, ...] = (0, 10, 30, 50, 70, 90)

    def at(self, done: float) -> tuple[str, int]:
        """Return status and progress when the share `done` (0 to below 1) of the time is over."""
        waiting = self.queued / self.seconds
        if done < waiting:
            return "queued", 0
        share = (done - waiting) / (1 - waiting)
        return "in_progress", self.steps[int(share * len(self.steps))]


@dataclass(frozen=True)
class RateLimit:
    """At most `requests` in `seconds` for a key; more are answered 429.

    With `retry_after` the 429 says when to come back. CometAPI publishes no such figures.
    """

    requests: int
    seconds: float
    retry_after: bool = False


@dataclass
class SimulatedVideo:
    """A video that was bought.

    `created_at` and `ended_at` are in the API's time. `asked_at` holds the clock's time of each
    retrieve; `ended` counts those after the end of the render, `files_asked` the GETs of its file.
    `request_id` is that of its create.
    """

    api_id: str
    key: str = field(repr=False)
    order: Order
    created_at: float
    ended_at: float
    plays: list[Play] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    ended: int = 0
    contents_asked: int = 0
    files_asked: int = 0
    request_id: str = ""

    @property
    def shortest_gap(self) -> float:
        """Return the shortest time between two retrieves in seconds; infinity for fewer."""
        gaps = (later - earlier for earlier, later in pairwise(sorted(self.asked_at)))
        return min(gaps, default=math.inf)


@dataclass
class Fault:
    """A scenario that is played for everybody until `until` (the API's time).

    `routes` limits it to some routes, `key` to one key.
    """

    play: Play
    since: float
    until: float = math.inf
    routes: frozenset[str] = frozenset()
    key: str | None = field(default=None, repr=False)

    def is_on(self, route: str, key: str, now: float) -> bool:
        """Whether it concerns a request of `key` for `route` at `now`."""
        return (
            self.since <= now < self.until
            and (not self.routes or route in self.routes)
            and self.key in (None, key)
        )


@dataclass(frozen=True)
class Seen:
    """One request that was answered: `at` is the clock's time, `now` the API's.

    `api_id` is empty where the path names no video; `headers` have lower-case names.
    """

    at: float
    now: float
    route: str
    method: str
    path: str
    api_id: str
    status: int
    key: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass
class State:
    """Everything that is remembered; the newest `REMEMBERED` requests only."""

    REMEMBERED = 50_000

    videos: dict[str, SimulatedVideo] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    waiting: deque[tuple[str, ...]] = field(default_factory=deque)
    refused: dict[tuple[str, str], list[Play]] = field(default_factory=dict)
    served: dict[str, deque[float]] = field(default_factory=dict)
    requests: deque[Seen] = field(default_factory=lambda: deque(maxlen=State.REMEMBERED))
    counts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    charges: int = 0
    bearer_on_files: int = 0

    def note(self, seen: Seen) -> None:
        """Count one answered request."""
        self.requests.append(seen)
        self.counts[seen.route] += 1
        self.statuses[f"{seen.route} {seen.status}"] += 1
        if seen.route == "file" and "authorization" in seen.headers:
            self.bearer_on_files += 1

    def active(self, route: str, key: str, now: float) -> list[Fault]:
        """Return the faults that concern a request, after forgetting those that are over."""
        self.faults = [fault for fault in self.faults if now < fault.until]
        return [fault for fault in self.faults if fault.is_on(route, key, now)]

    def wait_for(self, scenarios: Iterable[str], times: int) -> None:
        """Keep `scenarios` for each of the next `times` videos."""
        self.waiting.extend([tuple(scenarios)] * times)
