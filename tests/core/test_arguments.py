"""What a caller hands in is checked at the door: each argument of each public function.

A view may pass the JSON of a request body straight on. Nothing of it is ever the package's own
form of a value: no file is removed, no row is written, and nothing is sent.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import models, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seedance_celery.api.arguments import LONGEST_KEY, MAX_IMAGES, MAX_METADATA, MAX_NAME
from seedance_celery.api.catalog import MAX_MODEL_ID, MAX_PROMPT, MAX_SIZE
from seedance_celery.buying.orders import order
from seedance_celery.client import Client
from seedance_celery.exceptions import InvalidRequest
from seedance_celery.forms import check_order
from seedance_celery.models import KeptTask, Video, image_copies
from seedance_celery.shortcuts import generate_video, track_video, wait_for_video
from seedance_celery.tasks import create_video, poll_video, store_video
from seedance_celery.testing import Seedance
from tests.core.canvas import publish
from tests.harness.databases import Database

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
LOGO = "tenant-7/logo.png"
HUGE = 10**5000
"""A number that Python refuses to write as text."""

Call = Callable[..., Any]


@pytest.fixture
def storage(settings: Any, tmp_path: Path) -> Any:
    """A storage with a file of the project's own."""
    settings.MEDIA_ROOT = str(tmp_path)
    found = storages["default"]
    found.save(LOGO, ContentFile(PNG))
    return found


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels - 1):
        found = [found]
    return found


def circle() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def closed() -> io.BytesIO:
    file = io.BytesIO(PNG)
    file.close()
    return file


class Card(models.Model):
    """A model with a file, of which there is no table: only its fields are used."""

    image = models.FileField()

    class Meta:
        app_label = "sessions"
        managed = False


NO_TEXT = [5, 0, True, False, b"x", ["x"], [], {}, {"a": 1}, object(), "a\0b", "\ud800"]
NO_FLAG = ["true", "", 1, 0, [], {}, 1.0]
NO_TIME = ["5", True, 0, -1, float("nan"), float("inf"), HUGE, 1e300, [], {}, Decimal(5)]

BAD: dict[str, list[Any]] = {
    "prompt": [None, " ", "x" * (MAX_PROMPT + 1), *NO_TEXT],
    "model": [" ", "m" * (MAX_MODEL_ID + 1), *NO_TEXT],
    "size": ["", "huge", "1" * (MAX_SIZE + 1), *NO_TEXT],
    "seconds": ["5", 5.0, True, -1, 0, 99, HUGE, [5], {}, Decimal(5), float("nan"), 3_000_000_000],
    "images": [
        *("kite.png", b"kite.png", {"a": 1}, 5, None, False, [5], [None], [True], [b"x"]),
        *([[LOGO, True]], [[LOGO, False]], [(LOGO, True)], [[[LOGO]]], [{"name": LOGO}]),
        *([Path(LOGO)], ["/etc/hosts"], ["../x"], ["a/../../x"], ["C:\\x"], ["\\\\host\\x"]),
        *(["..\\x"], ["."], [""], [" "], ["a\0b"], ["\ud800"], ["n" * (MAX_NAME + 1)]),
        *(["nowhere.png"], ["tenant-7"], [LOGO] * (MAX_IMAGES + 1), [Card().image]),
        *([Card(image="gone.png").image], [closed()], [io.StringIO("x")], [io.BytesIO]),
        *([io.BytesIO(b"GIF89a")], io.BytesIO(PNG)),
    ],
    "account": ["a" * 65, *NO_TEXT],
    "idempotency_key": ["", " ", "k ", "k" * (LONGEST_KEY + 1), *NO_TEXT],
    "metadata": [
        *(object(), {1, 2}, float("nan"), [float("-inf")], Decimal(1), b"", nested(31), circle()),
        *(["a\0b"], {"\ud800": 1}, "x" * MAX_METADATA, HUGE, {(1, 2): 3}, nested(100_000)),
    ],
    "timeout": NO_TIME,
    "store": NO_FLAG,
    "link": ["task", 5, 0, "", False, {}, {"task": "publish", "args": []}, [{"task": "x"}], [None]],
    "link_error": ["task", 5, {"task": "publish", "args": []}, [[publish.s()]]],
    "propagate": NO_FLAG,
}
OF_CREATE = (
    *("prompt", "model", "size", "seconds", "images", "account", "idempotency_key"),
    "metadata",
)
OF_GENERATE = (*OF_CREATE, "timeout", "store", "link", "link_error")


