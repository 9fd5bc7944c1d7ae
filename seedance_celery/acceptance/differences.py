"""How the simulator's answers differ in shape from those that were kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..simulator import SimulatorApp, SimulatorServer
from ..simulator.account import ACCESS_TOKEN
from .plan import Access, Plan
from .steps import Acceptance
from .witness import Row

__all__ = ["differences", "simulated"]


def simulated() -> dict[str, Row]:
    """Run the acceptance against the simulator, well and badly; return what it answers, by name."""
    rows: dict[str, Row] = {}
    for scenario in ("normal", "moderation"):
        app = SimulatorApp()
        app.next(scenario)
        with SimulatorServer(app) as server:
            access = Access("simulator", server.url, ACCESS_TOKEN)
            acceptance = Acceptance(
                access, Plan(interval=0.5), _unheard, sleep=app.advance, clock=app.now
            )
            acceptance.run()
        rows = {**acceptance.notes.rows, **rows}
    return rows


def _unheard(text: str) -> None:
    """Say nothing."""


def differences(kept: Iterable[Row], known: Mapping[str, Row]) -> Iterator[str]:
    """Yield a sentence for each thing that a kept reply has otherwise than the simulator's.

    An error of a single poll is kept for people and compared with nothing: it passes.
    """
    for row in kept:
        other = known.get(row["name"])
        if other is None and not 200 <= row["http"] < 300:
            continue
        if other is None:
            yield f"{row['name']}: the simulator never answers so"
            continue
        if row["http"] != other["http"]:
            yield f"{row['name']}: HTTP {row['http']}, the simulator says {other['http']}"
        ours, theirs = _media_type(other), _media_type(row)
        if ours != theirs:
            yield f"{row['name']}: the type {theirs!r}, the simulator's is {ours!r}"
        yield from _fields(row, other)


def _fields(row: Row, other: Row) -> Iterator[str]:
    theirs, ours = dict(_shape(row.get("body"))), dict(_shape(other.get("body")))
    for place in sorted(theirs.keys() | ours.keys()):
        if place not in ours:
            yield f"{row['name']}: the field {place} ({theirs[place]}), unknown to the simulator"
        elif place not in theirs:
            yield f"{row['name']}: no field {place}, which the simulator sends"
        elif theirs[place] != ours[place]:
            yield f"{row['name']}: {place} is {theirs[place]}, the simulator's {ours[place]}"


def _media_type(row: Row) -> str:
    return str(row["type"]).partition(";")[0].strip().lower()


def _shape(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield each place of a JSON document and the kind of what stands there."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _shape(item, f"{place}.{name}" if place else str(name))
        return
    yield place or "body", _kind(value)
    if isinstance(value, list) and value:
        yield from _shape(value[0], f"{place}[]")


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, (int, float)):
        return "a number"
    return "a text" if isinstance(value, str) else "a list"
