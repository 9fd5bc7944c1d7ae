"""What a site's processes recorded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .waiting import wait_until

Event = dict[str, Any]


class Events:
    """The lines that `tests.project.recorder` wrote, in the order in which they happened."""

    def __init__(self, path: Path, context: Callable[[], str]) -> None:
        self.path = path
        self._context = context
        path.touch()

    def all(self, **match: Any) -> list[Event]:
        """Return the events whose fields equal these: `all(event="task", tag="a")`."""
        # A last line without its end is one that is being written.
        lines = self.path.read_text().split("\n")[:-1]
        events: list[Event] = [json.loads(line) for line in lines]
        return [e for e in events if match.items() <= _hashable(e).items()]

    def count(self, **match: Any) -> int:
        """Return how many events match."""
        return len(self.all(**match))

    def counts(self, key: str, **match: Any) -> Counter[Any]:
        """Return how many matching events there are for each value of a field."""
        return Counter(e.get(key) for e in self.all(**match))

    def wait(self, count: int = 1, timeout: float = 60.0, **match: Any) -> list[Event]:
        """Wait until at least `count` events match, and return them."""

        def enough() -> list[Event] | None:
            found = self.all(**match)
            return found if len(found) >= count else None

        return wait_until(enough, timeout, f"{count} x {match}", context=self._context) or []


def _hashable(event: Event) -> Event:
    return {key: value for key, value in event.items() if isinstance(value, (str, int, float))}
