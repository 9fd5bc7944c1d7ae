"""The routes of the API: what is answered, from a request, the state and the time."""

from __future__ import annotations

import random
import string
import threading
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from ..api.catalog import Model
from .account import Account, Shown
from .files import kite, serve_file, signature_error, signed_query
from .orders import Order, read_order, refusal
from .reply import Body, Reply, api_error, json_reply, xml_error
from .request import BadForm, Request, parse_form
from .scenarios import Call, Play, Route, Scenario
from .scenarios.videos import TASK_NOT_EXIST
from .state import RateLimit, Render, SimulatedVideo, State

__all__ = ["SCENARIO_HEADER", "Routes"]

SCENARIO_HEADER = "X-Simulator-Scenario"

_ID_START = "task_"
_ALPHANUMERIC = string.ascii_letters + string.digits
_LOST = json_reply({"object": "video", "status": "queued", "progress": 0})


@dataclass
class Routes:
    """The API. `lock` is held while a reply is found; none of it waits for anything."""

    state: State
    lock: threading.RLock
    known: dict[str, Scenario]
    models: Mapping[str, Model]
    render: Render
    speed: float
    keys: Collection[str] | None
    link_lifetime: float
    rate_limit: RateLimit | None
    random: random.Random = field(repr=False)

    def __post_init__(self) -> None:
        self._secret = self.random.randbytes(32)

    # Each route takes the clock's time as `at` and the API's as `now`.

    def create(self, request: Request, now: float) -> Reply:
        """Answer `POST /v1/videos`."""
        try:
            body = request.read()
        except ConnectionAbortedError:
            return api_error(400, "unexpected end of the body")
        with self.lock:
            refused = self._fault_refusal(request, now) or self._closed_door(request, now)
            return refused or self._order(request, body, now)

    def retrieve(self, request: Request, api_id: str, at: float, now: float) -> Reply:
        """Answer `GET /v1/videos/{id}`."""
        with self.lock:
            video = self._admit(request, api_id, now)
            if isinstance(video, Reply):
                return self._faulted("retrieve", Call(request, video, now=now))
            call = self._call(request, json_reply(self._task(video, request, now)), video, now)
            call = self._played("retrieve", call, [*video.plays, *self._named(request)])
            video.asked_at.append(at)
            video.ended += now >= video.ended_at
            return self._faulted("retrieve", call)

    def content(self, request: Request, api_id: str, now: float) -> Reply:
        """Answer `GET /v1/videos/{id}/content`: the file of another model's video.

        A Seedance video has none there; before the end, and after a failure, no video has.
        """
        with self.lock:
            video = self._admit(request, api_id, now)
            if isinstance(video, Reply):
                return self._faulted("content", Call(request, video, now=now))
            shown = self._looked_at(request, video, now)
            call = replace(shown, normal=_content(shown, video), asked=video.contents_asked)
            video.contents_asked += 1
            call = self._played("content", call, video.plays)
            answer = self._faulted("content", call)
            is_file = answer.stream is not None and answer is call.normal and answer.announce
            return self._file(call, video) if is_file else answer

    def file(self, request: Request, api_id: str, now: float) -> Reply:
        """Answer `GET /files/{id}.mp4`, behind its signature."""
        with self.lock:
            refused = signature_error(request, self._secret, api_id, now)
            video = self.state.videos.get(api_id)
            if video is None:
                refused = refused or xml_error(404, "NoSuchKey", "There is no such file")
            if refused is not None or video is None:
                return refused or TASK_NOT_EXIST
            return self._file(self._call(request, serve_file(request, kite()), video, now), video)

    def _file(self, call: Call, video: SimulatedVideo) -> Reply:
        """Serve the video's file as its scenarios say, and count that it was asked for."""
        call = replace(call, asked=video.files_asked)
        video.files_asked += 1
        return self._faulted("file", self._played("file", call, video.plays))

    def account(self, request: Request, now: float) -> Reply:
        """Answer one of `ACCOUNT_PATHS`."""
        with self.lock:
            return Account(self.sold(request, now), self.models, self._accepts).answer(request)

    def sold(self, request: Request, now: float) -> tuple[Shown, ...]:
        """Return every video with what a retrieve would say of it now, oldest first."""
        with self.lock:
            return tuple(
                Shown(video, self._looked_at(request, video, now).body)
                for video in self.state.videos.values()
            )

    def _looked_at(self, request: Request, video: SimulatedVideo, now: float) -> Call:
        """Return what a retrieve would say, without counting that one was made."""
        call = self._call(request, json_reply(self._task(video, request, now)), video, now)
        return self._played("retrieve", call, [replace(play) for play in video.plays])

    # Doors: who may come in at all.

    def _closed_door(self, request: Request, now: float) -> Reply | None:
        if not self._accepts(request.key):
            return api_error(401, "Invalid token")
        return self._over_limit(request.key, now)

    def _accepts(self, key: str) -> bool:
        if self.keys is not None:
            return key in self.keys
        return key == "simulator" or key.startswith("sk-")

    def _over_limit(self, key: str, now: float) -> Reply | None:
        if self.rate_limit is None:
            return None
        served = self.state.served.setdefault(key, deque())
        while served and served[0] <= now - self.rate_limit.seconds:
            served.popleft()
        if len(served) < self.rate_limit.requests:
            served.append(now)
            return None
        reply = api_error(429, "Too many requests")
        wait = int(served[0] + self.rate_limit.seconds - now) + 1
        return reply.with_header("Retry-After", str(wait)) if self.rate_limit.retry_after else reply

    def _admit(self, request: Request, api_id: str, now: float) -> SimulatedVideo | Reply:
        """Return the video, or the reply to a key that may not see it."""
        closed = self._closed_door(request, now)
        video = self.state.videos.get(api_id)
        if closed is not None:
            return closed
        return video if video is not None and video.key == request.key else TASK_NOT_EXIST

    # Scenarios: who changes the reply, in which order.

    def _named(self, request: Request) -> list[Play]:
        """Return the plays that the request's header asks for."""
        names = request.headers.get(SCENARIO_HEADER.lower(), "").replace(",", " ").split()
        return [Play.parse(name, self.known) for name in names]

    def _played(self, route: Route, call: Call, plays: Collection[Play]) -> Call:
        for play in plays:
            call = replace(call, value=play.value)
            call = replace(call, normal=play.apply(route, call))
        return call

    def _faulted(self, route: Route, call: Call) -> Reply:
        for fault in self.state.active(route, call.request.key, call.now):
            call = replace(call, value=fault.play.value, age=call.now - fault.since)
            call = replace(call, normal=fault.play.apply(route, call, everywhere=True))
        return call.normal

    def _fault_refusal(self, request: Request, now: float) -> Reply | None:
        """Return what a fault answers to a create that it does not let through."""
        for fault in self.state.active("create", request.key, now):
            if fault.play.answers("create", everywhere=True) and not fault.play.scenario.charges:
                call = Call(request, _LOST, fault.play.value, now, now - fault.since)
                return fault.play.apply("create", call, everywhere=True)
        return None

    # Creates.

    def _order(self, request: Request, body: bytes, now: float) -> Reply:
        try:
            form = parse_form(request.headers.get("content-type", ""), body)
        except BadForm as error:
            return api_error(400, str(error), code="InvalidParameter")
        order = read_order(form)
        refused = refusal(order, self.models)
        return refused or self._buy(request, order, now)

    def _buy(self, request: Request, order: Order, now: float) -> Reply:
        plays = self._plays_of(request, order)
        for play in plays:
            if play.answers("create") and not play.scenario.charges:
                return play.apply("create", Call(request, _LOST, play.value, now))
        self.state.refused.pop((request.key, order.prompt), None)
        video = self._new_video(request, order, plays, now)
        call = Call(request, json_reply(_created(video)), now=now)
        return self._faulted("create", self._played("create", call, plays))

    def _plays_of(self, request: Request, order: Order) -> list[Play]:
        """Return the plays of a new video: from its prompt, the header, and `next`.

        Those of a prompt that was refused before go on counting.
        """
        marked = self.state.refused.setdefault(
            (request.key, order.prompt), Play.in_prompt(order.prompt, self.known)
        )
        waiting = self.state.waiting.popleft() if self.state.waiting else ()
        return [*marked, *self._named(request), *(Play.parse(n, self.known) for n in waiting)]

    def _new_video(
        self, request: Request, order: Order, plays: list[Play], now: float
    ) -> SimulatedVideo:
        stretch, length = 1.0, len(_ID_START) + 32
        for play in plays:
            stretch *= float(play.value) if play.scenario.stretches else 1
            length = int(play.value) if play.scenario.lengthens else length
        tail = self.random.choices(_ALPHANUMERIC, k=length - len(_ID_START))
        api_id = _ID_START + "".join(tail)
        ended_at = now + self.render.seconds * stretch / self.speed
        video = SimulatedVideo(
            api_id, request.key, order, now, ended_at, plays, request_id=request.id
        )
        self.state.videos[api_id] = video
        self.state.charges += 1
        return video

    # The task object.

    def _call(self, request: Request, normal: Reply, video: SimulatedVideo, now: float) -> Call:
        age = (now - video.created_at) * self.speed
        return Call(
            request,
            normal,
            now=now,
            age=age,
            asked=len(video.asked_at),
            ended=video.ended,
            since_end=now - video.ended_at,
        )

    def _task(self, video: SimulatedVideo, request: Request, now: float) -> Body:
        if now >= video.ended_at:
            status, progress = "completed", 100
        else:
            done = (now - video.created_at) / (video.ended_at - video.created_at)
            status, progress = self.render.at(done)
        data = _created(video) | {"status": status, "progress": progress}
        del data["task_id"]
        if status == "completed":
            data |= {"completed_at": int(video.ended_at), "video_url": self._url(video, request)}
        return data

    def _url(self, video: SimulatedVideo, request: Request) -> str:
        query = signed_query(self._secret, video.api_id, int(video.ended_at + self.link_lifetime))
        return f"{request.origin}/files/{video.api_id}.mp4?{query}"


def _content(shown: Call, video: SimulatedVideo) -> Reply:
    status = str(shown.body.get("status", "unknown"))
    if status == "completed" and "seedance" in video.order.model:
        return api_error(404, "Download this video from its video_url")
    if status == "completed":
        return serve_file(shown.request, shown.media)
    message = f"Task is not completed yet, current status: {status.upper()}"
    return json_reply({"error": {"message": message, "type": "invalid_request_error"}}, 400)


def _created(video: SimulatedVideo) -> Body:
    return {
        "id": video.api_id,
        "task_id": video.api_id,
        "object": "video",
        "model": video.order.model,
        "status": "queued",
        "progress": 0,
        "created_at": int(video.created_at),
    }
