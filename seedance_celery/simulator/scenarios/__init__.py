"""Scenarios: the table of everything the simulator can play.

A scenario is chosen by a marker in the prompt (`"A kite [slow]"`), by the header
`X-Simulator-Scenario`, or by `SimulatorApp.next`, `.play` and `.fault`. It is written
`name`, `name=value`, `name*times` or `name*times=value`; several are played in the order given.
"""

from __future__ import annotations

from .base import ABSENT, Call, Play, Route, Scenario, Step, body, merge, reply
from .creates import CREATE_SCENARIOS
from .faults import API_FAULTS
from .files import FILE_SCENARIOS
from .links import LINK_SCENARIOS
from .reasons import REASON_SCENARIOS
from .videos import VIDEO_SCENARIOS

__all__ = [
    "ABSENT",
    "SCENARIOS",
    "Call",
    "Play",
    "Route",
    "Scenario",
    "Step",
    "body",
    "merge",
    "reply",
]

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        *VIDEO_SCENARIOS,
        *REASON_SCENARIOS,
        *LINK_SCENARIOS,
        *API_FAULTS,
        *CREATE_SCENARIOS,
        *FILE_SCENARIOS,
    )
}
"""Every scenario by its name."""
