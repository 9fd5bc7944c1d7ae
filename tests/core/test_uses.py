"""A Celery id is no proof that two messages are copies: each use of a task goes on, and once."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import chain, chord, group, shared_task
from celery.signals import task_revoked
from django.utils import timezone

from seedance_celery import sending
from seedance_celery.canvas import keeping
from seedance_celery.canvas.uses import Use, mark
from seedance_celery.db import clock
from seedance_celery.lifecycle.sweep import prune
from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.tasks import create_video, poll_video, store_video
from seedance_celery.testing import Seedance
from seedance_celery.testing.broker import Message
from tests.core import canvas
from tests.core.canvas import collect, publish
from tests.core.test_races import at_once
from tests.harness.databases import Database

bought: list[str] = []
"""What the project's own create task has bought."""


@shared_task
def plain(prompt: str) -> str:
    return f"{prompt}, in the rain"


@shared_task
def my_create(api_ids: list[str]) -> str:
    """Buy a video as a project's own task does: another one each time it runs."""
    bought.append(api_ids[len(bought)])
    return bought[-1]


@shared_task
def apply_for_each(name: str, arguments: list[Any]) -> None:
    """Apply one chain object several times, inside one task."""
    for argument in arguments:
        CHAINS[name].apply_async((argument,))


FOLLOW = poll_video.s() | publish.s() | store_video.s()
BUY = create_video.s(seconds=5) | poll_video.s()
PLAIN = plain.s() | create_video.s(seconds=5)
PLAIN_TO_END = plain.s() | create_video.s(seconds=5) | poll_video.s() | publish.s()
CHAINS: dict[str, Any] = {"follow": FOLLOW, "buy": BUY, "plain": PLAIN, "to the end": PLAIN_TO_END}
LAST = {
    "follow": sending.STORE,
    "buy": sending.POLL,
    "plain": sending.CREATE,
    "to the end": sending.POLL,
}


class RecordingKit(Seedance):
    """Remembers every message, and runs each of this package's `copies` times, at once."""

    copies = 1

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[Message] = []

    def run(self, message: Message) -> Any:
        self.seen.append(copy.deepcopy(message))
        for _ in range(self.copies - 1 if message.task.startswith(sending.PREFIX) else 0):
            super().run(copy.deepcopy(message))
        return super().run(message)

    def deliver_again(self) -> None:
        """Deliver every message of this package that there was once more."""
        for message in list(self.seen):
            if message.task in LAST.values():
                self.run(copy.deepcopy(message))
        self.run_until_done()


@pytest.fixture
def kit(database: Database) -> Iterator[RecordingKit]:
    canvas.ran.clear()
    bought.clear()
    with RecordingKit() as seedance:
        yield seedance


def arguments(kit: Seedance, name: str) -> list[str]:
    return [kit.buy() if name == "follow" else f"Kite {number}" for number in range(3)]


def apply(name: str, argument: str, *, one_id: bool) -> None:
    # Celery 5.7 does this by itself, with the id of the first time.
    options = {"task_id": f"last of {name}"} if one_id else {}
    CHAINS[name].apply_async((argument,), **options)


def check_all_went_on(kit: Seedance, name: str) -> None:
    rows = KeptTask.objects.filter(task=LAST[name])
    assert rows.count() == rows.filter(finished_at__isnull=False).count() == 3
    assert rows.values("video").distinct().count() == 3
    assert {video.status for video in Video.objects.all()} == {"completed"}
    assert (Video.objects.count(), kit.charges) == (3, 3)
    if name in ("follow", "to the end"):
        assert canvas.names() == ["publish"] * 3
        assert len({value["id"] for _, value in canvas.ran}) == 3
    if name == "follow":
        assert all(video.file for video in Video.objects.all())


