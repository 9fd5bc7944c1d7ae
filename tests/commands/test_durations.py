"""Times on a command line."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from seedance_celery.management.durations import duration, spelled


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90d", 7776000),
        ("12h", 43200),
        ("30m", 1800),
        ("45s", 45),
        ("45", 45),
        ("1h30m", 5400),
        ("0.5h", 1800),
    ],
)
def test_a_time_is_read(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "d", "90 d", "-5", "5w", "0", "1e9", "nan", "5d3", "9999999d"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"90d|above 0"):
        duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0s"), (45.4, "45s"), (7500, "2h 5m"), (90 * 86400, "90d")]
)
def test_a_time_is_spelled_in_its_largest_units(seconds: float, text: str) -> None:
    assert spelled(seconds) == text
