"""For each page: what it takes for granted, and what has to be true after its code has run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from celery import shared_task
from django.contrib.auth.models import User
from django.db import models

from seedance_celery.client import Client
from seedance_celery.conf import get_settings
from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video
from tests.core import canvas

from .running import Page
from .shop.models import Order
from .shop.tasks import publish, refund

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)

Stage = Callable[[Page], Any]
STAGES: dict[str, Stage] = {}


def stage(page: str) -> Callable[[Stage], Stage]:
    """Name the page that a function sets the stage for; it yields what the page is given."""

    def register(function: Stage) -> Stage:
        STAGES[page] = contextmanager(function)
        return function

    return register


@contextmanager
def chdir(folder: str) -> Iterator[None]:  # contextlib has one from Python 3.11 on
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def bare(page: Page) -> Iterator[dict[str, Any]]:
    """Set the stage for a page that needs nothing in particular."""
    order = _ordered("A kite")
    yield {**_usual(), "order": order, "video": order.video}


GIVEN = {"Order": Order, "publish": publish, "refund": refund, "collect": canvas.collect}


def _usual() -> dict[str, Any]:
    canvas.ran.clear()
    return {**GIVEN, "order": Order.objects.create(prompt="A kite over the sea")}


def _my_create(prompt: str) -> dict[str, Any]:
    account = get_settings().account()
    with Client(account.key(), account.base_url) as client:
        return dict(client.create(prompt, seconds=5).raw)


def _ordered(prompt: str) -> Order:
    """Return an order whose video is bought and waits for a worker."""
    return Order.objects.create(prompt=prompt, video=generate_video(prompt))


def _current(order: Order) -> Order:
    order.refresh_from_db()
    return order


@stage("docs/how-to/chain-after-your-own-create.md")
def _own_create(page: Page) -> Iterator[dict[str, Any]]:
    given = _usual()
    with patch.dict(os.environ, COMETAPI_KEY=get_settings().account().key()):
        yield given
        _all_run(page, [given["order"]])
        assert _current(given["order"]).published_at
        assert page.kit.charges == 1
        prompts = ("moderation", "create_400", "create_dropped", "create_http_504")
        orders = [Order.objects.create(prompt=f"A kite [{prompt}]") for prompt in prompts]
        _all_run(page, orders)
    assert [bool(_current(order).refunded_at) for order in orders] == [True, True, False, False]
    assert not any(order.published_at for order in orders)
    page.names["start_with_ours"](given["order"]).apply_async()
    page.kit.run_until_done()
    assert Video.objects.get(metadata={"order": given["order"].pk}).status == "completed"


def _all_run(page: Page, orders: list[Order]) -> None:
    for order in orders:
        page.names["start"](order)
    page.kit.run_until_done()


@stage("docs/how-to/migrate-from-a-polling-task.md")
def _migrating(page: Page) -> Iterator[dict[str, Any]]:
    given = _usual()
    old = [Order.objects.create(api_id=_my_create("A kite")["id"]) for _ in range(2)]
    forgotten = Order.objects.create(api_id="task_nobody_knows")
    yield {**given, "models": models}
    page.names["poll_order"].delay(old[0].pk)
    page.names["poll_order"].delay(old[0].pk)
    page.kit.run_due()
    page.names["hand_over_all"]()
    page.kit.run_until_done()
    assert all(_current(order).published_at for order in old)
    assert not _current(forgotten).refunded_at
    assert forgotten.video.status == "lost"
    assert Video.objects.count() == 3


@stage("docs/how-to/use-several-accounts.md")
def _accounts(page: Page) -> Iterator[dict[str, Any]]:
    page.before = {"from django.core.mail import mail_admins": page.kit.run_until_done}
    yield _usual()
    video = page.names["video"].current()
    assert (video.account, video.status) == ("eu", "completed")
    assert {seen.key for seen in page.kit.simulator.requests} == {"sk-eu"}


@stage("docs/how-to/use-other-models.md")
def _models(page: Page) -> Iterator[dict[str, Any]]:
    yield _usual()
    page.kit.run_until_done()
    assert Video.objects.get().model == "seedance-3-0"
    assert page.names["InvalidRequest"]


@stage("docs/how-to/use-the-client-alone.md")
def _client_alone(page: Page) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("kite.png").write_bytes(PNG)
        yield {}
    page.names["client"].close()
    assert page.names["task_or_none"] is None
    assert page.names["ask"](page.names["task"].id).id == page.names["task"].id
    assert page.kit.charges == 3


@shared_task(name="tests.docs.my_create_task")
def my_create_task(order_pk: int) -> dict[str, Any]:
    return _my_create(Order.objects.get(pk=order_pk).prompt)


def start_film(prompt: str) -> Order:
    order = Order.objects.create(prompt=prompt)
    generate_video(prompt, link=publish.s(order.pk))
    return order


GIVEN |= {"my_create_task": my_create_task, "start_film": start_film, "form_id": "form-1"}
GIVEN["request"] = SimpleNamespace(user=SimpleNamespace(pk=1))


@stage("README.md")
def _readme(page: Page) -> Iterator[dict[str, Any]]:
    first = Order.objects.create(pk=7)
    received = Order.objects.create(prompt="A kite")
    generate_video("A kite", metadata={"order": received.pk})
    given = _usual()
    yield given
    page.kit.run_until_done()
    assert page.names["video"].current().status == "lost"
    assert _current(first).published_at
    assert _current(received).published_at
    assert _current(given["order"]).published_at
    assert page.kit.charges == 3


@stage("docs/how-to/resume-adopt-buy-again.md")
def _operations(page: Page) -> Iterator[dict[str, Any]]:
    given = _usual()
    page.kit.simulator.next("create_dropped", n=3)
    adopted, bought_again, given_up = [generate_video("A kite") for _ in range(3)]
    page.kit.run_due()
    late = generate_video("A kite [stuck=400]", timeout=60)
    completed = _ordered("A kite").video
    page.kit.advance(300)
    order = Order.objects.create(video=late)

    def use(video: Video) -> None:
        page.names["video"] = video

    page.before = {
        "video.buy_again()": lambda: use(bought_again),
        "video.give_up()": lambda: use(given_up),
        "video.stop_waiting()": lambda: use(bought_again),
    }
    yield {**given, "video": adopted, "late": late, "completed": completed}
    assert {video.pk for video in page.names["unknown"].all()} == set()
    assert adopted.current().api_id == "task_abc123"
    assert given_up.current().is_finished
    assert given_up.adopt("task_that_turned_up")
    page.kit.run_until_done()
    assert bought_again.current().status == "completed"
    assert late.current().status == "completed"
    assert completed.current().file
    assert page.kit.charges == 6
    assert _current(order).published_at


@stage("docs/how-to/store-on-s3.md")
def _s3(page: Page) -> Iterator[dict[str, Any]]:
    pytest.importorskip("storages")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    aws = {
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with patch.dict(os.environ, aws):
        import boto3

        boto3.client("s3").create_bucket(Bucket="shop-videos")
        page.before = {"video.refresh_from_db()": page.kit.run_until_done}
        yield _usual()
        video = page.names["video"]
        assert video.file.name == f"films/{video.finished_at:%Y/%m}/{video.pk}.mp4"
        assert len(video.file.open().read()) == video.file_size
    server.stop()


@stage("docs/money.md")
def _money(page: Page) -> Iterator[dict[str, Any]]:
    yield _usual()
    form = page.names["FilmForm"]
    assert form({"prompt": "A kite", "seconds": 5}).is_valid()
    assert list(form({"prompt": "A kite", "seconds": 99}).errors) == ["seconds"]


@stage("docs/reference/signals.md")
def _signals(page: Page) -> Iterator[dict[str, Any]]:
    order = _ordered("A kite")
    yield _usual()
    page.kit.run_until_done()
    assert _current(order).published_at


@stage("docs/reference/exceptions.md")
def _exceptions(page: Page) -> Iterator[dict[str, Any]]:
    given_back: list[str] = []
    told: list[str] = []

    def give_money_back(order_pk: int, because: str) -> None:
        given_back.append(because)

    def tell_the_staff(order_pk: int, status: str, video_pk: str) -> None:
        told.append(status)

    yield {"give_money_back": give_money_back, "tell_the_staff": tell_the_staff}
    refund = page.names["refund"]
    generate_video("A kite [moderation]", link_error=refund.s(1))
    generate_video("A kite [error]", link_error=refund.s(2))
    page.kit.run_until_done()
    assert (given_back, told) == (["moderation"], ["error"])


@stage("docs/reference/tasks.md")
def _tasks(page: Page) -> Iterator[dict[str, Any]]:
    yield _usual()
    page.kit.run_until_done()
    ((_, results),) = canvas.ran
    assert [result["status"] for result in results] == ["lost", "lost"]


@stage("docs/reference/status-endpoint.md")
def _status_endpoint(page: Page) -> Iterator[dict[str, Any]]:
    yield _usual()
    users = [User.objects.create(username=name) for name in ("hers", "his")]
    order = _ordered("A kite")
    Order.objects.filter(pk=order.pk).update(customer=users[0])
    may_view = page.names["may_view"]
    seen = [may_view(SimpleNamespace(user=user), order.video) for user in users]
    assert seen == [True, False]


@stage("docs/reference/template-tags.md")
def _template_tags(page: Page) -> Iterator[dict[str, Any]]:
    yield {**_usual(), "order": _ordered("A kite")}
