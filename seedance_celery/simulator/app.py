"""The simulator as a WSGI app, and as a Python object that tests drive."""

from __future__ import annotations

import math
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from email.utils import formatdate
from typing import Any, get_args

from ..api.catalog import extended
from . import control
from .account import ACCOUNT_PATHS
from .dashboard import dashboard
from .reply import Reply, api_error, html_page
from .request import Request
from .routes import Routes
from .scenarios import SCENARIOS, Play, Route, Scenario
from .state import Fault, RateLimit, Render, Seen, SimulatedVideo, State

__all__ = ["WIRE_HOOK", "SimulatorApp"]

WIRE_HOOK = "seedance_celery.wire"
"""The environ key under which the bundled server takes a `Wire`."""

_PATHS = (
    ("retrieve", re.compile(r"/v1/videos/([^/]+)")),
    ("content", re.compile(r"/v1/videos/([^/]+)/content")),
    ("file", re.compile(r"/files/([^/]+)\.mp4")),
)


class SimulatorApp:
    """CometAPI's Seedance routes; `charges` says what they would have cost.

    Answers depend on what was asked and on `clock` (Unix seconds) alone: no threads, no waiting.
    `speed` makes renders faster. `keys` are the bearer keys that are accepted; by default
    `simulator` and everything that starts with `sk-`. `models` (written as for
    `catalog.extended`) and `scenarios` are added to the known ones. Links are good for
    `link_lifetime` seconds after the render. `seed` makes ids and signatures repeatable.
    Raises `ValueError` for a speed that is not above 0 and for wrong `models`.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        speed: float = 1,
        render: Render | None = None,
        keys: Collection[str] | None = None,
        models: Mapping[str, Any] | None = None,
        scenarios: Iterable[Scenario] = (),
        link_lifetime: float = 86400,
        rate_limit: RateLimit | None = None,
        seed: int | None = None,
    ) -> None:
        if not speed > 0:
            raise ValueError("speed must be more than 0")
        self._clock = clock
        self._ahead = 0.0
        self._lock = threading.RLock()
        self._random = random.Random(seed)
        self._state = State()
        self.scenarios = SCENARIOS | {scenario.name: scenario for scenario in scenarios}
        self._routes = Routes(
            state=self._state,
            lock=self._lock,
            known=self.scenarios,
            models=extended(models or {}),
            render=render or Render(),
            speed=speed,
            keys=keys,
            link_lifetime=link_lifetime,
            rate_limit=rate_limit,
            random=self._random,
        )

    # What it plays.

    def next(self, *scenarios: str, n: int = 1) -> None:
        """Play `scenarios` for each of the next `n` creates that reach the shop.

        Raises `ValueError` for an unknown name, here and in the two methods below.
        """
        for spec in scenarios:
            Play.parse(spec, self.scenarios)
        with self._lock:
            self._state.wait_for(scenarios, n)

    def play(self, api_id: str, *scenarios: str) -> None:
        """Play `scenarios` for a video that exists, in place of what it plays.

        Raises `KeyError` for an unknown video.
        """
        plays = [Play.parse(spec, self.scenarios) for spec in scenarios]
        with self._lock:
            self._state.videos[api_id].plays = plays

    def fault(
        self,
        scenario: str,
        *,
        seconds: float = math.inf,
        routes: Collection[str] = (),
        key: str | None = None,
    ) -> Fault:
        """Play `scenario` for everybody, from now for `seconds` or until `clear`.

        `routes` (`create`, `retrieve`, `content`, `file`) and `key` narrow it. Without `*times`
        in its name it does not wear out. Raises `ValueError` for a route that is none of these.
        """
        if isinstance(routes, str) or not set(routes) <= set(get_args(Route)):
            known = ", ".join(get_args(Route))
            raise ValueError(f"routes is a list of {known}, and not {routes!r:.80}")
        play = Play.parse(scenario, self.scenarios, fault=True)
        with self._lock:
            now = self.now()
            fault = Fault(play, now, now + seconds, frozenset(routes), key)
            self._state.faults.append(fault)
        return fault

    def clear(self, fault: Fault | None = None) -> None:
        """End `fault`, or all faults and everything that waits for the next creates."""
        with self._lock:
            left = [other for other in self._state.faults if other is not fault]
            self._state.faults = left if fault is not None else []
            if fault is None:
                self._state.waiting.clear()

    def advance(self, seconds: float) -> None:
        """Move the API's time forward."""
        with self._lock:
            self._ahead += seconds

    def now(self) -> float:
        """Return the API's time: the clock's, plus what it was advanced by."""
        return self._clock() + self._ahead

    # What it saw. Each is a copy.

    @property
    def videos(self) -> dict[str, SimulatedVideo]:
        """Return the videos that were bought, by their id, oldest first."""
        with self._lock:
            return dict(self._state.videos)

    @property
    def charges(self) -> int:
        """Return how many videos were bought, those with a lost reply included."""
        return self._state.charges

    @property
    def requests(self) -> list[Seen]:
        """Return the requests that were answered, oldest first."""
        with self._lock:
            return list(self._state.requests)

    @property
    def counts(self) -> Counter[str]:
        """Return the number of requests by route, and by route and status (`"create 200"`)."""
        with self._lock:
            return self._state.counts + self._state.statuses

    @property
    def bearer_on_files(self) -> int:
        """Return how many requests for files carried a key: must stay 0."""
        return self._state.bearer_on_files

    # WSGI.

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        at, now = self._clock(), self.now()
        request = Request(environ, self._request_id(now))
        route, api_id = _route_of(request)
        try:
            reply = self._answer(route, request, api_id, at, now)
        except (ValueError, ArithmeticError) as error:
            reply = api_error(400, f"simulator: {error}")
        if route not in ("file", "control", "page"):
            reply = _with_request_id(reply, request.id)
        reply = reply.encoded()
        if route not in ("control", "page"):
            self._note(request, route, api_id, reply, at, now)
        start_response(reply.status_line, _headers(reply, now))
        return _travel(reply, environ)

    def _answer(self, route: str, request: Request, api_id: str, at: float, now: float) -> Reply:
        if route == "create":
            return self._routes.create(request, now)
        if route == "retrieve":
            return self._routes.retrieve(request, api_id, at, now)
        if route == "content":
            return self._routes.content(request, api_id, now)
        if route == "file":
            return self._routes.file(request, api_id, now)
        if route == "account":
            return self._routes.account(request, now)
        if route == "page":
            return dashboard(self._routes.sold(request, now))
        if route == "control":
            return control.answer(self, request)
        if request.path.startswith("/v1/"):
            return api_error(404, f"Invalid URL ({request.method} {request.path})")
        return html_page()

    def _note(
        self, request: Request, route: str, api_id: str, reply: Reply, at: float, now: float
    ) -> None:
        seen = Seen(
            at=at,
            now=now,
            route=route,
            method=request.method,
            path=request.path,
            api_id=api_id,
            status=reply.status,
            key=request.key,
            headers=request.headers,
        )
        with self._lock:
            self._state.note(seen)

    def _request_id(self, now: float) -> str:
        with self._lock:
            tail = "".join(self._random.choices("abcdefghijkmnpqrstuvwxyzABCDEFGH", k=8))
        return time.strftime("%Y%m%d%H%M%S", time.gmtime(now)) + f"{now % 1 * 1e9:09.0f}{tail}"