@pytest.fixture
def untouched(kit: Seedance, storage: Any, tmp_path: Path) -> Iterator[Seedance]:
    """After the test no row and no file is another one, and the API was not asked."""
    yield kit
    assert not Video.objects.exists()
    assert not KeptTask.objects.exists()
    assert not kit.requests
    assert files(tmp_path) == [LOGO]


def assert_refused(call: Call, field: str, number: int = 0) -> None:
    told = "taken"
    try:
        call()
    except InvalidRequest as error:
        told = error.field
    assert (number, told) == (number, field)


def assert_all_refused(call: Call, argument: str, values: list[Any], **others: Any) -> None:
    for number, value in enumerate(values):
        assert_refused(partial(call, **{**others, argument: value}), argument, number)


@pytest.mark.parametrize("argument", OF_GENERATE)
def test_generate_video_refuses_it(untouched: Seedance, argument: str) -> None:
    assert_all_refused(generate_video, argument, BAD[argument], prompt="A kite")


@pytest.mark.parametrize("argument", OF_CREATE)
def test_create_video_refuses_it(untouched: Seedance, argument: str) -> None:
    assert_all_refused(create_video, argument, BAD[argument], prompt="A kite")


def test_create_video_takes_no_open_file(untouched: Seedance) -> None:
    assert_refused(partial(create_video, "A kite", images=[io.BytesIO(PNG)]), "images")


@pytest.mark.parametrize("argument", ["prompt", "model", "seconds", "images"])
def test_a_form_refuses_it(untouched: Seedance, argument: str) -> None:
    # A form has None or "" for a field that was left out.
    for value in BAD[argument]:
        if argument == "images" and not value:
            continue
        with pytest.raises(ValidationError) as caught:
            check_order(**{"prompt": "A kite", argument: value})
        assert list(caught.value.message_dict) == [argument]


BAD_IDS = ["", " ", "a b", "a\0b", "\ud800", "x" * 513, "https://example.com/x", "..", "\u200b"]
NO_PK = [5, True, "5", "x" * 100_000, "a\0b", "\ud800", [LOGO], {"hex": "0" * 32}, HUGE, 1.5]
BAD_VIDEOS: list[tuple[Any, str]] = [
    *((api_id, "api_id") for api_id in BAD_IDS),
    *(({name: api_id}, "api_id") for name in ("id", "task_id") for api_id in BAD_IDS if api_id),
    *(({"id": value}, "api_id") for value in (5, True, ["x"], {"id": "x"}, HUGE, b"x")),
    *(({"video_pk": value}, "video") for value in NO_PK),
    *(({"id": "task_1", "account": value}, "account") for value in BAD["account"]),
    *((value, "video") for value in ({}, {"pk": "x"}, {"id": "", "task_id": None}, {5: 6})),
]
NO_VIDEO = [None, 5, True, 1.5, b"task_1", ["task_1"], [], object()]
BY_REFERENCE: list[Call] = [poll_video, store_video, track_video, wait_for_video]


@pytest.mark.parametrize("call", BY_REFERENCE, ids=lambda call: call.__name__)
def test_what_names_no_video_is_refused(untouched: Seedance, call: Call) -> None:
    for number, (video, field) in enumerate(BAD_VIDEOS):
        assert_refused(partial(call, video), field, number)
    for video in NO_VIDEO:
        with pytest.raises(TypeError):
            call(video)


@pytest.mark.parametrize("argument", ["account", "timeout", "store", "link", "link_error"])
def test_track_video_refuses_it(untouched: Seedance, argument: str) -> None:
    assert_all_refused(partial(track_video, "task_1"), argument, BAD[argument])


@pytest.mark.parametrize("argument", ["account", "timeout", "propagate"])
def test_poll_video_refuses_it(untouched: Seedance, argument: str) -> None:
    assert_all_refused(partial(poll_video, "task_1"), argument, BAD[argument])


def test_a_row_is_not_waited_for_or_resumed_so_long(kit: Seedance) -> None:
    video = track_video("task_1")
    before = Video.objects.values().get()
    assert_all_refused(video.resume, "timeout", NO_TIME)
    assert_all_refused(partial(wait_for_video, video), "timeout", [v for v in NO_TIME if v != 0])
    assert Video.objects.values().get() == before
    with pytest.raises(TimeoutError):
        wait_for_video(video, 0)


def test_what_is_no_id_is_not_adopted(kit: Seedance) -> None:
    kit.next_video("create_dropped")
    video = generate_video("A kite")
    kit.run_until_done()
    assert_all_refused(video.adopt, "api_id", [*BAD_IDS, *NO_VIDEO, {"id": "task_1"}])
    assert video.current().status == "create_unknown"


