"""`seedance_sweep`: one sweep, pruning, and counting without changing anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import models

from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance
from tests.docs.shop.models import Order

from .conftest import Command


@pytest.fixture
def overdue(kit: Seedance) -> Video:
    """A create whose message went missing a minute ago."""
    video = generate_video("A kite")
    assert kit.broker.take()
    kit.clock.advance(61)
    return video


@pytest.fixture
def old(kit: Seedance) -> Video:
    """A video that ended a hundred days ago."""
    video = generate_video("A kite")
    kit.run_until_done()
    kit.clock.time += timedelta(days=100)
    return video


def test_one_sweep_sends_what_went_missing(kit: Seedance, run: Command, overdue: Video) -> None:
    assert run("seedance_sweep").out == "Sent 1 poll loops and 1 kept tasks again.\n"
    assert run("seedance_sweep", "--json").json == {
        "loops": 0,
        "tasks": 0,
        "pruned": 0,
        "along": {},
    }
    kit.run_until_done()
    assert overdue.current().status == "completed"
    assert kit.charges == 1


def test_a_dry_run_counts_and_sends_nothing(kit: Seedance, run: Command, overdue: Video) -> None:
    ran = run("seedance_sweep", "--dry-run")
    assert ran.out == "Would send 1 poll loops and 1 kept tasks again.\n"
    assert not kit.broker.fetch()
    assert run("seedance_sweep", "--json").json["tasks"] == 1


def test_a_dry_run_counts_poll_loops_as_the_sweep_does(kit: Seedance, run: Command) -> None:
    generate_video("A kite")
    kit.run_due()
    assert kit.broker.fetch()
    kit.broker.messages.clear()
    kit.clock.advance(600)
    counted = run("seedance_sweep", "--dry-run", "--json").json
    assert counted == run("seedance_sweep", "--json").json
    assert counted["loops"] == 1


def test_old_videos_are_removed(kit: Seedance, run: Command, old: Video) -> None:
    unfinished = generate_video("Another kite")
    assert run("seedance_sweep", "--prune-after", "101d", "--json").json["pruned"] == 0
    ran = run("seedance_sweep", "--prune-after", "90d")
    assert ran.out.endswith("removed 1 videos older than 90d.\n")
    assert list(Video.objects.all()) == [unfinished]


def test_a_dry_run_removes_nothing(kit: Seedance, run: Command, old: Video) -> None:
    ran = run("seedance_sweep", "--prune-after", "90d", "--dry-run", "--json")
    assert json.loads(ran.out)["pruned"] == 1
    assert Video.objects.filter(pk=old.pk).exists()


def test_more_than_a_batch_is_removed_at_once(
    kit: Seedance, run: Command, old: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, before = kit.clock.time, kit.clock.time - timedelta(days=95)
    ended = {"status": "failed", "created_at": before, "finished_at": before, "announced_at": now}
    Video.objects.bulk_create(Video(api_id=f"task_{n}", **ended) for n in range(1100))
    assert run("seedance_sweep", "--prune-after", "90d", "--json").json["pruned"] == 1101
    assert not Video.objects.exists()


@pytest.mark.parametrize("age", ["soon", "-1d", "0"])
def test_an_age_that_is_none_is_refused(kit: Seedance, run: Command, old: Video, age: str) -> None:
    assert run("seedance_sweep", f"--prune-after={age}").status != 0
    assert Video.objects.exists()


@pytest.fixture
def cascading() -> Iterator[None]:
    """Let the project's orders go with their video."""
    remote: Any = Order._meta.get_field("video").remote_field
    usual, remote.on_delete = remote.on_delete, models.CASCADE
    yield
    remote.on_delete = usual


def test_what_goes_with_old_videos_is_counted(
    kit: Seedance, run: Command, old: Video, cascading: None
) -> None:
    Order.objects.create(video=old)
    dry = ("seedance_sweep", "--prune-after", "90d", "--dry-run")
    assert run(*dry).out.endswith("remove 1 videos older than 90d, and with them 1 shop.order.\n")
    assert run(*dry, "--json").json["along"] == {"shop.order": 1}
    assert Order.objects.exists()
    assert run("seedance_sweep", "--prune-after", "90d", "--json").json["along"] == {
        "shop.order": 1
    }
    assert not Order.objects.exists()


def test_a_video_that_a_projects_row_protects_is_not_counted(
    kit: Seedance, run: Command, old: Video
) -> None:
    Order.objects.create(video=old)
    assert run("seedance_sweep", "--prune-after", "90d", "--dry-run", "--json").json["pruned"] == 0
