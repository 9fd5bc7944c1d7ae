"""Every reply of the table, from its bytes to what the package makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from seedance_celery.api.replies import VideoTask, create_outcome, parse_created, parse_video
from seedance_celery.exceptions import ApiError
from tests.contract.bodies import BODIES, Body


def parsed(body: Body) -> VideoTask | ApiError:
    try:
        if body.route == "create":
            return parse_created(body.http, body.all_headers, body.content)
        return parse_video(body.http, body.all_headers, body.content, api_id="task_abc123")
    except ApiError as error:
        return error


def told(answer: VideoTask | ApiError) -> dict[str, Any]:
    words = {"words": answer.reason, "code": answer.code, "request_id": answer.request_id}
    if isinstance(answer, VideoTask):
        link = {"url": answer.video_url, "fault": answer.link_fault}
        return words | link | {"id": answer.id, "status": answer.status} | _final(answer)
    outcome = {"error": type(answer).__name__, "outcome": create_outcome(answer).name}
    details = answer.details
    more = {"upstream_code": details.upstream_code if details else ""}
    return words | outcome | more | {"ids": list(details.ids) if details else []}


def _final(task: VideoTask) -> dict[str, Any]:
    return {"final": task.is_final_word}


def fits(name: str, found: Any, expected: Any) -> bool:
    return expected in found if name == "fault" and expected else bool(found == expected)


@pytest.mark.parametrize("body", BODIES, ids=[body.name for body in BODIES])
def test_a_reply_means_what_the_table_says(body: Body) -> None:
    found = told(parsed(body))
    wrong = {
        name: (found.get(name), expected)
        for name, expected in body.expect.items()
        if not fits(name, found.get(name), expected)
    }
    assert not wrong


def test_the_table_is_as_long_as_it_was_asked_to_be() -> None:
    assert len(BODIES) >= 150
    assert len({body.name for body in BODIES}) == len(BODIES)
