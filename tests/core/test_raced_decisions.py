"""What people decide about a video, raced with each other and with late replies.

On each database exactly one decision wins, the history tells of those that won and of no other,
every video that was bought is followed by one row, and signals fire once.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.dispatch import Signal

from seedance_celery import sending, signals
from seedance_celery.accounts import health
from seedance_celery.buying import outcomes
from seedance_celery.client import Client
from seedance_celery.db import clock
from seedance_celery.exceptions import OutcomeUnknown
from seedance_celery.models import KeptTask, Video
from seedance_celery.polling import loop
from seedance_celery.polling.poll import poll_late
from seedance_celery.protocol import VideoTask
from seedance_celery.simulator import SimulatorServer
from tests.core.test_races import no_broker
from tests.harness.databases import Database

__all__ = ["no_broker"]

ROUNDS = 6
LATE = VideoTask("task_late", "queued", "queued")

Act = Callable[[], Any]


@pytest.fixture
def fired() -> Iterator[Counter[tuple[str, str]]]:
    """Count the signals by name and API id."""
    seen: Counter[tuple[str, str]] = Counter()
    every = {n: s for n, s in vars(signals).items() if isinstance(s, Signal) and "video" in n}
    receivers = {}
    for name, one in every.items():

        def receive(video: Video, name: str = name, **kwargs: Any) -> None:
            seen[name, video.api_id or ""] += 1

        receivers[name] = receive
        one.connect(receive)
    yield seen
    for name, one in every.items():
        one.disconnect(receivers[name])


def race(*acts: Act) -> list[Any]:
    """Let acts of one thread each start together; what a deadlock ends has lost."""
    barrier = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)

    def run(number: int, act: Act) -> None:
        try:
            connections["default"].ensure_connection()
            barrier.wait(20)
            results[number] = act()
        except OperationalError:
            results[number] = None
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=args) for args in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results


def unknown(**values: Any) -> Video:
    """Return a create whose reply is lost, as the process that sent it has it."""
    defaults = {"status": "create_unknown", "api_id": None, "poll_token": 3, "timeout": 3600.0}
    times = {"post_started_at": clock.now(), "announced_at": clock.now()}
    ends = {"deadline_at": clock.after(3600), "overdue_at": clock.after(3600)}
    video = Video.objects.create(**{**defaults, **times, **ends, **values})
    text = sending.signature_text(
        sending.POLL, [{"video_pk": str(video.pk)}], task_id=f"poll-{video.pk}"
    )
    KeptTask.objects.create(
        celery_id=f"poll-{video.pk}", task=sending.POLL, video=video, signature=text
    )
    return video.current()


def events(video: Video) -> Counter[str]:
    return Counter(event for _, event in Video.objects.get(pk=video.pk).history)


def start_over() -> None:
    KeptTask.objects.all().delete()
    Video.objects.all()._raw_delete("default")


@pytest.mark.parametrize("twice", [False, True], ids=["each once", "two of each"])
def test_adopt_buy_again_and_a_late_reply(
    database: Database, twice: bool, fired: Counter[tuple[str, str]], no_broker: list[str]
) -> None:
    for _ in range(ROUNDS):
        start_over()
        fired.clear()
        no_broker.clear()
        video = unknown()
        decisions = [lambda: video.adopt("task_a"), video.buy_again] * (1 + twice)  # noqa: B023
        *won, _ = race(*decisions, lambda: outcomes.keep_outcome(video, LATE))  # noqa: B023
        adopted, again = won[::2].count(True), won[1::2].count(True)
        assert adopted + again <= 1
        row, told = video.current(), events(video)
        assert (told["adopted"], told["bought again"]) == (adopted, again)
        # The late reply is always kept: in this row, or in one of its own where this is another's.
        assert Video.objects.filter(api_id="task_late").count() == 1
        assert told["created"] == (row.api_id == "task_late")
        assert row.api_id == ("task_a" if adopted else "task_late")
        assert row.status == "queued"
        ids = ["task_late", *(["task_a"] if adopted else [])]
        assert fired == {("video_created", api_id): 1 for api_id in ids}
        submits = KeptTask.objects.filter(task=sending.SUBMIT)
        assert submits.count() == again == no_broker.count(sending.SUBMIT)
        # Whoever would buy finds the row bought: nothing is sent for it.
        assert row.post_started_at is not None or again


@pytest.mark.parametrize("twice", [False, True], ids=["each once", "two of each"])
def test_give_up_and_a_late_reply(
    database: Database, twice: bool, fired: Counter[tuple[str, str]]
) -> None:
    for _ in range(ROUNDS):
        start_over()
        fired.clear()
        video = unknown()
        replies = [lambda: outcomes.keep_outcome(video, LATE)] * (1 + twice)  # noqa: B023
        won = race(*[video.give_up] * (1 + twice), *replies)
        row, told = video.current(), events(video)
        assert told["given up"] == won.count(True) <= 1
        assert told["created"] == 1
        assert (row.status, row.api_id, row.finished_at) == ("queued", "task_late", None)
        assert fired == {("video_created", "task_late"): 1}
        # The message by which it was given up is of an old token.
        for token in range(row.poll_token):
            loop.act(str(row.pk), token)
        assert fired == {("video_created", "task_late"): 1}


@pytest.mark.parametrize("twice", [False, True], ids=["each once", "two of each"])
def test_give_up_and_adopt(
    database: Database, twice: bool, fired: Counter[tuple[str, str]]
) -> None:
    for _ in range(ROUNDS):
        start_over()
        fired.clear()
        video = unknown()
        acts = [video.give_up, lambda: video.adopt("task_a")] * (1 + twice)  # noqa: B023
        won = race(*acts)
        given_up, adopted = won[::2].count(True), won[1::2].count(True)
        row, told = video.current(), events(video)
        # What was given up may be adopted, and not the other way round.
        assert adopted <= 1 >= given_up
        assert (told["given up"], told["adopted"]) == (given_up, adopted)
        if adopted:
            assert list(told) == ["given up"] * given_up + ["adopted"]
            assert (row.status, row.finished_at) == ("queued", None)
            assert fired == {("video_created", "task_a"): 1}
        else:
            assert given_up == 1
            assert (row.status, row.is_finished) == ("create_unknown", True)
        loop.act(str(row.pk), row.poll_token - 1)
        assert fired["video_finished", ""] == 0


def test_buy_again_and_give_up(database: Database, no_broker: list[str]) -> None:
    for _ in range(ROUNDS):
        start_over()
        video = unknown()
        again, given_up = race(video.buy_again, video.give_up)
        told = events(video)
        assert (told["bought again"], told["given up"]) == (bool(again), bool(given_up))
        assert again or given_up
        row = video.current()
        assert row.status == ("creating" if again else "create_unknown")
        assert row.is_finished == (not again)


def test_the_error_of_an_earlier_post_undoes_no_decision(database: Database) -> None:
    lost = OutcomeUnknown("…", cause="ReplyLost")
    for decide, status in (
        (lambda video: video.buy_again(), "creating"),
        (lambda video: video.adopt("task_a"), "queued"),
    ):
        start_over()
        video = unknown()
        won, _ = race(lambda: decide(video), lambda: outcomes.keep_outcome(video, lost))  # noqa: B023
        assert won is True
        assert video.current().status == status


@pytest.fixture
def server(settings: Any) -> Iterator[SimulatorServer]:
    """A simulator that the package's accounts ask."""
    with SimulatorServer() as running:
        settings.SEEDANCE = {"API_KEY": "simulator", "BASE_URL": running.url}
        health.forget_clients()
        yield running
    health.forget_clients()


