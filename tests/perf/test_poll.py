"""What one poll takes: statements, messages and bytes. Counted, on each database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django.test.utils import CaptureQueriesContext

from seedance_celery import sending
from seedance_celery.models import AccountState, Video
from seedance_celery.shortcuts import track_video
from seedance_celery.testing import Message, Seedance
from tests.harness.databases import Database

KILOBYTE = 1024


@pytest.fixture
def kit(database: Database) -> Iterator[Seedance]:
    with Seedance() as seedance:
        yield seedance


def next_poll(kit: Seedance, video: Video) -> Message:
    """Let the time pass until a video's message is due, and take it from the broker."""
    pk = str(video.pk)
    (message,) = [m for m in kit.broker.fetch() if m.task == sending.REFRESH and m.body[0][0] == pk]
    kit.clock.advance((message.due - kit.clock.time).total_seconds())
    kit.broker.messages.remove(message)
    return message


def polled(kit: Seedance, video: Video) -> tuple[list[str], int]:
    """Run a video's next poll; return its statements' first words and its messages' number."""
    message = next_poll(kit, video)
    before = len(kit.broker.fetch())
    with CaptureQueriesContext(connection) as queries:
        kit.run(message)
    # MariaDB is told in the statement itself not to wait for a lock.
    statements = [query["sql"].rpartition("wait_timeout=0 FOR ")[2] for query in queries]
    words = [statement.split()[0] for statement in statements]
    return words, len(kit.broker.fetch()) - before


def followed(kit: Seedance, scenario: str) -> Video:
    """Follow a video that was asked for often enough to have nothing new to tell."""
    video = track_video(kit.buy(prompt=f"A kite [{scenario}]"))
    kit.run_due()
    for _ in range(3):
        kit.run(next_poll(kit, video))
    return video


def test_a_healthy_poll_is_a_read_a_guarded_write_and_a_message(kit: Seedance) -> None:
    video = followed(kit, "stuck")
    assert polled(kit, video) == (["SELECT", "UPDATE"], 1)


def test_a_poll_with_news_is_no_more(kit: Seedance) -> None:
    video = followed(kit, "slow=100")
    seen = set()
    for _ in range(20):
        assert polled(kit, video) == (["SELECT", "UPDATE"], 1)
        seen.add(video.current().progress)
    assert len(seen) > 1


def test_a_stale_message_is_one_read(kit: Seedance) -> None:
    video = followed(kit, "stuck")
    message = next_poll(kit, video)
    assert video.current().move(Video.POLLED)
    before = len(kit.broker.fetch())
    with CaptureQueriesContext(connection) as queries:
        kit.run(message)
    assert len(queries) == 1
    assert len(kit.broker.fetch()) == before


@pytest.mark.parametrize("scenario", ["normal", "failed", "http_503", "rate_limited", "html"])
def test_what_else_an_answer_takes_does_not_grow_with_the_table(
    kit: Seedance, scenario: str
) -> None:
    counts = []
    for more in (0, 200):
        AccountState.objects.all().delete()
        others = (Video(api_id=f"other_{n}", status="in_progress") for n in range(more))
        Video.objects.bulk_create(others)
        video = followed(kit, "stuck")
        kit.simulator.play(video.api_id, scenario)
        counts.append(len(polled(kit, video)[0]))
    assert counts[0] == counts[1]


def size(body: Any, headers: dict[str, Any], properties: dict[str, Any]) -> int:
    return len(json.dumps([body, headers, properties], default=str))


def test_a_message_is_less_than_a_kilobyte_more_than_celerys_own(kit: Seedance) -> None:
    video = followed(kit, "stuck")
    message = next_poll(kit, video)
    ours = size(message.body, message.headers, message.properties)
    current_app.send_task("nothing", countdown=10)
    (bare,) = [m for m in kit.broker.fetch() if m.task == "nothing"]
    assert ours - size(bare.body, bare.headers, bare.properties) < KILOBYTE / 2


def test_a_message_does_not_grow_with_the_polls(kit: Seedance) -> None:
    video = followed(kit, "stuck")
    sizes = []
    for _ in range(10):
        message = next_poll(kit, video)
        sizes.append(size(message.body, message.headers, message.properties))
        kit.run(message)
    # The counters of retries and tokens gain a digit.
    assert max(sizes) - min(sizes) <= 8
