"""How a video's task object can look: ends, words, shapes and the traps of the contract."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any

from ..files import kite
from ..reply import Body, Reply, html_page, json_reply
from .base import ABSENT, Call, Scenario, Step, body, merge, reply

__all__ = ["TASK_NOT_EXIST", "VIDEO_SCENARIOS"]

_MP4 = (("Content-Type", "video/mp4"),)
_UPPER = {
    "queued": "SUBMITTED",
    "in_progress": "IN_PROGRESS",
    "completed": "SUCCESS",
    "failed": "FAILED",
    "error": "ERROR",
}
_PROVIDER_WORDS = {
    "queued": "pending",
    "in_progress": "processing",
    "completed": "succeeded",
    "failed": "failure",
}
_GATEWAY_WORDS = {
    "queued": "not_start",
    "in_progress": "running",
    "completed": "success",
    "failed": "failure",
}


def _at_end(**changes: Any) -> Step:
    """Change the body once the render is over."""
    return body(
        lambda data, call: merge(data, **changes) if data["status"] == "completed" else data
    )


def _ends(status: str, progress: int) -> Step:
    return _at_end(status=status, progress=progress, video_url=ABSENT)


def _always(**changes: Any) -> Step:
    return body(lambda data, call: merge(data, **changes))


def _words(table: dict[str, str]) -> Step:
    def change(data: Body, call: Call) -> Body:
        return merge(data, status=table.get(data["status"], data["status"]))

    return body(change)


def _progress(write: Callable[[int], Any]) -> Step:
    """Write the progress in another way."""
    return body(lambda data, call: merge(data, progress=write(data["progress"])))


def _unfinished(data: Body) -> Body:
    return merge(data, status="in_progress", progress=90, video_url=ABSENT, completed_at=ABSENT)


def _stuck(data: Body, call: Call) -> Body:
    ended = data["status"] not in ("queued", "in_progress")
    return _unfinished(data) if ended and call.age < call.number else data


def _goes_back(data: Body, call: Call) -> Body:
    return _unfinished(data) if data["status"] == "completed" and call.ended else data


def _progress_falls(data: Body, call: Call) -> Body:
    falls = data["status"] == "in_progress" and call.asked % 2
    return merge(data, progress=data["progress"] // 3) if falls else data


def _100_early(data: Body, call: Call) -> Body:
    return merge(data, progress=100) if data["status"] == "in_progress" else data


def _completed_at_early(data: Body, call: Call) -> Body:
    return merge(data, completed_at=data.get("completed_at") or data["created_at"] + 67)


def _wrapped(data: Body, call: Call) -> Body:
    inner = {
        "task_id": data["id"],
        "status": _UPPER.get(data["status"], data["status"]),
        "progress": f"{data['progress']}%",
        "fail_reason": data.get("video_url", ""),
        "data": {"model": data["model"], "created_at": data["created_at"]},
    }
    return {"code": "success", "message": "", "data": inner}


def _video_url(data: Body, call: Call) -> Body:
    return merge(data, video_url=call.value) if "video_url" in data else data


TASK_NOT_EXIST = json_reply(
    {"code": "task_not_exist", "message": "task_not_exist", "data": None}, status=400
)
"""The answer for an id that is unknown or belongs to another key."""

_VIOLATION = json_reply(
    {
        "error": {
            "message": "Task is not completed yet, current status: VIOLATION",
            "type": "invalid_request_error",
        }
    },
    status=400,
)


def _not_exist_at_first(call: Call) -> Reply:
    return TASK_NOT_EXIST if call.age < call.number else call.normal


def _scenario(name: str, about: str, retrieve: Step | None = None, **more: Any) -> Scenario:
    return Scenario(name=name, about=about, retrieve=retrieve, **more)


VIDEO_SCENARIOS = (
    _scenario("normal", "queued, in_progress, completed"),
    _scenario("slow", "the render takes =10 times as long", stretches=True, value="10"),
    _scenario("stuck", "in_progress for ever, or for =seconds", body(_stuck), value="inf"),
    _scenario("long_id", "an id of =300 characters", lengthens=True, value="300"),
    # How a render ends.
    _scenario("failed", "the provider rejects the task; progress 0", _ends("failed", 0)),
    _scenario("failed_at_100", "failed with progress 100", _ends("failed", 100)),
    _scenario(
        "moderation",
        "failed, and /content says VIOLATION",
        _ends("failed", 0),
        content=reply(_VIOLATION),
    ),
    _scenario("error", "an internal error ends the task", _ends("error", 50)),
    _scenario(
        "completed_without_url", "completed, *times without a URL", _at_end(video_url=ABSENT)
    ),
    _scenario("completed_with_empty_url", "completed with an empty URL", _at_end(video_url="")),
    _scenario("video_url", "completed with the URL =url", body(_video_url)),
    _scenario(
        "task_not_exist_at_first",
        "unknown for =5 seconds after the create",
        _not_exist_at_first,
        value="5",
    ),
    _scenario("task_not_exist", "never known", reply(TASK_NOT_EXIST)),
    # How the object is written.
    _scenario(
        "completed_at_early", "completed_at is set from the start", body(_completed_at_early)
    ),
    _scenario("completed_at_null", "completed_at is null", _always(completed_at=None)),
    _scenario("uppercase", "SUBMITTED, IN_PROGRESS, SUCCESS, FAILED, ERROR", _words(_UPPER)),
    _scenario("provider_words", "pending, processing, succeeded", _words(_PROVIDER_WORDS)),
    _scenario("gateway_words", "not_start, running, success", _words(_GATEWAY_WORDS)),
    _scenario("wrapped", "the older envelope; fail_reason carries the URL", body(_wrapped)),
    _scenario(
        "wrapped_null",
        "the older envelope without data",
        reply(json_reply({"code": "success", "data": None})),
        times=2,
    ),
    _scenario(
        "unknown_status",
        "a status that nobody documents, =paused",
        body(lambda data, call: merge(data, status=call.value, video_url=ABSENT)),
        times=2,
        value="paused",
    ),
    _scenario("no_status", "no status at all", _always(status=ABSENT), times=2),
    _scenario("progress_float", "45.0", _progress(float)),
    _scenario("progress_text", '"45"', _progress(str)),
    _scenario("progress_percent", '"45%"', _progress(lambda progress: f"{progress}%")),
    _scenario("progress_null", "null", _progress(lambda progress: None)),
    _scenario("progress_absent", "no progress", _progress(lambda progress: ABSENT)),
    _scenario("progress_above", "more than 100", _progress(lambda progress: 100 + progress)),
    _scenario("progress_below", "less than 0", _progress(lambda progress: -progress)),
    _scenario("progress_100_early", "100 while in_progress", body(_100_early)),
    _scenario("progress_falls", "lower every second time", body(_progress_falls)),
    _scenario(
        "goes_back", "completed, then *times in_progress, then completed", body(_goes_back), times=1
    ),
    _scenario("model_differs", "a model nobody asked for", _always(model="seedance-internal-x")),
    _scenario("extra_fields", "fields nobody documents", _always(seed=7, usage={"tokens": 108900})),
    _scenario(
        "error_in_200",
        "an error object with status 200",
        reply(json_reply({"error": {"message": "upstream error", "type": "server_error"}})),
        times=2,
    ),
    _scenario(
        "content_served",
        "/content answers 200 with an endless file",
        content=lambda call: Reply(200, _MP4, stream=lambda: repeat(kite().start), announce=False),
    ),
    _scenario("html_in_200", "a page for people with status 200", reply(html_page()), times=2),
)
