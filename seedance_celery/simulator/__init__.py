"""CometAPI's Seedance routes as a WSGI app, for tests and first steps. Standard library only.

with SimulatorServer() as server:
    server.app.next("failed")
    ...  # a client with base_url=server.url and the key "simulator"
    assert server.app.charges == 1
"""

from __future__ import annotations

from .app import SimulatorApp
from .reply import Reply, Wire, api_error, html_page, json_reply, raw_reply, xml_error
from .scenarios import ABSENT, SCENARIOS, Call, Scenario, body, merge, reply
from .server import SimulatorServer
from .state import Fault, RateLimit, Render, Seen, SimulatedVideo

__all__ = [
    "ABSENT",
    "SCENARIOS",
    "Call",
    "Fault",
    "RateLimit",
    "Render",
    "Reply",
    "Scenario",
    "Seen",
    "SimulatedVideo",
    "SimulatorApp",
    "SimulatorServer",
    "Wire",
    "api_error",
    "body",
    "html_page",
    "json_reply",
    "merge",
    "raw_reply",
    "reply",
    "xml_error",
]