@pytest.mark.parametrize("action", ["", "--resume", "--give-up"])
def test_the_command_tells_what_is_no_id(untouched: Seedance, action: str) -> None:
    for api_id in BAD_IDS:
        with pytest.raises(CommandError) as caught:
            call_command("seedance_track", api_id, *([action] if action else []))
        assert caught.value.returncode == 2


BAD_FOR_CLIENT = {
    **{name: BAD[name] for name in ("prompt", "model", "size", "seconds")},
    "images": [
        *([5], ["kite.png"], [closed()], [io.StringIO("x")], [("a",)], None, 5, "kite.png", {}),
        *([(name, io.BytesIO(PNG), "")] for name in (5, None, b"x")),
        *([("a", io.BytesIO(PNG), kind)] for kind in (5, "image/png\r\nX: y")),
        io.BytesIO(PNG),
    ],
}


@pytest.mark.parametrize("argument", BAD_FOR_CLIENT)
def test_the_clients_create_refuses_it(untouched: Seedance, argument: str) -> None:
    with Client("sk-x", untouched.url) as client:
        values = BAD_FOR_CLIENT[argument]
        assert_all_refused(client.create, argument, values, prompt="A kite")


@pytest.mark.parametrize("method", ["retrieve", "failure_reason"])
def test_the_client_asks_for_no_id_that_is_none(untouched: Seedance, method: str) -> None:
    with Client("sk-x", untouched.url) as client:
        values = ["", " ", "a\0b", "\ud800", "x" * 513, "..", *NO_VIDEO]
        assert_all_refused(getattr(client, method), "api_id", values)


BAD_CLIENTS: dict[str, list[Any]] = {
    "api_key": [5, b"sk-x", ["sk-x"], True],
    "base_url": [5, None, b"https://x.org", ["x"], "https://\ud800"],
    "timeout": [5, None, (5,), "55", (1, "2"), (1, float("nan")), (1, HUGE)],
    "total": NO_TIME,
    "create_timeout": NO_TIME,
    "models": [5, None, [], "m"],
    "proxy": [5, None, b"http://x:1", [], "ftp://x"],
    "ca_file": [5, None, [], "a\0b"],
}


@pytest.mark.parametrize("argument", BAD_CLIENTS)
def test_a_client_is_not_made_of_it(argument: str) -> None:
    assert_all_refused(Client, argument, BAD_CLIENTS[argument])


# The package's own form of an image.


@pytest.mark.parametrize("way", ["create", "message", "generate"])
def test_no_caller_can_have_a_file_of_the_project_removed(
    untouched: Seedance, storage: Any, way: str
) -> None:
    images: Any = [[LOGO, True]]
    if way == "message":
        result = create_video.delay("A kite", images=images)
        untouched.run_until_done()
        assert isinstance(result.result, InvalidRequest)
    else:
        call = create_video if way == "create" else generate_video
        assert_refused(partial(call, "A kite", images=images), "images")
    assert storage.exists(LOGO)


FOREIGN = [
    *([[LOGO, True]], [["../logo.png", True]], [["seedance/uploads/../../" + LOGO, True]]),
    *([["seedance/uploads/kite.png", True]], [[LOGO]], [LOGO], {"a": 1}, [[5, True]], "text"),
]
"""What somebody else may have written into a row."""


def test_what_somebody_else_wrote_into_a_row_removes_no_file(storage: Any, tmp_path: Path) -> None:
    storage.save("seedance/uploads/kite.png", ContentFile(PNG))
    before = files(tmp_path)
    for images in FOREIGN:
        image_copies.remove(images)
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", [LOGO, "seedance/uploads/kite.png"])
@pytest.mark.parametrize("end", ["completed", "rejected", "create_unknown"])
def test_no_end_of_a_row_removes_a_file_that_is_no_copy(
    kit: Seedance, storage: Any, name: str, end: str
) -> None:
    storage.save("seedance/uploads/kite.png", ContentFile(PNG))
    scenarios = {"rejected": ["create_402"], "create_unknown": ["create_dropped"]}
    kit.next_video(*scenarios.get(end, ["normal"]))
    video = generate_video("A kite")
    Video.objects.update(images=[[name, True]])
    kit.run_until_done()
    assert video.current().status == end
    video.give_up()
    kit.run_until_done()
    KeptTask.objects.all().delete()
    video.current().delete()
    assert storage.exists(name)


def test_copies_are_removed_and_named_files_stay(kit: Seedance, storage: Any) -> None:
    video = generate_video("A kite", images=[LOGO, io.BytesIO(PNG)])
    [(own, is_copy), (copy, is_own)] = video.images
    assert (own, is_copy, is_own) == (LOGO, False, True)
    assert storage.exists(copy)
    kit.run_until_done()
    assert (storage.exists(LOGO), storage.exists(copy)) == (True, False)


