"""What `docs/poll-cost.md` counts."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from seedance_celery.client import Client
from seedance_celery.conf import get_settings
from seedance_celery.shortcuts import track_video
from seedance_celery.testing import Seedance


def test_a_poll_is_two_statements_one_request_and_one_message(seedance: Seedance) -> None:
    account = get_settings().account()
    with Client(account.key(), account.base_url) as client:
        video = track_video(client.create("A kite [stuck]", seconds=5).id)
    seedance.advance(25)  # past the first polls, which tell something new
    asked = len(seedance.simulator.requests)
    (message,) = seedance.broker.fetch()
    seedance.clock.advance((message.due - seedance.clock.time).total_seconds())
    seedance.broker.messages.remove(message)
    with CaptureQueriesContext(connection) as queries:
        seedance.run(message)
    statements = [query["sql"].split()[0] for query in queries]
    assert statements == ["SELECT", "UPDATE"]
    assert len(seedance.simulator.requests) == asked + 1
    (following,) = seedance.broker.fetch()
    assert following.task == message.task
    assert video.current().is_polled
