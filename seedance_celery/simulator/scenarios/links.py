"""Where the link to a finished video stands, when it comes, and how it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..files import PADDING, serve_file
from ..reply import Body, Reply
from .base import ABSENT, Call, Scenario, Step, body, merge

__all__ = ["LINK_SCENARIOS"]

_SUCCESS_WORDS = ("done", "finished", "complete", "succeed")


def _moved(write: Callable[[str], Body]) -> Step:
    """Write the link in another place than `video_url`."""

    def change(data: Body, call: Call) -> Body:
        if "video_url" not in data:
            return data
        return merge(data, video_url=ABSENT, **write(data["video_url"]))

    return body(change)


def _wrapped(write: Callable[[str], Body]) -> Step:
    """Write the older envelope, with the link in another place than `fail_reason`."""

    def change(data: Body, call: Call) -> Body:
        if "video_url" not in data:
            return data
        inner = {"task_id": data["id"], "status": "SUCCESS", "progress": "100%", "fail_reason": ""}
        return {
            "code": "success",
            "message": "",
            "data": {**inner, **write(data["video_url"])},
        }

    return body(change)


def _upstream(url: str) -> Body:
    """Return Ark's own object, as the older envelope quotes it."""
    return {"data": {"status": "succeeded", "content": {"video_url": url}}}


def _rewritten(write: Callable[[str, Call], Any]) -> Step:
    def change(data: Body, call: Call) -> Body:
        if "video_url" not in data:
            return data
        return merge(data, video_url=write(data["video_url"], call))

    return body(change)


def _long(url: str, call: Call) -> str:
    return f"{url}{PADDING}".ljust(int(call.value), "e")


def _later(url: str, call: Call) -> Any:
    return ABSENT if call.since_end < call.number else url


def _success(word: str) -> Step:
    return body(lambda data, call: merge(data, status=word) if "video_url" in data else data)


def _content(call: Call) -> Reply:
    """Serve the file where a Seedance video has none; its refusal while it renders stays."""
    return serve_file(call.request, call.media) if call.normal.status == 404 else call.normal


def _place(name: str, about: str, step: Step, **more: Any) -> Scenario:
    return Scenario(name=name, about=about, retrieve=step, **more)


LINK_SCENARIOS = (
    _place(
        "link_in_metadata",
        "completed, and the link is metadata.url",
        _moved(lambda url: {"metadata": {"url": url}}),
    ),
    _place(
        "link_in_url",
        "completed, and the link is url",
        _moved(lambda url: {"url": url}),
    ),
    _place(
        "link_in_content",
        "completed, and the link is content.video_url",
        _moved(lambda url: {"content": {"video_url": url}}),
    ),
    _place(
        "link_in_result_url",
        "the older envelope; the link is data.result_url",
        _wrapped(lambda url: {"result_url": url}),
    ),
    _place(
        "link_in_data",
        "the older envelope; the link is data.data.content.video_url",
        _wrapped(_upstream),
    ),
    _place(
        "link_nowhere_known",
        "completed, and the link stands where nobody looks for it",
        _moved(lambda url: {"output": [url]}),
    ),
    _place(
        "link_later",
        "completed without a link until =60 s after the end",
        _rewritten(_later),
        value="60",
    ),
    _place("link_long", "a link of =6000 characters", _rewritten(_long), value="6000"),
    _place(
        "link_with_blanks",
        "a link with blanks in its query",
        _rewritten(lambda url, call: f"{url}{PADDING}a b c"),
    ),
    _place(
        "link_of_another_scheme",
        "completed with a link that is no web address",
        _rewritten(lambda url, call: "tos://bucket/video.mp4"),
    ),
    *(
        _place(
            f"success_{word}",
            f"{word} in place of completed, with a link",
            _success(word),
        )
        for word in _SUCCESS_WORDS
    ),
    _place(
        "success_without_link",
        "=done in place of completed, without a link",
        body(
            lambda data, call: (
                merge(data, status=call.value, video_url=ABSENT) if "video_url" in data else data
            )
        ),
        value="done",
    ),
    Scenario(
        name="content_only",
        about="completed without a link; /content serves the file to the key",
        retrieve=_moved(lambda url: {}),
        content=_content,
    ),
)
