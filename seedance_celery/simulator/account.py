"""The account's side of the API, which is only read: its tasks, its log, its balance, its models.

All keys belong to one account. Its lists take the account's access token in place of a key; the
simulator accepts `ACCESS_TOKEN`. The shapes are those of CometAPI's own command line client. That
the tasks of `/v1/videos` stand in the list under the id that the API gave is not proven.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from .reply import Body, Reply, api_error, json_reply
from .request import Request
from .state import SimulatedVideo

__all__ = ["ACCESS_TOKEN", "ACCOUNT_PATHS", "Account", "Shown"]

ACCESS_TOKEN = "simulator-access-token"  # noqa: S105  (it opens nothing but the simulator)

QUOTA_PER_DOLLAR = 500_000
DEPOSIT = 100.0
"""US dollars that the account began with."""
PRICE = 0.05
"""US dollars for each second of output, of whatever model and size."""
PAGE_SIZE = 20
LARGEST_PAGE = 100
CONSUME = 2
"""The type of a log entry that tells of money that was spent."""

_TASK_STATUSES = {
    "queued": "QUEUED",
    "in_progress": "IN_PROGRESS",
    "completed": "SUCCESS",
    "failed": "FAILURE",
    "error": "FAILURE",
}


@dataclass(frozen=True)
class Shown:
    """A video, and the task object that a retrieve would bring now."""

    video: SimulatedVideo
    task: Body


@dataclass(frozen=True)
class Account:
    """Answers a request about the account; `videos` are all that it bought, oldest first."""

    videos: tuple[Shown, ...]
    models: Iterable[str]
    accepts: Callable[[str], bool]
    """Tells whether a bearer key is one of the account's."""

    def answer(self, request: Request) -> Reply:
        """Answer one of the paths in `ACCOUNT_PATHS`."""
        path = request.path
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        if path in ("/api/task/self", "/api/log/self"):
            if request.key != ACCESS_TOKEN:
                return json_reply({"success": False, "message": "access token is invalid"}, 401)
            entries = self._tasks(query) if path == "/api/task/self" else self._log(query)
            return json_reply({"success": True, "message": "", "data": _page(entries, query)})
        if path == "/api/models":
            return json_reply({"success": True, "data": [_model(name) for name in self.models]})
        key = query.get("key", "") if path == "/user/quota" else request.key
        if not self.accepts(key):
            return api_error(401, "Invalid token")
        return json_reply(self._balance(path))

    def _balance(self, path: str) -> Body:
        spent = sum(_price(shown.video) for shown in self.videos)
        if path == "/v1/dashboard/billing/subscription":
            return {"object": "billing_subscription", "hard_limit_usd": DEPOSIT}
        if path == "/v1/dashboard/billing/usage":
            return {"object": "list", "total_usage": round(spent * 100, 4)}
        left, used = round(DEPOSIT - spent, 6), round(spent, 6)
        return {
            "total_quota": left,
            "total_used_quota": used,
            "request_count": len(self.videos),
            "keys": [{"name": "simulator", "remain_quota": -1, "used_quota": used}],
        }

    def _tasks(self, query: Mapping[str, str]) -> list[Body]:
        tasks = [
            _task(number, shown)
            for number, shown in enumerate(self.videos, 1)
            if _is_within(shown.video.created_at, query)
        ]
        wanted = {name: query[name] for name in ("task_id", "status", "platform") if name in query}
        return [task for task in tasks if wanted.items() <= task.items()]

    def _log(self, query: Mapping[str, str]) -> list[Body]:
        return [
            _entry(number, shown.video)
            for number, shown in enumerate(self.videos, 1)
            if _is_within(shown.video.created_at, query)
            and query.get("type", "0") in ("0", str(CONSUME))
        ]


ACCOUNT_PATHS = frozenset(
    {
        "/api/task/self",
        "/api/log/self",
        "/api/models",
        "/v1/dashboard/billing/subscription",
        "/v1/dashboard/billing/usage",
        "/user/quota",
    }
)


def _price(video: SimulatedVideo) -> float:
    return PRICE * int(video.order.seconds)


def _quota(video: SimulatedVideo) -> int:
    return round(_price(video) * QUOTA_PER_DOLLAR)


def _is_within(at: float, query: Mapping[str, str]) -> bool:
    start = float(query.get("start_timestamp", 0))
    return start <= int(at) <= float(query.get("end_timestamp", math.inf))


def _page(entries: list[Body], query: Mapping[str, str]) -> Body:
    page = max(1, int(query.get("p", 1)))
    size = min(max(1, int(query.get("page_size", PAGE_SIZE))), LARGEST_PAGE)
    newest_first = entries[::-1]
    items = newest_first[(page - 1) * size : page * size]
    return {"page": page, "page_size": size, "total": len(entries), "items": items}


def _task(number: int, shown: Shown) -> Body:
    video, task = shown.video, shown.task
    status = _TASK_STATUSES.get(str(task.get("status", "")), "UNKNOWN")
    has_ended = status in ("SUCCESS", "FAILURE")
    error = task.get("error")
    words = error.get("message", "") if isinstance(error, dict) else task.get("fail_reason", "")
    return {
        "id": number,
        "created_at": int(video.created_at),
        "task_id": video.api_id,
        "platform": "45",
        "action": "generate",
        "status": status,
        "model_name": video.order.model,
        "quota": _quota(video),
        "submit_time": int(video.created_at),
        "start_time": int(video.created_at),
        "finish_time": int(video.ended_at) if has_ended else 0,
        "progress": f"{task.get('progress', 0)}%",
        "fail_reason": words if status == "FAILURE" else "",
    }


def _entry(number: int, video: SimulatedVideo) -> Body:
    return {
        "id": number,
        "created_at": int(video.created_at),
        "type": CONSUME,
        "model_name": video.order.model,
        "quota": _quota(video),
        "request_id": video.request_id,
    }


def _model(name: str) -> Body:
    pricing: dict[str, Any] = {"per_second": PRICE}
    return {"id": name, "code": name, "model_type": "video", "features": [], "pricing": pricing}
