"""Any interleaving of messages, copies, losses, deaths, sweeps and API answers ends well."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import chain
from django.db import OperationalError, connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from seedance_celery.db import clock
from seedance_celery.lifecycle.sweep import sweep
from seedance_celery.models import AccountState, KeptTask, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.tasks import create_video, poll_video
from tests.core import canvas
from tests.core.canvas import publish, refund
from tests.core.crash import MortalKit, Tripwire
from tests.core.test_delivery import broker_down

SCENARIOS = st.sampled_from(
    ["normal", "failed", "error", "slow=3", "goes_back*2", "create_dropped", "create_429"]
)
FAULTS = st.sampled_from(["http_502", "reset", "html", "rate_limited", "key_refused", "garbage"])
ENDS = {"completed": "publish", "failed": "refund", "error": "refund", "rejected": "refund"}


class Life(RuleBasedStateMachine):
    """Videos, and everything that can happen to the messages about them."""

    def __init__(self) -> None:
        super().__init__()
        self.kit = MortalKit(Tripwire(), TIMEOUT=10**6)
        self.ordered = 0
        self.deaths = 0
        self.copies = 0
        self.bought_again = 0

    @initialize()
    def begin(self) -> None:
        canvas.ran.clear()
        KeptTask.objects.all().delete()
        Video.objects.all()._raw_delete("default")
        AccountState.objects.all().delete()
        self.kit.__enter__()

    def teardown(self) -> None:
        try:
            if self.kit.broker.app.conf.broker_url.startswith("memory://seedance"):
                self._check()
        finally:
            self.kit.__exit__(None, None, None)

    @rule(scenario=SCENARIOS)
    def order_a_chain(self, scenario: str) -> None:
        self.kit.next_video(scenario)
        create = create_video.s("A kite").on_error(refund.s())
        chain(create, poll_video.s().on_error(refund.s()), publish.s()).apply_async()
        self.ordered += 1

    @rule(scenario=SCENARIOS)
    def order_a_row(self, scenario: str) -> None:
        self.kit.next_video(scenario)
        generate_video("A kite", link=publish.s(), link_error=refund.s())
        self.ordered += 1

    @rule(seconds=st.integers(1, 90))
    def let_time_pass(self, seconds: int) -> None:
        self.kit.advance(seconds)

    @rule()
    def run_what_is_due(self) -> None:
        self.kit.run_due()

    @rule()
    def sweep(self) -> None:
        sweep()

    @rule(data=st.data())
    def lose_a_message(self, data: Any) -> None:
        if ours := self._ours():
            self.kit.broker.messages.remove(data.draw(st.sampled_from(ours)))

    @rule(data=st.data())
    def copy_a_message(self, data: Any) -> None:
        if ours := self._ours():
            self.kit.broker.messages.append(data.draw(st.sampled_from(ours)))
            self.copies += 1

    @rule(fault=FAULTS, seconds=st.integers(5, 200))
    def let_the_api_be_unwell(self, fault: str, seconds: int) -> None:
        self.kit.simulator.fault(fault, seconds=seconds, routes=["retrieve"])

    @rule(moment=st.integers(0, 25), seconds=st.integers(1, 60))
    def let_a_worker_die(self, moment: int, seconds: int) -> None:
        tripwire = self.kit.tripwire
        tripwire.events.clear()
        tripwire.at = moment
        self.kit.advance(seconds)
        self.deaths += len(tripwire.events) == moment + 1
        tripwire.at = None

    @rule(times=st.integers(1, 6), seconds=st.integers(1, 60))
    def let_the_broker_refuse(self, times: int, seconds: int) -> None:
        with broker_down(times=times):
            self.kit.advance(seconds)

    @rule(first=st.integers(0, 40), times=st.integers(1, 8), seconds=st.integers(1, 60))
    def let_the_database_fail(self, first: int, times: int, seconds: int) -> None:
        with failing(range(first, first + times)):
            self.kit.advance(seconds)

    @rule()
    def refresh_a_video(self) -> None:
        for video in Video.objects.all()[:1]:
            video.refresh()

    @rule(data=st.data(), decision=st.sampled_from(["adopt", "buy_again", "give_up", "resume"]))
    def let_a_person_decide(self, data: Any, decision: str) -> None:
        statuses = ["timed_out", "lost"] if decision == "resume" else ["create_unknown"]
        videos = list(Video.objects.filter(status__in=statuses).order_by("created_at", "pk"))
        if not videos:
            return
        video = data.draw(st.sampled_from(videos))
        if decision == "adopt":
            taken = Video.objects.exclude(api_id=None).values_list("api_id", flat=True)
            bought = sorted(set(self.kit.simulator.videos) - set(taken))
            assert not bought or video.adopt(data.draw(st.sampled_from(bought)))
        elif decision == "buy_again":
            self.bought_again += video.buy_again()
        else:
            getattr(video, decision)()

    @rule(data=st.data())
    def let_a_video_time_out(self, data: Any) -> None:
        # As if it had been ordered with a shorter timeout.
        if videos := list(Video.objects.polled().order_by("created_at", "pk")):
            video = data.draw(st.sampled_from(videos))
            Video.objects.filter(pk=video.pk).update(deadline_at=clock.after(-1))

    def _ours(self) -> list[Any]:
        # A message of the user's own next task is the broker's from then on.
        messages = self.kit.broker.fetch()
        return [m for m in messages if m.task.startswith("seedance_celery") and self._is_kept(m)]

    def _is_kept(self, message: Any) -> bool:
        # The first message of a canvas is the broker's, too, until a worker has kept it.
        if message.task.endswith(("refresh_video", "sweep_videos")):
            return True
        return KeptTask.objects.filter(celery_id=message.celery_id).exists()

    def _check(self) -> None:
        self.kit.simulator.clear()
        self.kit.run_until_done(within=10**6)
        for video in Video.objects.filter(status="create_unknown"):
            video.give_up()
        self.kit.run_until_done(within=10**6)
        assert self.kit.charges <= self.ordered + self.bought_again
        videos = list(Video.objects.all())
        assert all(video.finished_at and video.announced_at for video in videos)
        assert not KeptTask.objects.filter(finished_at=None).exists()
        # A canvas that was told of an end goes on no more, when its video ends once more.
        told = [video for video in videos if _ends_before(video)]
        wanted = Counter(ENDS.get(v.status, "refund") for v in videos if v not in told)
        ran = Counter(canvas.names())
        fired = Counter(self.kit.signals())
        assert all(ran[name] >= count for name, count in wanted.items()), (wanted, ran)
        assert fired["video_finished"] >= len(videos)
        if not self.deaths:
            assert ran.total() == len(videos), (wanted, ran)
            assert fired["video_finished"] <= len(videos) + sum(map(_ends_before, videos))


def _ends_before(video: Video) -> int:
    """Return how many ends a video had before the one that it has now, as its history tells."""
    events = [event for _, event in video.history]
    ends = [event for event in events if event in ("timed_out", "given up", "lost")]
    return len(ends) - (video.status in ("timed_out", "lost", "create_unknown"))


@contextlib.contextmanager
def failing(numbers: range) -> Iterator[None]:
    """Let the statements of these numbers fail, counted from now."""
    count = itertools.count()

    def execute(run: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith(("SELECT", "UPDATE", "INSERT")) and next(count) in numbers:
            raise OperationalError("the connection was lost")
        return run(sql, *rest)

    with connection.execute_wrapper(execute):
        yield


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("lives", "moments"),
    # Two of 150, as one of 300 takes longer than a test may on a busy machine.
    [
        (50, 30),
        *(pytest.param(150, 60, marks=pytest.mark.full, id=name) for name in ("long", "on")),
    ],
)
def test_any_interleaving_ends_with_one_end_and_one_continuation(
    transactional_db: None, lives: int, moments: int
) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Life,
        settings=settings(
            max_examples=lives,
            stateful_step_count=moments,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
