"""Rows from views: within transactions, tests, async views and several databases."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from celery import chain
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from pytest_django.plugin import DjangoDbBlocker

from seedance_celery.exceptions import InvalidRequest
from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video, track_video, wait_for_video
from seedance_celery.tasks import create_video, poll_video, store_video
from seedance_celery.testing import Seedance
from tests.conftest import default_connection
from tests.core import canvas
from tests.core.canvas import publish, refund
from tests.harness import databases
from tests.project.addresses import database_settings

# Views, as users write them.


def buy(request: HttpRequest) -> HttpResponse:
    generate_video("A kite", link=publish.s())
    return HttpResponse("bought")


def buy_and_break(request: HttpRequest) -> HttpResponse:
    generate_video("A kite", link=publish.s())
    track_video("task_of_somebody", link=publish.s())
    raise RuntimeError("the view's own trouble")


async def buy_async(request: HttpRequest) -> HttpResponse:
    video = await sync_to_async(generate_video)("A kite", link=publish.s())
    return HttpResponse(video.status)


async def buy_wrongly(request: HttpRequest) -> HttpResponse:
    with contextlib.suppress(SynchronousOnlyOperation):
        generate_video("A kite")
        return HttpResponse("bought")
    return HttpResponse("refused by Django")


urlpatterns = [path(view.__name__, view) for view in (buy, buy_and_break, buy_async, buy_wrongly)]


@pytest.fixture
def _urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


def nothing_is_left(kit: Seedance) -> bool:
    kit.run_until_done()
    rows = Video.objects.exists() or KeptTask.objects.exists()
    return not rows and not kit.charges and not kit.fired and not kit.simulator.requests


@pytest.mark.parametrize("act", [generate_video, track_video])
def test_a_transaction_that_rolls_back_leaves_and_sends_nothing(
    kit: Seedance, act: Callable[..., Video]
) -> None:
    with contextlib.suppress(RuntimeError), transaction.atomic():
        act("task_1", link=publish.s(), link_error=refund.s())
        assert not kit.broker.fetch(), "nothing is sent before the commit"
        raise RuntimeError
    assert not kit.broker.fetch()
    assert nothing_is_left(kit)


def test_an_inner_block_that_rolls_back_takes_its_videos_along(kit: Seedance) -> None:
    with transaction.atomic():
        kept = generate_video("A kite", link=publish.s())
        with contextlib.suppress(RuntimeError), transaction.atomic():
            generate_video("Another")
            raise RuntimeError
    kit.run_until_done()
    assert list(Video.objects.all()) == [kept]
    assert (kit.charges, canvas.names()) == (1, ["publish"])


@pytest.mark.usefixtures("_urls")
def test_atomic_requests(kit: Seedance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    client = Client(raise_request_exception=False)
    assert client.get("/buy_and_break").status_code == 500
    assert nothing_is_left(kit)
    assert client.get("/buy").content == b"bought"
    kit.run_until_done()
    assert (kit.charges, canvas.names()) == (1, ["publish"])


@pytest.mark.usefixtures("_urls")
def test_an_async_view(kit: Seedance) -> None:
    client = AsyncClient()
    assert async_to_sync(client.get)("/buy_wrongly").content == b"refused by Django"
    assert async_to_sync(client.get)("/buy_async").content == b"creating"
    kit.run_until_done()
    assert (kit.charges, canvas.names()) == (1, ["publish"])


def test_in_a_test_case_what_waits_for_the_commit_is_captured(
    db: None, django_capture_on_commit_callbacks: Any
) -> None:
    canvas.ran.clear()
    with Seedance() as kit:
        with django_capture_on_commit_callbacks(execute=True):
            video = generate_video("A kite", link=publish.s())
            assert not kit.broker.fetch()
        assert [message.task.rpartition(".")[2] for message in kit.broker.fetch()] == [
            "submit_video"
        ]
        kit.run_until_done()
        assert video.current().status == "completed"
        assert canvas.names() == ["publish"]


def test_waiting_within_an_atomic_block_is_an_error_at_once(kit: Seedance) -> None:
    video = generate_video("A kite")
    with transaction.atomic(), pytest.raises(transaction.TransactionManagementError):
        wait_for_video(video, timeout=3600)
    with transaction.atomic(), pytest.raises(transaction.TransactionManagementError):
        wait_for_video(track_video("task_1"))


@pytest.mark.parametrize("name", ["link", "link_error"])
@pytest.mark.parametrize("act", [generate_video, track_video])
def test_a_canvas_that_cannot_be_kept_is_refused_at_the_call(
    kit: Seedance, act: Callable[..., Video], name: str
) -> None:
    for wrong in (publish.s({1, 2}), publish.s(object()), publish, "publish"):
        with pytest.raises(InvalidRequest) as caught:
            act("task_1", **{name: wrong})
        assert caught.value.field == name
    assert nothing_is_left(kit)


# Several databases.


class ToVideos:
    """Routes the package's models to a database of their own."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "videos" if model._meta.app_label == "seedance_celery" else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == "videos") == (app_label == "seedance_celery")


