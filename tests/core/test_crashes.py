"""A worker that dies at every single moment of a video's life, one run a moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from celery import chain

from seedance_celery.models import KeptTask, Poller, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.tasks import create_video, poll_video
from tests.core import canvas
from tests.core.canvas import publish, refund
from tests.core.crash import MortalKit, Tripwire

FAST = {"POLL_COUNTDOWN": (10, 10), "TIMEOUT": 600}


def order_chain() -> None:
    waits = poll_video.s().on_error(refund.s())
    chain(create_video.s("A kite"), waits, publish.s()).apply_async()


def order_row() -> None:
    generate_video("A kite", link=publish.s(), link_error=refund.s())


def live_once(start: Callable[[], None], scenario: str, at: int | None) -> list[str]:
    """Let one video live, with a death at one moment; return the moments passed."""
    canvas.ran.clear()
    KeptTask.objects.all().delete()
    Video.objects.all()._raw_delete("default")
    Poller.objects.all().delete()
    tripwire = Tripwire(at)
    with MortalKit(tripwire, **FAST) as kit:
        kit.next_video(scenario)
        start()
        kit.run_until_done()
        _check(kit, tripwire, scenario)
    return tripwire.events


def _check(kit: MortalKit, tripwire: Tripwire, scenario: str) -> None:
    died = tripwire.events[tripwire.at] if tripwire.at is not None else "nowhere"
    where = f"died {tripwire.at}: {died}, after {tripwire.events[-4:]}"
    video = Video.objects.get()
    assert kit.charges <= 1, where
    if video.status == Video.Status.CREATE_UNKNOWN:
        # Dead between the POST and its reply's commit: a person decides, nothing is bought twice.
        assert kit.signals("video_create_unknown"), where
        return
    end, followed = ("completed", "publish") if scenario == "normal" else ("failed", "refund")
    assert (video.status, kit.charges) == (end, 1), where
    ran = Counter(canvas.names())
    assert set(ran) == {followed}, where
    fired = Counter(kit.signals())
    assert fired[f"video_{end}"] >= 1, where
    assert fired["video_finished"] >= 1, where
    if not _may_continue_twice(tripwire, followed):
        assert ran[followed] == 1, (where, ran)
    if not _may_announce_twice(tripwire, end):
        assert (fired[f"video_{end}"], fired["video_finished"]) == (1, 1), (where, fired)
    assert not KeptTask.objects.filter(finished_at=None).exists(), where


def _may_continue_twice(tripwire: Tripwire, followed: str) -> bool:
    """Between publishing a continuation (or running an inline errback) and recording it."""
    if tripwire.at is None:
        return False
    before = tripwire.events[: tripwire.at + 1]
    if followed == "refund":
        return "signal video_finished" in before
    recorded = next(
        (n for n, e in enumerate(before) if e == f"after publish {followed}"), len(before)
    )
    return len(before) - recorded in (1, 2)


def _may_announce_twice(tripwire: Tripwire, end: str) -> bool:
    """Within the receivers, until it is recorded that they were called."""
    if tripwire.at is None:
        return False
    before = tripwire.events[: tripwire.at + 1]
    first = before.index(f"signal video_{end}") if f"signal video_{end}" in before else None
    if first is None:
        return False
    return "after UPDATE seedance_celery_video SET" not in before[first:-1]


@pytest.mark.parametrize("start", [order_chain, order_row])
@pytest.mark.parametrize("scenario", ["normal", "failed"])
def test_a_death_at_any_moment_loses_nothing_and_buys_nothing_twice(
    transactional_db: None, start: Callable[[], None], scenario: str
) -> None:
    moments = live_once(start, scenario, None)
    assert len(moments) > 50
    for at in range(len(moments)):
        try:
            live_once(start, scenario, at)
        except AssertionError as error:
            raise AssertionError(
                f"died at moment {at}, {moments[max(0, at - 3) : at + 1]}: {error}"
            ) from error
