"""Each recorded version's database migrates to this one, and what waited in it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from seedance_celery.models import KeptTask, Video
from seedance_celery.testing import Seedance
from tests.kit import work

from .snapshots import APP, RECORDED, load

SNAPSHOTS = sorted(Path(__file__).parent.glob("*.json"))


def migrate(name: str | None) -> Apps:
    """Migrate to a migration, back or forth; None is to no table at all."""
    executor = MigrationExecutor(connection)
    executor.migrate([(APP, name)])
    return MigrationExecutor(connection).loader.project_state((APP, name) if name else ()).apps


def head() -> str:
    ((_, name),) = MigrationExecutor(connection).loader.graph.leaf_nodes(APP)
    return name


@pytest.fixture(autouse=True)
def _at_head_afterwards(database: Any) -> Iterator[None]:
    work.ran.clear()
    yield
    migrate(head())


def load_recorded(seedance: Seedance, path: Path) -> None:
    """Insert the rows of a snapshot, for videos that the simulated API knows."""
    text = path.read_text()
    number = 1
    while f"{RECORDED}{number}" in text:
        text = text.replace(f"{RECORDED}{number}", seedance.buy("slow"))
        number += 1
    migrate(None)
    load(migrate(path.stem), json.loads(text), seedance.clock.time)


def by_prompt() -> dict[str, Video]:
    return {video.prompt: video for video in Video.objects.all()}


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda path: path.stem)
def test_what_waited_in_an_old_database_goes_on(snapshot: Path) -> None:
    with Seedance() as seedance:
        load_recorded(seedance, snapshot)
        bought = seedance.charges
        migrate(head())
        before = by_prompt()
        assert {prompt: video.status for prompt, video in before.items()} == {
            "Ended and announced": "completed",
            "Failed": "failed",
            "Nobody knows": "create_unknown",
            "Took too long": "timed_out",
            "Rendering": "in_progress",
            "Not sent yet": "creating",
        }
        assert before["Ended and announced"].metadata == {"order": 1}
        seedance.run_until_done()
        after = by_prompt()
        assert after["Rendering"].status == "completed"
        assert after["Not sent yet"].status == "completed"
        assert sorted(work.names()) == ["chain", "link"]
        seedance.assert_charged(bought + 1)
        announced = {fired.video.prompt for fired in seedance.fired if fired.video}
        assert announced.isdisjoint({"Ended and announced", "Failed"})
        assert after["Nobody knows"].adopt(seedance.buy())
        seedance.run_until_done()
        assert sorted(work.names()) == ["adopted", "chain", "link"]


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda path: path.stem)
def test_the_way_back_keeps_the_rows(snapshot: Path) -> None:
    with Seedance() as seedance:
        load_recorded(seedance, snapshot)
        migrate(head())
        videos, tasks = Video.objects.count(), KeptTask.objects.count()
        old = migrate(snapshot.stem)
        assert old.get_model(APP, "Video").objects.count() == videos
        assert old.get_model(APP, "KeptTask").objects.count() == tasks
        migrate(None)
        assert not [t for t in connection.introspection.table_names() if t.startswith(APP)]


def test_the_newest_version_is_recorded() -> None:
    assert head() in {path.stem for path in SNAPSHOTS}, "run python -m tests.upgrades.record"


def test_uses_that_share_a_celery_id_survive_a_way_back(database: Any) -> None:
    """To the version that knew each task by its Celery id alone."""
    video = Video.objects.create(api_id="task_1", status="queued")
    for key in ("one", "two", "three"):
        KeptTask.objects.create(
            key=key, celery_id="the-same" if key != "three" else "another", task="t", video=video
        )
    rows = migrate("0001_initial").get_model(APP, "KeptTask").objects.order_by("pk")
    assert list(rows.values_list("celery_id", flat=True)) == ["the-same", "two", "another"]
    migrate(head())
    found = KeptTask.objects.order_by("pk").values_list("key", "celery_id")
    assert list(found) == [(name, name) for name in ("the-same", "two", "another")]
