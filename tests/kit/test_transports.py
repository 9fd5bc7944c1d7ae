"""Without a port the API is the same: each scenario, asked over HTTP and in process."""

from __future__ import annotations

from typing import Any

import pytest

from seedance_celery.client import Client
from seedance_celery.exceptions import ApiError
from seedance_celery.net.connection import standing_in
from seedance_celery.simulator import SCENARIOS, SimulatorApp, SimulatorServer
from seedance_celery.simulator.in_process import InProcessSocket

ADDRESS = ("127.0.0.1", 1)
NOW = 1_777_385_418.0


def outcome(call: Any) -> Any:
    try:
        return call()
    except ApiError as error:
        return type(error), str(error)


def history(app: SimulatorApp, url: str, scenario: str) -> list[Any]:
    """Buy a video and ask for it often; return what the client made of it."""
    client = Client("sk-test", url, (0.4, 0.4), create_timeout=1)
    created = outcome(lambda: client.create("A kite"))
    told = [created]
    for api_id in app.videos:
        for _ in range(4):
            app.advance(11)
            client.close()  # of a kept connection, one that is reset is asked again
            told.append(outcome(lambda api_id=api_id: client.retrieve(api_id)))
        told.append(client.failure_reason(api_id))
    client.close()
    return told


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_both_ways_to_the_simulator_tell_the_same(scenario: str) -> None:
    direct, served = (SimulatorApp(clock=lambda: NOW, seed=7) for _ in range(2))
    for app in (direct, served):
        app.next(scenario)

    def connect(limits: Any) -> InProcessSocket:
        return InProcessSocket(direct, patience=limits.read, total=limits.left(float("inf")))

    with standing_in(ADDRESS, connect):
        in_process = history(direct, "http://127.0.0.1:1", scenario)
    with SimulatorServer(served) as server:
        over_http = history(served, server.url, scenario)
    plain = [str(told).replace(server.url, "http://127.0.0.1:1") for told in over_http]
    assert [str(told) for told in in_process] == plain
    assert direct.counts == served.counts
