"""The control routes: what `SimulatorApp` offers in Python, for other processes.

`GET /_simulator/` counts, `/_simulator/videos`, `/_simulator/requests`, `/_simulator/scenarios`;
`POST /_simulator/next`, `/play`, `/fault`, `/clear`, `/advance` with a JSON object of the
method's arguments, for instance `{"scenario": "http_503", "seconds": 30}`.
No prompt and no key is shown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from .reply import Body, Reply, json_reply
from .request import Request
from .scenarios.base import Scenario
from .state import Seen, SimulatedVideo

__all__ = ["answer"]


class Controlled(Protocol):
    """What the routes show and do: the part of `SimulatorApp` that they need."""

    scenarios: dict[str, Scenario]

    @property
    def videos(self) -> Mapping[str, SimulatedVideo]:
        """The videos that were bought, by id."""

    @property
    def requests(self) -> Sequence[Seen]:
        """The requests that were answered."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each route was asked."""

    @property
    def charges(self) -> int:
        """How many videos were bought."""

    @property
    def bearer_on_files(self) -> int:
        """How many downloads carried a key."""

    def now(self) -> float:
        """Return the simulator's time."""

    def next(self, *scenarios: str, n: int = 1) -> None:
        """Choose the scenarios of the next creates."""

    def play(self, api_id: str, *scenarios: str) -> None:
        """Choose the scenarios of a video that was bought."""

    def fault(
        self,
        scenario: str,
        *,
        seconds: float = ...,
        routes: Collection[str] = ...,
        key: str | None = ...,
    ) -> object:
        """Answer all requests by a scenario for a while."""

    def clear(self) -> None:
        """End the faults."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""


def answer(app: Controlled, request: Request) -> Reply:
    """Answer a control request; 400 names what is wrong with one."""
    name = request.path.removeprefix("/_simulator").strip("/")
    if request.method == "GET":
        view = _VIEWS.get(name)
        return _unknown(name) if view is None else json_reply(view(app))
    action = _ACTIONS.get(name) if request.method == "POST" else None
    return _unknown(name) if action is None else _act(app, action, request)


def _act(app: Controlled, action: Callable[..., None], request: Request) -> Reply:
    try:
        arguments = json.loads(request.read() or b"{}")
        action(app, **arguments)
    except (TypeError, ValueError, KeyError, ConnectionAbortedError) as error:
        return json_reply({"error": f"{type(error).__name__}: {error}"}, 400)
    return json_reply({"ok": True})


def _unknown(name: str) -> Reply:
    return json_reply({"error": f"no such control route: {name!r}"}, 404)


def _summary(app: Controlled) -> Body:
    return {
        "charges": app.charges,
        "videos": len(app.videos),
        "counts": dict(app.counts),
        "bearer_on_files": app.bearer_on_files,
        "now": app.now(),
    }


def _videos(app: Controlled) -> Body:
    return {"videos": [_video(video) for video in app.videos.values()]}


def _video(video: SimulatedVideo) -> Body:
    gap = video.shortest_gap
    return {
        "id": video.api_id,
        "model": video.order.model,
        "scenarios": [play.scenario.name for play in video.plays],
        "created_at": video.created_at,
        "ended_at": video.ended_at if math.isfinite(video.ended_at) else None,
        "asked_at": video.asked_at,
        "shortest_gap": gap if math.isfinite(gap) else None,
        "files_asked": video.files_asked,
    }


def _requests(app: Controlled) -> Body:
    return {"requests": [_seen(seen) for seen in app.requests]}


def _seen(seen: Seen) -> Body:
    headers = {name: value for name, value in seen.headers.items() if name != "authorization"}
    return {
        "at": seen.at,
        "route": seen.route,
        "method": seen.method,
        "id": seen.api_id,
        "status": seen.status,
        "has_key": "authorization" in seen.headers,
        "headers": headers,
    }


def _scenarios(app: Controlled) -> Body:
    return {name: scenario.about for name, scenario in app.scenarios.items()}


def _names(scenario: Any) -> list[str]:
    if not isinstance(scenario, str):
        raise TypeError(f"scenario is a text, not {scenario!r:.40}")
    return scenario.split()


def _next(app: Controlled, scenario: Any, n: int = 1) -> None:
    app.next(*_names(scenario), n=n)


def _play(app: Controlled, id: str, scenario: Any) -> None:  # noqa: A002
    app.play(id, *_names(scenario))


def _fault(app: Controlled, scenario: Any, seconds: float = math.inf, **narrowed: Any) -> None:
    [name] = _names(scenario)
    app.fault(name, seconds=seconds, **narrowed)


def _clear(app: Controlled) -> None:
    app.clear()


def _advance(app: Controlled, seconds: float) -> None:
    app.advance(seconds)


_VIEWS: dict[str, Callable[[Controlled], Body]] = {
    "": _summary,
    "videos": _videos,
    "requests": _requests,
    "scenarios": _scenarios,
}
_ACTIONS: dict[str, Callable[..., None]] = {
    "next": _next,
    "play": _play,
    "fault": _fault,
    "clear": _clear,
    "advance": _advance,
}
