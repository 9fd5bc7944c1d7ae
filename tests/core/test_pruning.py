"""Deleting old videos: what goes with them, what keeps them, and that one holds up no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, models, transaction
from django.db.models.signals import pre_delete
from django.utils import timezone

from seedance_celery.db import once
from seedance_celery.lifecycle import deletion, pruning
from seedance_celery.models import KeptTask, Video
from tests.harness.databases import Database


def _model(name: str, **fields: Any) -> Any:
    meta = type("Meta", (), {"app_label": "seedance_celery", "managed": False})
    body = {"__module__": __name__, "Meta": meta, "__str__": lambda self: f"{name} {self.pk}"}
    return type(name, (models.Model,), {**body, **fields})


def _key(on_delete: Any, **options: Any) -> Any:
    return models.ForeignKey(Video, on_delete, related_name="+", null=True, **options)


@contextmanager
def pointing(on_delete: Any, *, further: Any = None, **options: Any) -> Iterator[list[Any]]:
    """Let a model point at videos, and where `further` is given another at that one."""
    made = [_model("Shot", video=_key(on_delete, **options))]
    if further:
        link = models.ForeignKey(made[0], further, related_name="+", null=True)
        made.append(_model("Payment", shot=link))
    try:
        # Outside any transaction, or SQLite could not make tables that refer to others.
        with connection.schema_editor() as editor:
            for model in made:
                editor.create_model(model)
        yield made
    finally:
        with connection.schema_editor() as editor:
            for model in reversed(made):
                editor.delete_model(model)
        for model in made:
            del Video._meta.apps.all_models["seedance_celery"][model._meta.model_name]
        Video._meta.apps.clear_cache()


def old(count: int = 1, **changes: Any) -> list[Video]:
    """Insert videos that ended a hundred days ago, one second apart."""
    begin = timezone.now() - timedelta(days=100)
    return [
        Video.objects.create(
            **{
                "api_id": f"task_{number}",
                "status": "failed",
                "finished_at": begin + timedelta(seconds=number),
                "announced_at": begin,
                **changes,
            }
        )
        for number in range(count)
    ]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    once.forget()
    pruning._place = None
    yield
    pruning._place = None


CASES = {
    "cascade": (models.CASCADE, None, set()),
    "set null": (models.SET_NULL, None, set()),
    "protect": (models.PROTECT, None, {1}),
    "restrict": (models.RESTRICT, None, {1}),
    "do nothing": (models.DO_NOTHING, None, {1}),
    "protected by what hangs on what goes": (models.CASCADE, models.PROTECT, {1}),
    "cascade, and what hangs on that": (models.CASCADE, models.CASCADE, set()),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_projects_row_does_to_a_video_is_what_django_does(
    database: Database, name: str
) -> None:
    on_delete, further, staying = CASES[name]
    with pointing(on_delete, further=further) as (first, *rest):
        videos = old(3)
        shot = first.objects.create(video=videos[1])
        for model in rest:
            model.objects.create(shot=shot)
        would = pruning.count(3600)
        assert Video.objects.count() == 3
        did = pruning.prune(3600)
        left = {number for number, video in enumerate(videos) if _is_there(video)}
        assert (left, len(did.videos)) == (staying, 3 - len(staying))
        assert (would.videos, would.counts()) == (did.videos, did.counts()) or staying == {1}
        if name.startswith("cascade"):
            assert did.counts() == {model._meta.label_lower: 1 for model in (first, *rest)}
            assert not first.objects.exists()
        elif not staying:
            assert did.counts() == {}
            assert first.objects.get().video_id is None
        else:
            assert first.objects.get().video_id == videos[1].pk
        Video.objects.all()._raw_delete(connection.alias) if not staying else None
        first.objects.all().delete() if not rest else [m.objects.all().delete() for m in rest]
        first.objects.all().delete()


def _is_there(video: Video) -> bool:
    return Video.objects.filter(pk=video.pk).exists()


def test_a_receiver_that_raises_keeps_its_video_alone_and_is_named_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    videos = old(5)

    def refuse(instance: Video, **kwargs: Any) -> None:
        if instance.pk == videos[2].pk:
            raise RuntimeError("not this one")

    pre_delete.connect(refuse, sender=Video)
    try:
        assert len(pruning.prune_all(3600).videos) == 4
        assert pruning.prune_all(3600).videos == []
    finally:
        pre_delete.disconnect(refuse, sender=Video)
    assert [video.pk for video in Video.objects.all()] == [videos[2].pk]
    told = [r for r in caplog.records if str(videos[2].pk) in r.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"]


def test_many_that_cannot_go_at_the_head_starve_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 4)
    videos = old(10)
    refused = {video.pk for video in videos[:8]}

    def refuse(instance: Video, **kwargs: Any) -> None:
        if instance.pk in refused:
            raise RuntimeError

    pre_delete.connect(refuse, sender=Video)
    try:
        for _ in range(3):
            pruning.prune(3600)
    finally:
        pre_delete.disconnect(refuse, sender=Video)
    assert set(Video.objects.values_list("pk", flat=True)) == refused


@pytest.mark.parametrize("database", ["postgres", "mariadb"], indirect=True)
def test_a_locked_video_is_passed_over(database: Database) -> None:
    videos = old(3)
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Video.objects.select_for_update().get(pk=videos[1].pk)
            locked.set()
            done.wait(30)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert locked.wait(10)
        assert len(pruning.prune(3600).videos) == 2
    finally:
        done.set()
        holder.join()
    assert [video.pk for video in Video.objects.all()] == [videos[1].pk]


def test_a_video_that_is_resumed_meanwhile_stays(database: Database) -> None:
    [video] = old()
    Video.objects.filter(pk=video.pk).update(finished_at=None, status="queued")
    assert deletion.delete([video]).videos == []
    assert _is_there(video)


def test_images_that_are_no_pairs_hold_up_no_deletion(database: Database) -> None:
    old(1, images=["x", 5, None])
    assert len(pruning.prune(3600).videos) == 1
    assert not Video.objects.exists()


def test_a_row_that_ended_in_no_year_is_left_to_a_person(database: Database) -> None:
    from datetime import datetime
    from datetime import timezone as zones

    good, bad = old(2)
    first = datetime(1, 1, 1, tzinfo=zones.utc)
    Video.objects.filter(pk=bad.pk).update(finished_at=first)
    assert pruning.prune(3600).videos == [good.pk]


def test_finished_tasks_go_and_unfinished_ones_keep_their_video(database: Database) -> None:
    done, waiting = old(2)
    long_ago = timezone.now() - timedelta(days=8)
    KeptTask.objects.create(celery_id="a", task="poll", video=done, finished_at=long_ago)
    KeptTask.objects.create(celery_id="b", task="poll", video=waiting)
    deleted = pruning.prune(3600)
    assert (deleted.videos, deleted.counts()) == ([done.pk], {})
    assert [kept.video_id for kept in KeptTask.objects.all()] == [waiting.pk]
