"""The steps of the acceptance: free questions first, one create, polls, the file, the account."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..api.base_url import is_loopback_host
from ..api.errors import Outcome, create_outcome
from ..api.replies import VideoTask
from ..exceptions import ApiError, DownloadError, InvalidRequest, KeyRefused
from ..net.connection import Limits
from ..net.download import Download, DownloadLimits
from ..net.fetch import Route, fetch
from ..net.transport import tls_context
from .plan import Access, Plan
from .redacted import KEPT_ID, Redaction
from .witness import Notes, Witness

__all__ = ["Acceptance", "CreateLost", "Found", "Stopped"]

NO_SUCH_ID = "task_of_nobody_0000000000000000000000"
WRONG_KEY = "wrong-key-of-nobody-0000000000000000"
AROUND = 600
"""Seconds before the create from which on the account's lists are asked for."""
WRONG_ID: dict[str, Any] = {"error": "TaskNotExist"}


class Stopped(Exception):  # noqa: N818
    """The acceptance cannot go on; the text says why, and what a person should do."""


class CreateLost(Stopped):
    """Nobody knows whether the create bought a video."""


@dataclass
class Found:
    """What is known besides the rows; nothing of it is private."""

    api_id: str = ""
    status: str = ""
    polls: int = 0
    seconds: float = 0.0
    link: str = field(default="", repr=False)
    size: int = 0
    sha256: str = ""
    file_error: str = ""
    balance: list[dict[str, Any]] = field(default_factory=list)
    has_token: bool = False
    listed: list[dict[str, Any]] = field(default_factory=list)
    logged: list[dict[str, Any]] = field(default_factory=list)


