"""For the tests of projects that use this package: a simulated API, and time that passes at once.

With pytest, the `seedance` fixture is a `Seedance` that has been started. Without it::

    class RenderTests(SeedanceTestMixin, TestCase):
        def test_a_film_is_published(self):
            film = start_film("A kite over the sea")
            self.seedance.run_until_done()
            ...

or `with Seedance() as seedance:`. Messages are serialised, routed and traced as in production; only
the broker is in memory, and countdowns pass at once.

What it does not do: it runs one message at a time, in the order of their times, so priorities, rate
limits, time limits and concurrency have no effect. `timezone.now()` and `time.sleep()` in your own
code are real. `AsyncResult.get()` has what has run, and waits in vain for what has not. No worker
starts, so its signals (`worker_ready`, `worker_process_init`) are not sent and `inspect()` gets no
answer; a revoke with `terminate=True` only drops what has not begun. In a `TestCase`, what waits
for a commit runs when the kit is called next, or when the task ends that waits for it.
"""

from __future__ import annotations

from ..simulator import SimulatorApp as Simulator
from .broker import Broker, Message, Raised
from .cases import SeedanceTestMixin
from .fake_clock import FakeClock
from .kit import Seedance
from .listener import Fired

__all__ = [
    "Broker",
    "FakeClock",
    "Fired",
    "Message",
    "Raised",
    "Seedance",
    "SeedanceTestMixin",
    "Simulator",
]
