"""What a scenario is: a name, and how it changes the replies that would have been given."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..files import Media, kite
from ..reply import Body, Reply
from ..request import Request

__all__ = ["ABSENT", "Call", "Play", "Route", "Scenario", "Step", "body", "merge", "reply"]

Route = Literal["create", "retrieve", "content", "file"]

ABSENT: Any = object()
"""In `merge`: the field is left out of the body."""

_SPEC = r"[a-z0-9_]+(?:\*(?:\d+|inf))?(?:=[^\]\s]*)?"
_MARKER = re.compile(rf"\[({_SPEC})\]")


@dataclass(frozen=True)
class Call:
    """What a step may look at.

    `normal` is the reply so far. `value` is what the play says after `=`. `now` is the API's
    time. `age` is in seconds: since the create, times the simulator's speed, or since a fault
    began. `asked` counts the earlier requests of this route for this video, `ended` those that
    came after its render had ended, which was `since_end` seconds ago (below 0 while it renders).
    `media` is the video's file.
    """

    request: Request
    normal: Reply
    value: str = ""
    now: float = 0
    age: float = 0
    asked: int = 0
    ended: int = 0
    since_end: float = 0
    media: Media = field(default_factory=kite, repr=False)

    @property
    def number(self) -> float:
        """Return `value` as a number."""
        return float(self.value)

    @property
    def body(self) -> Body:
        """Return the JSON body so far; empty when it is none."""
        return self.normal.data or {}


Step = Callable[[Call], Reply]
"""Returns `call.normal`, or another reply in its place."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A named behaviour: at most one step for each route.

    `api` serves all of the API's routes in a fault, and a video's retrieves when the scenario
    was given to a video. `charges` says whether a create that is answered so was bought.
    `times` is how many replies are changed before all is normal again, when the scenario was
    given to a video; `value` is what `call.value` holds when the play names none. With
    `stretches` the render takes `value` times as long, with `lengthens` the video's id is `value`
    characters long.
    """

    name: str
    about: str
    create: Step | None = None
    retrieve: Step | None = None
    content: Step | None = None
    file: Step | None = None
    api: Step | None = None
    charges: bool = True
    times: float = math.inf
    value: str = ""
    stretches: bool = False
    lengthens: bool = False

    def step(self, route: Route, *, everywhere: bool) -> Step | None:
        """Return the step for `route`; `everywhere` is true for a fault of the whole API."""
        own: Step | None = getattr(self, route)
        if own is None and (everywhere or route == "retrieve") and route != "file":
            return self.api
        return own


@dataclass
class Play:
    """A scenario being played, for a video or as a fault; `played` counts the changed replies."""

    scenario: Scenario
    value: str = ""
    times: float = math.inf
    played: int = field(default=0, compare=False)

    @classmethod
    def parse(cls, spec: str, known: Mapping[str, Scenario], *, fault: bool = False) -> Play:
        """Read `name`, `name=value`, `name*times` or `name*times=value`.

        Raises `ValueError` for a name that is not in `known`.
        """
        if not re.fullmatch(_SPEC, spec):
            raise ValueError(f"not a scenario: {spec!r}")
        head, _, value = spec.partition("=")
        name, _, times = head.partition("*")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"unknown scenario {name!r}{hint}")
        scenario = known[name]
        default = math.inf if fault else scenario.times
        return cls(scenario, value or scenario.value, float(times) if times else default)

    @classmethod
    def in_prompt(cls, prompt: str, known: Mapping[str, Scenario]) -> list[Play]:
        """Return a play for each `[scenario]` in `prompt`; other brackets are just text."""
        specs = _MARKER.findall(prompt)
        return [cls.parse(spec, known) for spec in specs if re.split(r"[*=]", spec)[0] in known]

    def answers(self, route: Route, *, everywhere: bool = False) -> bool:
        """Whether it still has something to say on `route`."""
        return self.played < self.times and self._step(route, everywhere) is not None

    def apply(self, route: Route, call: Call, *, everywhere: bool = False) -> Reply:
        """Return the reply after this play's step, and count it if it changed anything."""
        step = self._step(route, everywhere)
        if step is None or self.played >= self.times:
            return call.normal
        changed = step(call)
        self.played += changed is not call.normal
        return changed

    def _step(self, route: Route, everywhere: bool) -> Step | None:
        return self.scenario.step(route, everywhere=everywhere)


def body(change: Callable[[Body, Call], Body]) -> Step:
    """Return a step that changes a task object; what is no such object (any more) is left alone.

    `change` returns another dict, or the same one for "not now".
    """

    def step(call: Call) -> Reply:
        if not _is_task(call.body):
            return call.normal
        changed = change(call.body, call)
        return call.normal if changed is call.normal.data else call.normal.but(data=changed)

    return step


def _is_task(data: Body) -> bool:
    return isinstance(data.get("status"), str) and isinstance(data.get("progress"), int)


def merge(data: Body, **changes: Any) -> Body:
    """Return `data` with `changes`; those that are `ABSENT` are taken out."""
    return {key: value for key, value in (data | changes).items() if value is not ABSENT}


def reply(answer: Reply) -> Step:
    """Return a step that always gives `answer`."""
    return lambda call: answer
