"""For the tests of projects that use this package: a simulated API, and time that passes at once.

With pytest, the `seedance` fixture is a `Seedance` that has been started. Without it::

    class RenderTests(TestCase):
        def test_a_film_is_published(self):
            with Seedance() as seedance:
                film = start_film("A kite over the sea")
                seedance.run_until_done()
            ...

Messages are serialised, routed and traced as in production; only the broker is in memory, and
countdowns pass at once.
"""

from __future__ import annotations

from ..simulator import SimulatorApp as Simulator
from .broker import Broker
from .fake_clock import FakeClock
from .kit import Fired, Seedance

__all__ = ["Broker", "FakeClock", "Fired", "Seedance", "Simulator"]
