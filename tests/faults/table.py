"""The table of the fault suite, at the end of a run."""

from __future__ import annotations

from typing import Any

import pytest

COLUMNS = ("scenario", "videos", "reached", "twice", "lost", "seconds")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what became of each scenario's videos. Works in the controller of xdist, too."""
    rows = [row for reports in terminalreporter.stats.values() for row in _rows(reports)]
    if not rows:
        return
    width = max(len(row["scenario"]) for row in rows)
    terminalreporter.section("faults")
    terminalreporter.write_line("  ".join([COLUMNS[0].ljust(width), *COLUMNS[1:]]))
    for row in sorted(rows, key=lambda row: str(row["scenario"])):
        cells = [str(row[name]).rjust(len(name)) for name in COLUMNS[1:]]
        terminalreporter.write_line("  ".join([row["scenario"].ljust(width), *cells]))


def _rows(reports: list[Any]) -> list[dict[str, Any]]:
    found = [r for r in reports if getattr(r, "when", "") == "call"]
    return [value for r in found for name, value in r.user_properties if name == "fault"]
