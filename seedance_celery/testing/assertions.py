"""What a test asserts of a `Seedance`, with messages that tell what happened instead."""

from __future__ import annotations

from typing import Any, get_args

from ..simulator import SimulatorApp
from ..simulator.scenarios import Route
from .broker import Broker
from .listener import Fired, Listener

__all__ = ["Assertions"]

ROUTES: tuple[str, ...] = get_args(Route)


class Assertions:
    """The assertions of a `Seedance`. Each raises `AssertionError`."""

    simulator: SimulatorApp
    broker: Broker
    listener: Listener

    def assert_charged(self, videos: int) -> None:
        """Assert how many videos were bought, those included whose reply was lost."""
        charges = self.simulator.charges
        if charges != videos:
            bought = [f"{v.api_id}: {v.order.prompt!r}" for v in self.simulator.videos.values()]
            self._fail(f"{charges} videos were bought, not {videos}", bought)

    def assert_requested(self, **times: int) -> None:
        """Assert how often routes were asked: `create`, `retrieve`, `content`, `file`.

        `assert_requested(create=1, file=0)` says nothing about the others.
        """
        for route, count in times.items():
            if route not in ROUTES:
                raise ValueError(f"{route!r} is none of {', '.join(ROUTES)}")
            seen = [seen for seen in self.simulator.requests if seen.route == route]
            if len(seen) != count:
                told = [f"{s.method} {s.path}: {s.status}" for s in seen]
                self._fail(f"{route} was asked {len(seen)} times, not {count}", told)

    def assert_fired(self, name: str, times: int = 1, **details: Any) -> None:
        """Assert how often a signal was fired, with these `details` (such as `late=True`)."""
        fired = [f for f in self.listener.of(name) if _has(f, details)]
        if len(fired) != times:
            wanted = ", ".join([name, *(f"{k}={v!r}" for k, v in details.items())])
            message = f"{wanted} was fired {len(fired)} times, not {times}"
            self._fail(message, [str(f) for f in self.listener.fired])

    def assert_polite(self, seconds: float = 9) -> None:
        """Assert that no video was asked for twice within so many seconds.

        The package promises 10, and Celery a countdown within a second.
        """
        for video in self.simulator.videos.values():
            gap = video.shortest_gap
            if gap < seconds:
                times = [f"{at - video.created_at:.1f} s after its create" for at in video.asked_at]
                self._fail(f"{video.api_id} was asked for again after {gap:.1f} s", times)

    def assert_nothing_raised(self) -> None:
        """Assert that no task raised: neither yours, nor `poll_video` for an unwanted end."""
        if self.broker.raised:
            self._fail(f"{len(self.broker.raised)} tasks raised", [])

    def _fail(self, message: str, told: list[str]) -> None:
        lines = [f"{message}.", *(f"  {line}" for line in told)]
        if self.broker.raised:
            lines += ["Tasks that raised:", *(f"  {raised}" for raised in self.broker.raised)]
        raise AssertionError("\n".join(lines))


def _has(fired: Fired, details: dict[str, Any]) -> bool:
    all_of_it = {"video": fired.video, **fired.details}
    return all(name in all_of_it and all_of_it[name] == v for name, v in details.items())
