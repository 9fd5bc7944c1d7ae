"""The control routes: what `SimulatorApp` offers in Python, for other processes.

`GET /_simulator/` counts, `/_simulator/videos`, `/_simulator/requests`, `/_simulator/scenarios`;
`POST /_simulator/next`, `/play`, `/fault`, `/clear`, `/advance` with a JSON object of the
method's arguments, for instance `{"scenario": "http_503", "seconds": 30}`.
No prompt and no key is shown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .reply import Body, Reply, json_reply
from .request import Request

if TYPE_CHECKING:
    from .app import SimulatorApp
    from .state import Seen, SimulatedVideo

__all__ = ["answer"]


def answer(app: SimulatorApp, request: Request) -> Reply:
    """Answer a control request; 400 names what is wrong with one."""
    name = request.path.removeprefix("/_simulator").strip("/")
    if request.method == "GET":
        view = _VIEWS.get(name)
        return _unknown(name) if view is None else json_reply(view(app))
    action = _ACTIONS.get(name) if request.method == "POST" else None
    return _unknown(name) if action is None else _act(app, action, request)


def _act(app: SimulatorApp, action: Callable[..., None], request: Request) -> Reply:
    try:
        arguments = json.loads(request.read() or b"{}")
        action(app, **arguments)
    except (TypeError, ValueError, KeyError, ConnectionAbortedError) as error:
        return json_reply({"error": f"{type(error).__name__}: {error}"}, 400)
    return json_reply({"ok": True})


def _unknown(name: str) -> Reply:
    return json_reply({"error": f"no such control route: {name!r}"}, 404)


def _summary(app: SimulatorApp) -> Body:
    return {
        "charges": app.charges,
        "videos": len(app.videos),
        "counts": dict(app.counts),
        "bearer_on_files": app.bearer_on_files,
        "now": app.now(),
    }


def _videos(app: SimulatorApp) -> Body:
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


def _requests(app: SimulatorApp) -> Body:
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


def _scenarios(app: SimulatorApp) -> Body:
    return {name: scenario.about for name, scenario in app.scenarios.items()}


def _names(scenario: Any) -> list[str]:
    if not isinstance(scenario, str):
        raise TypeError(f"scenario is a text, not {scenario!r:.40}")
    return scenario.split()


def _next(app: SimulatorApp, scenario: Any, n: int = 1) -> None:
    app.next(*_names(scenario), n=n)


def _play(app: SimulatorApp, id: str, scenario: Any) -> None:  # noqa: A002
    app.play(id, *_names(scenario))


def _fault(app: SimulatorApp, scenario: Any, seconds: float = math.inf, **narrowed: Any) -> None:
    [name] = _names(scenario)
    app.fault(name, seconds=seconds, **narrowed)


def _clear(app: SimulatorApp) -> None:
    app.clear()


def _advance(app: SimulatorApp, seconds: float) -> None:
    app.advance(seconds)


_VIEWS: dict[str, Callable[[SimulatorApp], Body]] = {
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
