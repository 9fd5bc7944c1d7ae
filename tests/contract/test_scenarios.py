"""The simulator's replies and the package's parser mean the same."""

from __future__ import annotations

from typing import Any

import pytest

from seedance_celery.exceptions import ApiError
from seedance_celery.protocol import VideoTask, create_outcome, parse_created, parse_video
from seedance_celery.simulator import SCENARIOS
from tests.contract.scenarios import CREATES, NO_REPLY, RETRIEVES
from tests.unit.simulator_calls import Answer, bought, create, new_app, retrieve


def told(answer: Answer, api_id: str = "") -> dict[str, Any]:
    """Return what the parser makes of a reply, in the names of the table."""
    try:
        if not api_id:
            return _of_video(parse_created(answer.status, answer.headers, answer.body))
        return _of_video(parse_video(answer.status, answer.headers, answer.body, api_id=api_id))
    except ApiError as error:
        return {
            "error": type(error).__name__,
            "outcome": create_outcome(error).name,
            "code": error.code,
            "words": error.reason,
        }


def _of_video(task: VideoTask) -> dict[str, Any]:
    return {
        "status": task.status,
        "link": bool(task.video_url),
        "id": bool(task.id),
        "final": task.is_final_word,
        "code": task.code,
        "words": task.reason,
    }


def _differences(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (found.get(name), value)
        for name, value in expected.items()
        if not _fits(name, found.get(name), value)
    }


def _fits(name: str, found: Any, expected: Any) -> bool:
    if name == "words":
        return expected in (found or "")
    if name == "code":
        return str(found).lower() == expected.lower()
    return bool(found == expected)


@pytest.mark.parametrize("name", sorted(RETRIEVES))
def test_retrieve_means_what_its_scenario_says(name: str) -> None:
    app = new_app()
    api_id = bought(app, f"A kite [{name}]")
    app.advance(600)
    if name == "goes_back":
        retrieve(app, api_id)
        app.advance(60)
        assert told(retrieve(app, api_id), api_id)["status"] == "in_progress"
    assert not _differences(told(retrieve(app, api_id), api_id), RETRIEVES[name])


@pytest.mark.parametrize("name", sorted(CREATES))
def test_create_means_what_its_scenario_says(name: str) -> None:
    app = new_app()
    found = told(create(app, f"A kite [{name}]"))
    assert not _differences(found, CREATES[name])
    # What is said to be refused was not bought: a person may order it again.
    if found.get("outcome") in ("REJECTED", "NO_QUOTA", "LIMITED", "KEY_REFUSED"):
        assert app.charges == 0


def test_each_scenario_of_a_reply_is_judged() -> None:
    judged = RETRIEVES.keys() | CREATES.keys() | NO_REPLY
    replies = {name for name, scenario in SCENARIOS.items() if scenario.file is None}
    assert replies - judged == {"file_expired_then_renewed"}
    assert judged <= set(SCENARIOS)