@pytest.mark.parametrize("twice", [False, True], ids=["each once", "two of each"])
@pytest.mark.parametrize("scenario", ["", "failed", "stuck"])
def test_resume_and_a_late_poll(
    database: Database,
    server: SimulatorServer,
    twice: bool,
    scenario: str,
    fired: Counter[tuple[str, str]],
) -> None:
    with Client("simulator", server.url) as client:
        api_id = client.create(f"A kite [{scenario}]" if scenario else "A kite").id
    server.app.advance(600)
    for _ in range(ROUNDS // 2):
        start_over()
        fired.clear()
        ended = {"finished_at": clock.after(-80000), "overdue_at": clock.after(-1)}
        video = unknown(status="timed_out", api_id=api_id, is_known=True, **ended)
        copies = [video.current() for _ in range(1 + twice)]
        polls = [(lambda row=row: poll_late(row)) for row in copies]
        resumes = [video.resume] * (1 + twice)
        won = race(*polls, *resumes)[len(polls) :]
        row, told = video.current(), events(video)
        assert told["resumed"] == won.count(True) <= 1
        ends = {"": "completed", "failed": "failed", "stuck": "timed_out"}
        if won.count(True):
            assert row.status in ("queued", "in_progress")
            assert fired == {}
            # After a late poll, the API is not asked again within ten seconds.
            Video.objects.filter(pk=row.pk).update(next_poll_at=clock.now())
            loop.act(str(row.pk), row.poll_token)
            row = video.current()
            if scenario != "stuck":
                assert row.status == ends[scenario]
                assert row.late is False
        else:
            # The late answer came first.
            assert row.status == ends[scenario] != "timed_out"
            assert row.late is True
        if scenario != "stuck":
            assert told[ends[scenario]] + won.count(True) == 1
            name = f"video_{ends[scenario]}"
            assert fired == {(name, api_id): 1, ("video_finished", api_id): 1}


DECISIONS: list[tuple[str, dict[str, Any], Callable[[Video], bool]]] = [
    ("adopt", {}, lambda video: video.adopt("task_a")),
    ("buy again", {}, lambda video: video.buy_again()),
    ("give up", {}, lambda video: video.give_up()),
    ("resume", {"status": "timed_out", "api_id": "task_1"}, lambda video: video.resume()),
]


@pytest.mark.parametrize(
    ("values", "decide"), [d[1:] for d in DECISIONS], ids=[d[0] for d in DECISIONS]
)
def test_a_decision_holds_where_a_sweep_moves_the_row_meanwhile(
    database: Database, values: dict[str, Any], decide: Callable[[Video], bool]
) -> None:
    video = unknown(**values)
    moved: list[bool] = []

    def sweep(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and not moved:
            moved.append(True)
            row = Video.objects.get(pk=video.pk).current()
            assert row.move((row.status,), overdue_at=clock.after(60))
        return execute(sql, *rest)

    with connections["default"].execute_wrapper(sweep):
        assert decide(video) is True
    assert moved


def test_two_rows_never_adopt_one_video(database: Database) -> None:
    for _ in range(ROUNDS):
        start_over()
        rows = [unknown() for _ in range(2)]

        def adopt(row: Video) -> Any:
            try:
                return row.adopt("task_a")
            except ValueError:
                return False

        won = race(*(lambda row=row: adopt(row) for row in rows))
        assert won.count(True) == 1
        statuses = sorted(row.current().status for row in rows)
        assert statuses == ["create_unknown", "queued"]


def test_the_canvas_of_what_is_decided_is_released_once(
    database: Database, no_broker: list[str]
) -> None:
    for first, second in itertools.permutations(["adopt", "give_up", "buy_again"], 2):
        start_over()
        no_broker.clear()
        video = unknown()
        acts = {
            "adopt": lambda: video.adopt("task_a"),  # noqa: B023
            "give_up": video.give_up,
            "buy_again": video.buy_again,
        }
        race(acts[first], acts[second])
        row = video.current()
        loop.act(str(row.pk), row.poll_token)
        released = no_broker.count(sending.POLL)
        assert released == (row.status == "create_unknown")