def test_nothing_is_copied_for_an_order_that_is_refused_anyway(
    untouched: Seedance, monkeypatch: pytest.MonkeyPatch, storage: Any
) -> None:
    saved: list[str] = []
    monkeypatch.setattr(storage, "_save", lambda name, content: saved.append(name) or name)
    assert_refused(
        partial(generate_video, "A kite", seconds=99, images=[io.BytesIO(PNG)]), "seconds"
    )
    assert saved == []


class Length(models.TextChoices):
    WIDE = "16:9"


class Seconds(models.IntegerChoices):
    SHORT = 5


def test_texts_and_numbers_of_other_types_are_kept_as_plain_ones(database: Database) -> None:
    class Marked(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    video, _ = order(
        Marked("A kite"), size=Length.WIDE, seconds=Seconds.SHORT, idempotency_key=Marked("k")
    )
    row = video.current()
    kept = (row.prompt, row.size, row.seconds, row.idempotency_key)
    assert kept == ("A kite", "16:9", 5, "k")


def test_the_longest_of_each_argument_is_kept_on_each_database(database: Database) -> None:
    kite = "\N{KITE}"
    options: dict[str, Any] = {
        "prompt": kite * MAX_PROMPT,
        "model": kite * MAX_MODEL_ID,
        "size": kite * MAX_SIZE,
        "idempotency_key": kite * LONGEST_KEY,
        "metadata": "x" * (MAX_METADATA - 2),
    }
    video, is_new = order(**options)
    row = video.current()
    assert is_new
    assert {name: getattr(row, name) for name in options} == options
    assert order(**options)[0].pk == row.pk
    assert track_video(kite * 512).api_id == kite * 512


@pytest.mark.parametrize("argument", ["prompt", "model", "size", "idempotency_key", "metadata"])
def test_one_character_more_is_refused_on_each_database(database: Database, argument: str) -> None:
    longest = {"prompt": MAX_PROMPT, "model": MAX_MODEL_ID, "size": MAX_SIZE}
    longest |= {"idempotency_key": LONGEST_KEY, "metadata": MAX_METADATA - 2}
    options = {"prompt": "A kite", "model": "new", argument: "x" * (longest[argument] + 1)}
    assert_refused(partial(order, **options), argument)
    assert not Video.objects.exists()


# Whatever JSON comes.

TEXTS = st.one_of(st.text(max_size=8), st.sampled_from([LOGO, "A kite", "task_1", "default", "5"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
IMAGES = st.lists(st.just(LOGO) | JSON | st.tuples(st.just(LOGO), st.booleans()).map(list))
PARTS = dict.fromkeys(OF_GENERATE[1:], JSON) | {"images": JSON | IMAGES}
ORDERS = st.fixed_dictionaries({"prompt": JSON | st.just("A kite")}, optional=PARTS)
VIDEOS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("id", "task_id", "video_pk", "account"), JSON)
)
PLAIN = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def ends_as_documented(call: Call, tmp_path: Path, *others: type[Exception]) -> None:
    """Call in a transaction that is rolled back; a refusal must have written nothing before."""
    with transaction.atomic():
        try:
            call()
        except (InvalidRequest, ImproperlyConfigured, *others):
            assert not Video.objects.exists()
            assert not KeptTask.objects.exists()
            assert files(tmp_path) == [LOGO]
        transaction.set_rollback(True)
    assert (tmp_path / LOGO).read_bytes() == PNG


@PLAIN
@given(options=ORDERS)
def test_any_json_in_an_order_is_taken_or_refused(
    untouched: Seedance, tmp_path: Path, options: dict[str, Any]
) -> None:
    ends_as_documented(partial(generate_video, **options), tmp_path)
    of_create = {name: value for name, value in options.items() if name in OF_CREATE}
    ends_as_documented(partial(order, **of_create), tmp_path)


@PLAIN
@given(video=JSON | VIDEOS, account=JSON | st.none(), timeout=JSON | st.none())
def test_any_json_for_a_video_is_taken_or_refused(
    untouched: Seedance, tmp_path: Path, video: Any, account: Any, timeout: Any
) -> None:
    track = partial(track_video, video, account=account, timeout=timeout)
    ends_as_documented(track, tmp_path, TypeError)
    ends_as_documented(partial(store_video, video), tmp_path, TypeError)
    with pytest.raises((InvalidRequest, TypeError)):
        wait_for_video(video, timeout)