@pytest.mark.parametrize("one_id", [False, True])
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_object_goes_on_each_time_it_is_applied(
    kit: RecordingKit, name: str, one_id: bool, caplog: pytest.LogCaptureFixture
) -> None:
    kit.copies = 2
    for argument in arguments(kit, name):
        apply(name, argument, one_id=one_id)
    kit.run_until_done()
    check_all_went_on(kit, name)
    assert "twice" not in caplog.text
    kit.clock.advance(6 * 86400)
    kit.deliver_again()
    check_all_went_on(kit, name)


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_object_that_one_task_applies_goes_on_each_time(
    kit: RecordingKit, name: str
) -> None:
    kit.copies = 2
    CHAINS[name].set(task_id=f"last of {name}, by a task")
    try:
        apply_for_each.delay(name, arguments(kit, name))
        kit.run_until_done()
    finally:
        del CHAINS[name].options["task_id"]
    check_all_went_on(kit, name)
    kit.deliver_again()
    check_all_went_on(kit, name)


def test_a_chain_object_that_parts_of_a_group_and_of_a_chord_share(kit: RecordingKit) -> None:
    ids = arguments(kit, "follow")
    rest = publish.s() | store_video.s()
    group(poll_video.s(api_id) | rest for api_id in ids[:2]).apply_async()
    chord([poll_video.s(ids[2]) | rest, poll_video.s(ids[0])], collect.s()).apply_async()
    kit.run_until_done()
    assert sorted(canvas.names()) == ["collect", "publish", "publish", "publish"]
    assert all(video.file for video in Video.objects.all())


@pytest.mark.parametrize("task", [poll_video, create_video])
def test_a_task_id_that_a_caller_uses_again(kit: RecordingKit, task: Any) -> None:
    first, second = (kit.buy(), kit.buy()) if task is poll_video else ("A kite", "A boat")
    for argument in (first, second, first):
        chain(task.s(argument).set(task_id="order-7"), publish.s()).apply_async()
    kit.run_until_done()
    assert canvas.names() == ["publish"] * 2
    assert kit.charges == 2
    assert {value["id"] for _, value in canvas.ran} == {v.api_id for v in Video.objects.all()}


def test_a_task_id_that_is_used_again_for_another_task(kit: RecordingKit) -> None:
    reply = create_video("A kite")
    kit.run_until_done()
    for task in (poll_video, store_video):
        chain(task.s(reply).set(task_id="order-7"), publish.s()).apply_async()
    kit.run_until_done()
    assert canvas.names() == ["publish"] * 2


def run_twice(kit: RecordingKit, name: str) -> None:
    """Let a project's task run once more: its broker has delivered it twice."""
    message = next(message for message in kit.seen if message.task == name)
    kit.run(copy.deepcopy(message))


