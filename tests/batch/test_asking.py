"""The threads that ask."""

from __future__ import annotations

import threading
from time import monotonic

import pytest

from seedance_celery.polling.askers import Askers


def test_answers_come_with_their_questions() -> None:
    with Askers(lambda number: number * 2, 3) as askers:
        for number in range(20):
            askers.put(number)
        found = {}
        while askers.pending:
            found |= dict(askers.collect(5, 0.01))
    assert found == {number: number * 2 for number in range(20)}


def test_no_more_are_asked_at_once_than_there_are_connections() -> None:
    most, now, lock = [], [], threading.Lock()
    gate = threading.Event()

    def ask(number: int) -> int:
        with lock:
            now.append(number)
            most.append(len(now))
        gate.wait(5)
        with lock:
            now.remove(number)
        return number

    with Askers(ask, 4) as askers:
        for number in range(12):
            askers.put(number)
        assert askers.free == 0
        while len(most) < 4:
            gate.wait(0.01)
        # What no thread has begun can be taken back, and is asked no more.
        assert sorted(askers.take_back()) == list(range(4, 12))
        gate.set()
        assert len(askers.collect(5, 5)) == 4
        assert (askers.pending, askers.free) == (0, 4)
    assert max(most) == 4


def test_what_asking_raises_is_an_answer() -> None:
    def ask(number: int) -> int:
        raise ZeroDivisionError(number)

    with Askers(ask, 1) as askers:
        askers.put(7)
        [(question, error)] = askers.collect(5, 0)
    assert question == 7
    assert isinstance(error, ZeroDivisionError)


def test_what_hangs_is_waited_for_no_longer_than_asked() -> None:
    gate = threading.Event()
    try:
        with Askers(lambda _: gate.wait(30), 2) as askers:
            askers.put(1)
            start = monotonic()
            assert askers.collect(0.05, 0.05) == []
            assert askers.pending == 1
        assert monotonic() - start < 5
    finally:
        gate.set()


@pytest.mark.parametrize("pending", [1, 5])
def test_threads_are_started_as_they_are_needed(pending: int) -> None:
    gate = threading.Event()
    before = set(threading.enumerate())
    with Askers(lambda _: gate.wait(30), 32) as askers:
        for number in range(pending):
            askers.put(number)
        assert len(set(threading.enumerate()) - before) == pending
        gate.set()
        while askers.pending:
            askers.collect(5, 0)
