"""*Prune…* and the delete page name what goes along, and ask for the right to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client

from seedance_celery.models import Video
from tests.docs.shop.models import Order
from tests.web.conftest import person
from tests.web.rows import make
from tests.web.test_admin_actions import LIST, confirm, do

pytestmark = pytest.mark.django_db(transaction=True)


class OrderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Out of the index, whose addresses were made when the site was loaded."""

    def has_module_permission(self, request: Any) -> bool:
        return False


@pytest.fixture
def cascading() -> Iterator[None]:
    """Let the project's orders go with their video, and have an admin."""
    remote: Any = Order._meta.get_field("video").remote_field
    usual, remote.on_delete = remote.on_delete, models.CASCADE
    admin.site.register(Order, OrderAdmin)
    yield
    admin.site.unregister(Order)
    remote.on_delete = usual


@pytest.fixture
def clerk(db: None) -> Client:
    """A user who may delete videos, and nothing else."""
    return person("clerk", "view_video", "delete_video", is_staff=True)


def ordered(count: int = 1) -> list[Video]:
    videos = [make("failed") for _ in range(count)]
    for video in videos:
        Order.objects.create(video=video)
    return videos


def test_the_confirmation_names_what_goes_along(boss: Client, cascading: None) -> None:
    videos = ordered(2)
    page = do(boss, "prune", *videos).text
    assert "Deleted together with them:" in page
    assert f"2 orders (order {Order.objects.first()}" in page
    html = confirm(boss, "prune", *videos).text
    assert "Prune: 2 videos." in html
    assert "With them went: 2 orders." in html
    assert not Order.objects.exists()


def test_who_may_not_delete_what_goes_along_deletes_no_such_video(
    clerk: Client, cascading: None
) -> None:
    [video], free = ordered(), make("failed")
    page = do(clerk, "prune", video, free).text
    assert f"{video}: you may not delete what goes with it (order)" in page
    html = confirm(clerk, "prune", video, free).text
    assert "1 video could not be deleted: you may not delete what goes with it (order)" in html
    assert "Prune: 1 video." in html
    assert list(Video.objects.all()) == [video]
    assert Order.objects.exists()
    delete = clerk.get(f"{LIST}{video.pk}/delete/").text
    assert "your account doesn" in delete
    assert clerk.post(f"{LIST}{video.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Order.objects.exists()


def test_an_admin_that_allows_some_rows_is_asked_for_each(
    boss: Client, cascading: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = ordered(2)
    allowed = Order.objects.get(video=mine)
    orders = admin.site.get_model_admin(Order)
    monkeypatch.setattr(orders, "has_delete_permission", lambda request, obj=None: obj == allowed)
    confirm(boss, "prune", mine, theirs)
    assert list(Video.objects.all()) == [theirs]


def test_what_protects_a_video_is_named_on_both_pages(boss: Client) -> None:
    [video] = ordered()
    name = f"order {Order.objects.get()}"
    for page in (do(boss, "prune", video).text, boss.get(f"{LIST}{video.pk}/delete/").text):
        assert name in page
    assert Video.objects.exists()


def test_the_pages_are_short_however_much_goes_along(boss: Client, cascading: None) -> None:
    videos = [make("failed") for _ in range(60)]
    Order.objects.bulk_create(Order(video=video) for video in videos)
    page = do(boss, "prune", *videos).text
    [line] = [line for line in page.splitlines() if "60 orders" in line]
    assert line.count("order ") == 10


def test_a_video_that_stays_is_named_with_the_reason(boss: Client) -> None:
    running = make()
    page = do(boss, "prune", running).text
    assert f"{running}: it has not ended, or a task needs it" in page


def test_the_delete_page_deletes_with_what_goes_along(boss: Client, cascading: None) -> None:
    [video] = ordered()
    page = boss.get(f"{LIST}{video.pk}/delete/").text
    assert "1 order (" in page
    assert boss.post(f"{LIST}{video.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Video.objects.exists()
    assert not Order.objects.exists()


def test_a_refusal_between_the_page_and_the_deletion_is_told(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make("failed")
    boss.get(f"{LIST}{video.pk}/delete/")

    def late(*args: Any, **kwargs: Any) -> Any:
        raise models.ProtectedError("An order refers to it.", set())

    models.signals.pre_delete.connect(late, sender=Video)
    try:
        html = boss.post(f"{LIST}{video.pk}/delete/", {"post": "yes"}, follow=True).text
    finally:
        models.signals.pre_delete.disconnect(late, sender=Video)
    assert "The video could not be deleted: An order refers to it." in html
    assert Video.objects.exists()
