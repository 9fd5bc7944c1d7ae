"""An idempotency key stands for one order: of one user, and for longer than its row is kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import chain
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from seedance_celery.buying.orders import order
from seedance_celery.exceptions import InvalidRequest
from seedance_celery.lifecycle.pruning import count, prune
from seedance_celery.models import KeptTask, UsedKey, Video
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import publish, refund
from tests.harness.databases import Database

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
OTHER_PNG = b"\x89PNG\r\n\x1a\n" + b"y" * 20
KEY = "user-1:form-1"
YEAR = 365 * 86400


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Any:
    settings.MEDIA_ROOT = str(tmp_path)
    return storages["default"]


def ask(prompt: str = "A kite", **options: Any) -> Video:
    return generate_video(prompt, **{"idempotency_key": KEY, **options})


def refused(call: Callable[[], Any]) -> str:
    """Return the words in which a key is refused."""
    with pytest.raises(InvalidRequest) as caught:
        call()
    assert caught.value.field == "idempotency_key"
    return str(caught.value)


def test_the_row_says_whether_it_is_new(kit: Seedance) -> None:
    first, second = ask(), ask()
    assert (first.created, second.created, first.pk) == (True, False, second.pk)
    assert Video.objects.get().created is False
    assert generate_video("A kite").created is True
    assert [track_video("task_1").created for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    "options",
    [
        *({"prompt": "A boat"}, {"model": "seedance-2-5"}, {"model": "doubao-seedance-2-0"}),
        *({"seconds": 6}, {"size": "9:16"}, {"images": [io.BytesIO(PNG)]}),
    ],
)
def test_another_order_with_a_used_key_is_refused(kit: Seedance, options: dict[str, Any]) -> None:
    first = ask()
    before = KeptTask.objects.count()
    told = refused(lambda: ask(**options))
    assert str(first.pk) not in told
    kit.run_until_done()
    assert str(first.current().api_id) not in refused(lambda: ask(**options))
    assert (Video.objects.count(), kit.charges) == (1, 1)
    assert before == 1


def test_what_is_not_bought_may_differ(kit: Seedance) -> None:
    first = ask(metadata={"order": 1})
    others = {"metadata": {"order": 2}, "timeout": 60, "store": True}
    assert ask(**others, link=publish.s(), link_error=refund.s()).pk == first.pk


def test_a_default_that_a_deploy_changes_is_no_difference(kit: Seedance) -> None:
    first = ask()
    with override_settings(
        SEEDANCE={**django_settings.SEEDANCE, "DEFAULT_MODEL": "doubao-seedance-1-0-pro"}
    ):
        assert ask().pk == first.pk
        refused(lambda: ask(model="doubao-seedance-1-0-pro"))


def test_an_account_has_keys_of_its_own(kit: Seedance) -> None:
    accounts = {"eu": {"API_KEY": "sk-eu"}}
    with override_settings(SEEDANCE={**django_settings.SEEDANCE, "ACCOUNTS": accounts}):
        assert ask().pk != ask("A boat", account="eu").pk


def test_the_same_files_are_the_same_order(kit: Seedance, tmp_path: Path) -> None:
    first = ask(images=[io.BytesIO(PNG), io.BytesIO(OTHER_PNG)])
    again = ask(images=[io.BytesIO(PNG), io.BytesIO(OTHER_PNG)])
    assert (again.pk, again.created) == (first.pk, False)
    kept = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert kept == {Path(name).name for name, _ in first.images}


@pytest.mark.parametrize("images", [[OTHER_PNG], [], [PNG, PNG], [PNG + b"z"]])
def test_other_files_are_another_order_and_leave_no_copy(
    kit: Seedance, tmp_path: Path, images: list[bytes]
) -> None:
    first = ask(images=[io.BytesIO(PNG)])
    refused(lambda: ask(images=[io.BytesIO(image) for image in images]))
    kept = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert kept == [Path(first.images[0][0]).name]


def test_a_file_is_known_by_its_content_whatever_its_name(kit: Seedance, storage: Any) -> None:
    first = ask(images=[storage.save("a.png", ContentFile(PNG))])
    assert ask(images=[storage.save("b.png", ContentFile(PNG))]).pk == first.pk
    assert ask(images=[io.BytesIO(PNG)]).pk == first.pk
    assert storage.exists("b.png")


def test_the_digest_holds_nothing_in_the_clear(kit: Seedance) -> None:
    first, plain = ask(), generate_video("A kite")
    assert len(first.order_digest) == 64
    assert int(first.order_digest, 16)
    assert plain.order_digest == ""


def test_a_row_from_before_the_digest_is_compared_by_its_columns(
    kit: Seedance, caplog: pytest.LogCaptureFixture
) -> None:
    first = ask()
    Video.objects.update(order_digest="")
    assert ask().pk == first.pk
    assert "another order" not in caplog.text
    assert ask("A boat").pk == first.pk
    assert f"Video {first}: another order came with its idempotency_key" in caplog.text
    assert "boat" not in caplog.text


def test_a_second_create_with_another_order_fails_and_the_first_goes_on(kit: Seedance) -> None:
    def start(prompt: str) -> Any:
        create = create_video.s(prompt, idempotency_key=KEY).on_error(refund.s())
        return chain(create, poll_video.s(), publish.s()).apply_async()

    start("A kite")
    start("A kite")
    start("A boat")
    kit.run_until_done()
    assert sorted(canvas.names()) == ["publish", "publish", "refund"]
    [error] = [value for name, value in canvas.ran if name == "refund"]
    assert (type(error), error.field) == (InvalidRequest, "idempotency_key")
    assert kit.charges == 1


# What remains of a row that is removed.


def end(kit: Seedance) -> Video:
    video = ask()
    kit.run_until_done()
    KeptTask.objects.all().delete()
    return video.current()


def in_the_admin(video: Video) -> None:
    user = get_user_model().objects.create_superuser("admin", "admin@example.com", "secret")
    client = Client()
    client.force_login(user)
    page = reverse("admin:seedance_celery_video_delete", args=[video.pk])
    assert client.post(page, {"post": "yes"}).status_code == 302


def old_object(video: Video) -> None:
    stale = Video(pk=video.pk)
    stale.delete()


WAYS: dict[str, Callable[[Video], Any]] = {
    "object": Video.delete,
    "stale object": old_object,
    "queryset": lambda video: Video.objects.filter(pk=video.pk).delete(),
    "admin": in_the_admin,
    "prune": lambda video: prune(0),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_key_is_known_after_its_row_is_removed(kit: Seedance, way: str) -> None:
    video = end(kit)
    pk = video.pk
    kit.advance(1)
    WAYS[way](video)
    assert not Video.objects.exists()
    for call in (ask, lambda: ask("A boat"), lambda: create_video("A kite", idempotency_key=KEY)):
        told = refused(call)
        assert str(video.api_id) in told
        assert str(pk) in told
    [used] = UsedKey.objects.all()
    assert (used.account, used.idempotency_key) == ("default", KEY)
    assert (used.video_pk, used.api_id) == (pk, video.api_id)
    assert (Video.objects.count(), kit.charges) == (0, 1)


def test_a_key_is_forgotten_after_its_time(kit: Seedance) -> None:
    end(kit).delete()
    kit.clock.advance(YEAR - 60)
    refused(ask)
    kit.clock.advance(120)
    second = ask()
    assert second.created
    # It is removed with the next pruning, and what is removed later is remembered anew.
    kit.run_until_done()
    KeptTask.objects.all().delete()
    Video.objects.all().delete()
    assert str(second.pk) in refused(ask)
    prune(YEAR)
    assert [used.video_pk for used in UsedKey.objects.all()] == [second.pk]


def test_how_long_a_key_is_known_can_be_set(kit: Seedance) -> None:
    end(kit).delete()
    kit.clock.advance(2 * 86400)
    with override_settings(SEEDANCE={**django_settings.SEEDANCE, "KEEP_KEYS": 86400}):
        assert ask().created


def test_a_count_of_what_may_be_pruned_forgets_no_key(kit: Seedance) -> None:
    end(kit).delete()
    kit.clock.advance(YEAR + 60)
    count(YEAR)
    assert UsedKey.objects.count() == 1


def test_a_deletion_that_is_rolled_back_leaves_the_row_and_its_key(kit: Seedance) -> None:
    video = end(kit)
    with transaction.atomic():
        video.delete()
        transaction.set_rollback(True)
    assert not UsedKey.objects.exists()
    assert ask().pk == Video.objects.get().pk


def test_a_row_without_a_key_leaves_nothing(kit: Seedance) -> None:
    generate_video("A kite")
    kit.run_until_done()
    KeptTask.objects.all().delete()
    Video.objects.all().delete()
    assert not UsedKey.objects.exists()


@pytest.mark.parametrize("has_key", [True, False])
def test_the_keys_of_many_rows_are_written_down_together(kit: Seedance, has_key: bool) -> None:
    def statements(count: int) -> int:
        for number in range(count):
            generate_video("A kite", idempotency_key=f"{has_key}-{number}" if has_key else None)
        kit.run_until_done()
        KeptTask.objects.all().delete()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            Video.objects.all().delete()
        written = [q["sql"] for q in queries if "usedkey" in q["sql"]]
        UsedKey.objects.all().delete()
        return len(written)

    assert statements(5) == has_key


def test_a_key_and_its_tombstone_of_any_length_fit(database: Database) -> None:
    key = "\N{KITE}" * 255
    video, _ = order("A kite", idempotency_key=key)
    Video.objects.update(api_id="\N{KITE}" * 255, finished_at=video.created_at, status="completed")
    Video.objects.all().delete()
    told = refused(lambda: order("A kite", idempotency_key=key))
    assert str(video.pk) in told
    assert order("A kite", idempotency_key=key.lower()[:-1] + "k")[1]


def test_keys_that_differ_in_case_are_two_also_when_they_are_remembered(database: Database) -> None:
    video, _ = order("A kite", idempotency_key="Key")
    Video.objects.update(finished_at=video.created_at, status="completed")
    video.delete()
    assert order("A kite", idempotency_key="key")[1]
    refused(lambda: order("A kite", idempotency_key="Key"))