class Acceptance:
    """Asks the API, notes what it answers, and says what is going on by `say`."""

    def __init__(
        self,
        access: Access,
        plan: Plan,
        say: Callable[[str], object],
        *,
        film: Path | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.access, self.plan, self.say = access, plan, say
        self.found = Found(has_token=bool(access.access_token))
        hide = [text for text in (access.key, access.access_token, plan.prompt) if text]
        self.notes = Notes(Redaction(hide))
        self._film, self._sleep, self._clock = film, sleep, clock
        self._client = self._witness(access.key)

    def run(self) -> None:
        """Do all steps. Raises `Stopped`; what came back until then is in `notes`."""
        with closing(self._client):
            self._ask_freely()
            self._look_at_balance("before")
            started = self._clock()
            if self.plan.follow_id:
                self._know(self.plan.follow_id)
            else:
                self._create(started)
            self._follow(started)
            self._load()
            self._look_at_content()
            self._look_at_account(started)
            self._look_at_balance("after")

    def _witness(self, key: str) -> Witness:
        return Witness(self.notes, key, self.access.base_url)

    # Before anything is bought.

    def _ask_freely(self) -> None:
        """Ask for a wrong id and with a wrong key; a key that is refused ends it here."""
        self.say("Asking with a wrong key, for a wrong id and for the prices: that is free.")
        with closing(self._witness(WRONG_KEY)) as stranger:
            refused = {"error": "KeyRefused"}
            stranger.noted("wrong key", "retrieve", refused, lambda: stranger.retrieve(NO_SUCH_ID))
        error = self._client.noted(
            "wrong id", "retrieve", WRONG_ID, lambda: self._client.retrieve(NO_SUCH_ID)
        )
        self._client.read("models", "models", "/api/models")
        if isinstance(error, KeyRefused):
            raise Stopped(f"Nothing was bought. {error}")
        if isinstance(error, ApiError) and not error.http_status:
            raise Stopped(f"Nothing was bought. {error}")

    def _look_at_balance(self, when: str) -> None:
        balance: dict[str, Any] = {}
        for name, field_name in (("subscription", "hard_limit_usd"), ("usage", "total_usage")):
            path = f"/v1/dashboard/billing/{name}"
            answer = self._client.read(f"{name} {when}", "billing", path)
            if isinstance(answer, dict) and isinstance(answer.get(field_name), (int, float)):
                balance[field_name] = answer[field_name]
        self.found.balance.append(balance)

    # The one create.

    def _create(self, started: float) -> None:
        plan = self.plan
        self.say(f"Buying one video: {plan.model}, {plan.seconds} s, {plan.size}.")
        try:
            task = self._client.noted(
                "create",
                "create",
                {"status": "queued", "id": KEPT_ID},
                lambda: self._client.create(
                    plan.prompt, model=plan.model, seconds=plan.seconds, size=plan.size
                ),
            )
            if isinstance(task, VideoTask):
                self._know(task.id)
        except InvalidRequest:
            raise
        except BaseException as error:
            raise CreateLost(self._lost(type(error).__name__, started)) from error
        if isinstance(task, VideoTask):
            self.say(f"Bought: {task.id}")
        elif create_outcome(task) is Outcome.UNKNOWN:
            raise CreateLost(self._lost(type(task).__name__, started))
        else:
            raise Stopped(f"Nothing was bought. {task} {task.reason}".strip())

    def _know(self, api_id: str) -> None:
        self.found.api_id = api_id
        self.notes.learn_id(api_id, KEPT_ID)

    def _lost(self, cause: str, started: float) -> str:
        """Return what a person should know of a create whose outcome is unknown."""
        words = (
            f"The reply to the create was lost ({cause}): the video may be bought, or not. It is "
            "not bought again. Look at CometAPI's dashboard for a task of this minute; with its id "
            "go on by --follow ID."
        )
        try:
            self._look_at_account(started)
        except BaseException:  # noqa: BLE001  (a second Ctrl-C must not hide these words)
            return words
        ids = [str(item.get("task_id")) for item in self.found.listed]
        return f"{words} The account's list holds: {', '.join(ids)}." if ids else words

    # The video.

    def _follow(self, started: float) -> None:
        """Poll until the video has ended, or its time is up."""
        self.say(f"Polling every {self.plan.interval:g} s; most videos take 1 to 3 minutes.")
        while True:
            ends_at = started + self.plan.timeout
            task = self._client.noted(
                "poll", "retrieve", {}, lambda: self._client.retrieve(self.found.api_id)
            )
            self.found.polls += 1
            self.found.seconds = self._clock() - started
            if isinstance(task, VideoTask) and self._has_ended(task):
                return
            if self._clock() >= ends_at:
                raise Stopped(f"The video has not ended. {self.how_to_follow}")
            self._sleep(self.plan.interval)

    @property
    def how_to_follow(self) -> str:
        """Say how a video that was bought is not lost."""
        return (
            f"The video {self.found.api_id} is bought and goes on. Follow it by --follow "
            f"{self.found.api_id}, or in a project by manage.py seedance_track "
            f"{self.found.api_id} --store."
        )

    def _has_ended(self, task: VideoTask) -> bool:
        if task.status != self.found.status:
            self.say(f"{task.status or task.api_status} after {self.found.seconds:.0f} s")
        self.found.status = task.status
        self.found.link = task.video_url
        return task.is_terminal

    def _load(self) -> None:
        """Load the file, and look at how its host answers a range."""
        if not self.found.link:
            return
        is_local = is_loopback_host(urlsplit(self.access.base_url).hostname or "")
        self._probe(is_local)
        download = Download(self.found.link, DownloadLimits(), allow_loopback=is_local)
        try:
            with self._opened() as keep:
                for piece in download.chunks():
                    keep(piece)
        except DownloadError as error:
            self.found.file_error = str(error)
        self.found.size, self.found.sha256 = download.size, download.sha256

    def _probe(self, is_local: bool) -> None:
        limits = Limits(10.0, 30.0, time.monotonic() + 60.0)
        route = Route(limits, 1.0, 60.0, 3, is_local, tls_context())
        try:
            body = fetch(self.found.link, {"Range": "bytes=0-15"}, route)
        except DownloadError:
            return
        headers = {"content-range": body.header("content-range")}
        row = {"name": "file", "route": "file", "http": body.status}
        row |= {"type": body.header("content-type"), "text": ""}
        body.close()
        self.notes.add({**row, "headers": self.notes.redaction.headers(headers), "expect": {}})

    @contextmanager
    def _opened(self) -> Iterator[Callable[[bytes], object]]:
        if self._film is None:
            yield lambda piece: None
            return
        with self._film.open("wb") as file:
            yield file.write

    # What else there is to know.

    def _look_at_content(self) -> None:
        """Ask `/content` of a video that failed, or of the one that was bought."""
        failed = self.plan.failed_id
        if self.found.status in ("failed", "error"):
            failed = self.found.api_id
        for name, api_id in (("failed", failed), ("completed", self.found.api_id)):
            if api_id and (name == "failed" or self.found.status == "completed"):
                self.notes.learn_id(api_id, KEPT_ID)
                self._client.noted(
                    f"content of a {name} video",
                    "content",
                    {},
                    lambda api_id=api_id: self._client.failure_reason(api_id),  # type: ignore[misc]
                )

    def _look_at_account(self, started: float) -> None:
        """Read the account's tasks and log around the create; its access token is needed."""
        if not self.access.access_token:
            return
        query = {"p": 1, "page_size": 20, "start_timestamp": int(started - AROUND)}
        with closing(self._witness(self.access.access_token)) as account:
            tasks = account.read("task list", "tasks", "/api/task/self", query)
            log = account.read("log", "log", "/api/log/self", query)
        self.found.listed, self.found.logged = _items(tasks), _items(log)


def _items(answer: Any) -> list[dict[str, Any]]:
    data = answer.get("data") if isinstance(answer, dict) else None
    items = data.get("items") if isinstance(data, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