@pytest.fixture
def routed(settings: Any, django_db_blocker: DjangoDbBlocker) -> Iterator[Seedance]:
    """A kit in a project with two databases, both migrated."""
    usual = connections.settings["default"]
    made = [databases.create("sqlite") for _ in range(2)]
    connections.settings["videos"] = {**usual, **database_settings(made[1].url)}
    settings.DATABASE_ROUTERS = [f"{__name__}.ToVideos"]
    canvas.ran.clear()
    with django_db_blocker.unblock(), default_connection(made[0].url), Seedance() as kit:
        yield kit
        connections["videos"].close()
    del connections["videos"]
    del connections.settings["videos"]
    for database in made:
        database.drop()


def test_the_transaction_that_counts_is_that_of_the_videos_database(routed: Seedance) -> None:
    with contextlib.suppress(RuntimeError), transaction.atomic(using="videos"):
        generate_video("A kite", link=publish.s())
        raise RuntimeError
    assert nothing_is_left(routed)
    with contextlib.suppress(RuntimeError), transaction.atomic(using="default"):
        generate_video("A kite", link=publish.s())
        raise RuntimeError
    chain(create_video.s("Another"), poll_video.s(), publish.s()).apply_async()
    routed.run_until_done()
    assert Video.objects.using("videos").filter(status="completed").count() == 2
    assert not Video.objects.using("default").exists()
    assert not KeptTask.objects.using("default").exists()
    assert (routed.charges, canvas.names()) == (2, ["publish", "publish"])


def test_waiting_asks_about_the_videos_database(routed: Seedance) -> None:
    video = generate_video("A kite")
    with transaction.atomic(using="videos"), pytest.raises(transaction.TransactionManagementError):
        wait_for_video(video)
    routed.run_until_done()
    with transaction.atomic(using="default"):
        assert wait_for_video(video).status == "completed"


class ToAReplica:
    """Writes here, and reads from a replica that has nothing yet."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "videos"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


def test_nothing_is_read_from_a_replica_that_lags(routed: Seedance, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.ToAReplica"]
    for name in ("default", "videos"):
        with connections[name].cursor() as cursor:
            cursor.execute("SELECT 1")
    chain(create_video.s("A kite"), poll_video.s(), store_video.s(), publish.s()).apply_async()
    generate_video("Another", link=publish.s(), store=True)
    routed.run_until_done()
    videos = Video.objects.using("default")
    assert videos.filter(status="completed").exclude(file="").count() == 2
    assert canvas.names() == ["publish", "publish"]


@pytest.mark.parametrize("how", ["called", "eager"])
def test_a_direct_create_in_a_transaction_buys_nothing(
    kit: Seedance, settings: Any, how: str
) -> None:
    def create() -> Any:
        return create_video("A kite") if how == "called" else create_video.apply(("A kite",)).get()

    refused = pytest.raises(transaction.TransactionManagementError, match="after the block")
    with refused, transaction.atomic():
        create()
    assert (kit.charges, Video.objects.count()) == (0, 0)
    assert create()["video_pk"]
    assert kit.charges == 1