def _route_of(request: Request) -> tuple[str, str]:
    if request.path.startswith("/_simulator"):
        return "control", ""
    if request.path == "/v1/videos" and request.method == "POST":
        return "create", ""
    if request.method == "GET" and (request.path == "/" or request.path in ACCOUNT_PATHS):
        return ("page" if request.path == "/" else "account"), ""
    for route, path in _PATHS:
        match = path.fullmatch(request.path)
        if match and (route == "file" or request.method == "GET"):
            return route, match[1]
    return "other", ""


def _with_request_id(reply: Reply, request_id: str) -> Reply:
    """Name the request where CometAPI does: in a header, and in the words of its errors."""
    reply = reply.with_header("x-cometapi-request-id", request_id)
    error = (reply.data or {}).get("error")
    if not isinstance(error, dict) or error.get("type") != "comet_api_error":
        return reply
    words = f"{error['message']} (request id: {request_id})"
    return reply.but(data={**(reply.data or {}), "error": {**error, "message": words}})


def _headers(reply: Reply, now: float) -> list[tuple[str, str]]:
    headers = [*reply.headers, ("Date", formatdate(now, usegmt=True))]
    length = reply.announced()
    return headers if length is None else [*headers, ("Content-Length", str(length))]


def _travel(reply: Reply, environ: Mapping[str, Any]) -> Iterable[bytes]:
    """Hand the reply over; what needs a socket goes to the server's hook, where there is one.

    Elsewhere a connection that breaks is an exception, as it would be at the client's end, and
    a slow reply is a quick one.
    """
    hook = environ.get(WIRE_HOOK)
    if hook is not None:
        hook(reply.wire)
        return reply.chunks()
    if not reply.wire.head:
        raise TimeoutError if reply.wire.silence else ConnectionResetError
    return _broken(reply) if reply.wire.end == "reset" else reply.chunks()


def _broken(reply: Reply) -> Iterator[bytes]:
    yield from reply.chunks()
    raise ConnectionResetError
