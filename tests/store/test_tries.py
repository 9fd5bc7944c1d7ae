"""What follows from the tries to fetch a file."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedance_celery.storing.tries import CUTS, Tries

START = datetime(2026, 7, 6, 12, tzinfo=timezone.utc)
PLAIN = "https://files.example.com/a.mp4?sig=x"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def link(seconds: float) -> str:
    """Return a link that expires so many seconds after the start."""
    return f"{PLAIN}&Expires={int(at(seconds).timestamp())}"


@pytest.mark.parametrize(
    ("url", "first", "now", "may_come"),
    [
        (PLAIN, 0, 0, True),
        (PLAIN, 0, 299, True),
        (PLAIN, 0, 300, False),
        (PLAIN, 290, 500, True),
        (PLAIN, 290, 590, False),
        (PLAIN, 300, 300, False),
        (PLAIN, 86400, 86400, False),
        (link(86400), 3600, 3600, True),
        (link(86400), 3600, 3899, True),
        (link(86400), 3600, 3900, False),
        (link(100), 0, 99, True),
        (link(100), 0, 100, False),
        (link(-100), 0, 0, False),
        ("", 0, 200, True),
        ("", 0, 300, False),
    ],
)
def test_link_is_waited_for_in_its_first_minutes_and_before_its_own_expiry(
    url: str, first: float, now: float, may_come: bool
) -> None:
    tries = Tries().absent(at(first)).absent(at(now))
    assert tries.may_come(url, START, at(now)) is may_come


def test_new_link_has_first_minutes_of_its_own() -> None:
    tries = Tries().absent(at(0)).renewed(at(86400)).absent(at(86410))
    assert tries.may_come(PLAIN, START, at(86600))
    assert not tries.may_come(PLAIN, START, at(86720))


def cut(tries: Tries, seconds: float, size: int, received: int = 0) -> Tries:
    return tries.broken_off(at(seconds), size, received, 1000)


def test_end_at_the_same_byte_is_believed_after_some_tries_and_some_minutes() -> None:
    tries = Tries()
    for seconds in (0, 60, 120, 170):
        tries = cut(tries, seconds, 500)
        assert tries.verdict == ""
    assert "byte 500" in cut(tries, 180, 500).verdict
    assert cut(tries, 180, 501).verdict == ""


def test_end_at_the_same_byte_is_not_believed_after_few_tries() -> None:
    assert cut(cut(Tries(), 0, 500), 3000, 500).verdict == ""


def test_one_more_download_is_enough_once_the_rest_was_given_up() -> None:
    tries = Tries()
    for number in range(CUTS + 1):
        tries = cut(tries, 60 * number, 500)
    for after in (tries.given_up(), tries.renewed(at(400))):
        assert after.verdict == ""
        assert cut(after, 500, 500).verdict


def test_bytes_are_bounded_however_a_download_breaks() -> None:
    tries = Tries()
    for number in range(100):
        tries = cut(tries, number, 500 + number, 1000)
    assert tries.verdict == ""
    assert "again and again" in cut(tries, 101, 900, 1000).verdict


def test_bytes_that_came_show_that_the_file_is_there() -> None:
    tries = cut(Tries().absent(at(0)), 200, 500)
    assert tries.absent(at(290)).may_come(PLAIN, START, at(580))


def test_host_that_sends_nothing_cuts_nothing() -> None:
    tries = Tries()
    for seconds in range(0, 7200, 60):
        tries = cut(tries, seconds, 0)
    assert tries.verdict == ""


STEPS = st.lists(
    st.tuples(st.sampled_from(["absent", "cut", "renewed", "given_up"]), st.integers(0, 900)),
    max_size=20,
)


@given(STEPS)
def test_row_keeps_all_of_it_for_an_hour(steps: list[tuple[str, int]]) -> None:
    tries, seconds = Tries(), 0
    for name, size in steps:
        seconds += size
        if name == "cut":
            tries = cut(tries, seconds, size, size)
        elif name == "given_up":
            tries = tries.given_up()
        else:
            tries = getattr(tries, name)(at(seconds)).again_in(size)
    if tries.at is not None:
        hour = timedelta(hours=1)
        assert Tries.read(tries.as_json(), tries.at + hour - timedelta(seconds=1)) == tries
        assert Tries.read(tries.as_json(), tries.at + hour) == Tries()


@pytest.mark.parametrize("kept", [None, {}, [], "x", {"at": None}, {"unknown": 1}])
def test_row_that_keeps_nothing_starts_anew(kept: object) -> None:
    assert Tries.read(kept, START) == Tries()


def test_next_try_is_waited_for() -> None:
    tries = Tries().absent(at(0)).again_in(30)
    assert tries.wait(at(10)) == 20
    assert tries.wait(at(29.5)) is None
    assert Tries().wait(at(0)) is None