@pytest.mark.parametrize("later", [0, 600, 6 * 86400])
def test_a_create_task_that_ran_twice_is_followed_and_goes_on_once(
    kit: RecordingKit, caplog: pytest.LogCaptureFixture, later: int
) -> None:
    ids = [kit.buy(), kit.buy()]
    chain(my_create.s(ids), poll_video.s(), publish.s()).apply_async()
    kit.run_due()
    if later:
        kit.run_until_done()
        kit.clock.advance(later)
    run_twice(kit, my_create.name)
    kit.run_until_done()
    assert canvas.names() == ["publish"]
    assert canvas.ran[0][1]["id"] == ids[0]
    assert {video.api_id: video.status for video in Video.objects.all()} == dict.fromkeys(
        ids, "completed"
    )
    first, second = (Video.objects.get(api_id=api_id).pk for api_id in ids)
    (told,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert f"came for video {second}, and waits for video {first} already" in told
    assert "the task before it ran twice" in told


def test_a_create_after_a_task_that_ran_twice_buys_once(
    kit: RecordingKit, caplog: pytest.LogCaptureFixture
) -> None:
    ids = ["A kite", "A boat"]
    chain(my_create.s(ids), create_video.s(seconds=5), publish.s()).apply_async()
    kit.run_due()
    run_twice(kit, my_create.name)
    kit.run_until_done()
    assert (kit.charges, canvas.names()) == (1, ["publish"])
    assert "the task before it ran twice" in caplog.text
    assert f"Video {Video.objects.get().pk} is bought for the first order" in caplog.text
    assert "A boat" not in caplog.text


def test_a_reply_that_says_more_the_second_time_is_no_other_video(
    kit: RecordingKit, caplog: pytest.LogCaptureFixture
) -> None:
    api_id = kit.buy()
    options = {"task_id": "poll-7", "root_id": "root", "parent_id": "create"}
    for progress in (0, 40):
        poll_video.apply_async(({"id": api_id, "progress": progress},), **options)
    kit.run_until_done()
    assert KeptTask.objects.filter(task=sending.POLL).count() == 1
    assert "twice" not in caplog.text


# What the package sends itself.


def the_kept_message(kit: RecordingKit) -> Message:
    sent = (m for m in kit.seen if m.task == sending.POLL and "kept" in str(m.body[0]))
    return copy.deepcopy(next(sent))


def test_what_is_sent_again_after_its_row_was_pruned_ends_silently(
    kit: RecordingKit, caplog: pytest.LogCaptureFixture
) -> None:
    chain(create_video.s("A kite"), poll_video.s(), publish.s()).apply_async()
    kit.run_until_done()
    kit.clock.advance(10 * 86400)
    assert len(prune(0).videos) == 1
    caplog.clear()
    kit.run(the_kept_message(kit))
    assert (canvas.names(), kit.raised, kit.charges) == (["publish"], [], 1)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_message_of_the_previous_version_finds_its_row(kit: RecordingKit) -> None:
    """There the key of a kept task was its Celery id, and its argument named the video alone."""
    chain(create_video.s("A kite"), poll_video.s(), publish.s()).apply_async()
    kit.run_due()
    for kept in KeptTask.objects.filter(finished_at__isnull=True):
        text = kept.signature.replace(kept.key, "").replace(', "kept": ""', "")
        assert "kept" not in text
        KeptTask.objects.filter(pk=kept.pk).update(key=kept.celery_id, argument="", signature=text)
    kit.run_until_done()
    assert canvas.names() == ["publish"]


@pytest.mark.parametrize("argument", ["mapping", "prompt"])
def test_an_argument_of_a_caller_that_looks_like_ours_takes_no_row(
    kit: RecordingKit, argument: str
) -> None:
    video = generate_video("A kite", link=publish.s())
    kit.run_due()
    kept = KeptTask.objects.get(task=sending.POLL)
    task = poll_video if argument == "mapping" else create_video
    task.delay(mark(video.pk, kept.key))
    kit.run_due()
    kept.refresh_from_db()
    assert (kept.claim_token, kept.finished_at, kit.charges) == (1, None, 1)
    kit.run_until_done()
    assert canvas.names() == ["publish"]


def test_revoking_an_id_drops_every_use_of_it(kit: RecordingKit) -> None:
    for api_id in (kit.buy(), kit.buy()):
        chain(poll_video.s(api_id).set(task_id="order-7"), publish.s()).apply_async()
    kit.run_due()
    assert KeptTask.objects.filter(celery_id="order-7").count() == 2
    request = type("Request", (), {"id": "order-7"})
    task_revoked.send(sender=poll_video, request=request, terminated=False)
    kit.run_until_done()
    assert canvas.names() == []


def test_two_workers_that_get_copies_at_once_keep_one_row(database: Database) -> None:
    video = Video.objects.create(api_id="task_1", status="queued").current()
    use = Use(sending.POLL, "id", "key", "argument")
    made = at_once(lambda: keeping.insert(use, video, "{}")[1])
    assert made.count(True) == 1
    assert KeptTask.objects.get().lease_until > timezone.now() - timedelta(hours=1)


def test_a_task_whose_step_was_published_since_it_was_read_is_not_free(database: Database) -> None:
    """The process that published the step may have freed the task, as the broker went away."""
    video = Video.objects.create(api_id="task_1", status="queued")
    KeptTask.objects.create(celery_id="a", task=sending.POLL, video=video)
    for changes in ({"published": 1}, {"raised_at": clock.now()}, {"error": ["VideoFailed"]}):
        stale = KeptTask.objects.get()
        KeptTask.objects.update(**changes)
        assert not stale.claim(60), changes
    assert KeptTask.objects.get().claim(60)
