"""What the simulator plays: each scenario by its name."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from seedance_celery.simulator import SCENARIOS, Scenario, SimulatorApp, json_reply, reply

from .simulator_calls import START, Answer, bought, create, finished, new_app, retrieve


def _at(seconds: float, prompt: str) -> dict[str, Any]:
    app = new_app()
    api_id = bought(app, prompt)
    app.advance(seconds)
    return retrieve(app, api_id).json


@pytest.mark.parametrize(
    ("scenario", "status", "progress"),
    [
        ("normal", "completed", 100),
        ("failed", "failed", 0),
        ("failed_at_100", "failed", 100),
        ("moderation", "failed", 0),
        ("error", "error", 50),
        ("stuck", "in_progress", 90),
        ("provider_words", "succeeded", 100),
        ("gateway_words", "success", 100),
        ("uppercase", "SUCCESS", 100),
        ("failed][uppercase", "FAILED", 0),
        ("error][uppercase", "ERROR", 50),
        ("unknown_status", "paused", 100),
        ("progress_float", "completed", 100.0),
        ("progress_text", "completed", "100"),
        ("progress_percent", "completed", "100%"),
        ("progress_null", "completed", None),
        ("progress_above", "completed", 200),
        ("progress_below", "completed", -100),
    ],
)
def test_end_of_a_render(scenario: str, status: str, progress: object) -> None:
    body = _at(600, f"A kite [{scenario}]")
    assert body["status"] == status
    assert repr(body["progress"]) == repr(progress)
    assert ("video_url" in body) == (status.lower() in ("completed", "success", "succeeded"))


def test_slow_render_takes_ten_times_as_long_or_as_told() -> None:
    assert _at(59, "A kite [slow]")["status"] == "in_progress"
    assert _at(60, "A kite [slow]")["status"] == "completed"
    assert _at(12, "A kite [slow=2]")["status"] == "completed"
    assert _at(1e9, "A kite [slow=inf]")["status"] == "queued"


def test_stuck_render_can_end_after_a_while() -> None:
    assert _at(699, "A kite [stuck=700]")["status"] == "in_progress"
    assert _at(700, "A kite [stuck=700]")["status"] == "completed"


def test_completed_at_is_set_while_in_progress() -> None:
    body = _at(3, "A kite [completed_at_early]")
    assert (body["status"], body["completed_at"]) == ("in_progress", int(START) + 67)
    assert _at(3, "A kite [completed_at_null]")["completed_at"] is None


def test_progress_100_while_in_progress() -> None:
    body = _at(3, "A kite [progress_100_early]")
    assert (body["status"], body["progress"]) == ("in_progress", 100)


def test_fields_that_differ_from_what_was_asked() -> None:
    assert _at(3, "A kite [model_differs]")["model"] == "seedance-internal-x"
    assert _at(3, "A kite [extra_fields]")["usage"] == {"tokens": 108900}
    assert "progress" not in _at(3, "A kite [progress_absent]")
    assert "status" not in _at(3, "A kite [no_status]")


def test_wrapped_envelope_carries_the_url_in_fail_reason() -> None:
    body = _at(600, "A kite [wrapped]")
    assert body["code"] == "success"
    assert (body["data"]["status"], body["data"]["progress"]) == ("SUCCESS", "100%")
    assert body["data"]["fail_reason"].startswith("http://simulator:80/files/")


def test_completed_can_come_without_a_url_for_some_retrieves() -> None:
    app = new_app()
    api_id = bought(app, "A kite [completed_without_url*2]")
    assert "video_url" not in retrieve(app, api_id).json
    app.advance(600)
    bodies = [retrieve(app, api_id).json for _ in range(3)]
    assert [body["status"] for body in bodies] == ["completed"] * 3
    assert ["video_url" in body for body in bodies] == [False, False, True]
    assert _at(600, "A kite [completed_with_empty_url]")["video_url"] == ""
    assert _at(600, "A kite [video_url=http://10.0.0.1/a]")["video_url"] == "http://10.0.0.1/a"


def test_status_goes_back_once() -> None:
    app = new_app()
    api_id = bought(app, "A kite [goes_back]")
    app.advance(600)
    statuses = [retrieve(app, api_id).json["status"] for _ in range(3)]
    assert statuses == ["completed", "in_progress", "completed"]


def test_progress_falls() -> None:
    app = new_app()
    api_id = bought(app, "A kite [progress_falls]")
    app.advance(5)
    assert retrieve(app, api_id).json["progress"] > retrieve(app, api_id).json["progress"]


def test_task_not_exist_for_a_while_or_for_ever() -> None:
    app = new_app()
    early, never = bought(app, "[task_not_exist_at_first=30]"), bought(app, "[task_not_exist]")
    app.advance(29.9)
    assert retrieve(app, early).json["code"] == "task_not_exist"
    app.advance(0.1)
    assert retrieve(app, early).status == 200
    assert retrieve(app, never).json["code"] == "task_not_exist"


@pytest.mark.parametrize(
    "name", ["wrapped_null", "error_in_200", "html_in_200", "http_503", "key_refused"]
)
def test_short_trouble_of_a_video_passes(name: str) -> None:
    app = new_app()
    api_id = bought(app, f"A kite [{name}]")
    answers = [retrieve(app, api_id) for _ in range(3)]
    assert answers[0].body[:40] == answers[1].body[:40]
    assert answers[0].body[:40] != answers[2].body[:40]
    assert answers[2].json["id"] == api_id


_API = {name: scenario for name, scenario in SCENARIOS.items() if scenario.api is not None}
_CONNECTION = {"reset", "closed", "reset_mid_body", "truncated", "hang", "huge_body"}
_SLOW = {"late", "trickle", "wrong_content_type", "early_hints"}


@pytest.mark.parametrize("name", sorted(set(_API) - _CONNECTION - _SLOW))
def test_fault_of_the_api_answers_every_route_and_takes_no_money(name: str) -> None:
    app = new_app()
    api_id = bought(app)
    fault = app.fault(name)
    assert _outline(create(app)) == _outline(retrieve(app, api_id))
    assert app.charges == 1
    app.clear(fault)
    assert retrieve(app, api_id).json["id"] == api_id


def _outline(answer: Answer) -> tuple[int, bytes]:
    return answer.status, answer.body[:40]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        *((f"http_{status}", status) for status in (408, 500, 502, 503, 504, 524)),
        ("rate_limited", 429),
        ("key_refused", 401),
        ("quota", 403),
        ("model_not_found", 503),
        ("invalid_request", 500),
        ("redirect", 301),
        ("html", 200),
    ],
)
def test_status_of_a_fault(name: str, status: int) -> None:
    app = new_app()
    app.fault(name)
    assert create(app).status == status


def test_retry_after_in_seconds_and_as_a_date() -> None:
    app = new_app()
    app.fault("rate_limited*1")
    app.fault("rate_limited_retry_after*1=7")
    assert create(app).headers.get("Retry-After") is None
    assert create(app).headers["Retry-After"] == "7"
    app.fault("rate_limited_date*1=90")
    date = parsedate_to_datetime(create(app).headers["Retry-After"])
    assert date.timestamp() == int(START) + 90


def test_fault_lasts_for_its_window() -> None:
    app = new_app()
    app.fault("http_502", seconds=30)
    app.advance(29)
    assert create(app).status == 502
    app.advance(1)
    assert create(app).status == 200


def test_fault_can_be_limited_to_a_route_and_a_key() -> None:
    app = new_app()
    mine, other = bought(app), bought(app, key="sk-two")
    app.fault("key_refused", routes=["retrieve"], key="sk-one")
    assert retrieve(app, mine).status == 401
    assert retrieve(app, other, key="sk-two").status == 200
    assert create(app).status == 200


def test_fault_can_wear_out() -> None:
    app = new_app()
    app.fault("rate_limited*2")
    assert [create(app).status for _ in range(3)] == [429, 429, 200]


def test_video_scenario_as_a_fault_concerns_every_video() -> None:
    app = new_app()
    app.fault("failed")
    assert finished(app, "A kite")["status"] == "failed"


_CREATES = {name: scenario for name, scenario in SCENARIOS.items() if scenario.create is not None}


@pytest.mark.parametrize("name", sorted(_CREATES))
@pytest.mark.parametrize("way", ["prompt", "header", "next", "fault"])
def test_create_scenario_charges_as_its_table_says(name: str, way: str) -> None:
    app = new_app()
    _choose(app, name, way)
    prompt = f"A kite [{name}]" if way == "prompt" else "A kite"
    headers = {"x_simulator_scenario": name} if way == "header" else {}
    status = 0
    try:
        status = create(app, prompt, headers=headers).status
    except (ConnectionResetError, TimeoutError):
        assert name in (
            "create_dropped",
            "create_closed",
            "create_stalled",
            "create_reset_mid_body",
        )
    assert app.charges == len(app.videos) == SCENARIOS[name].charges
    _assert_named_status(name, status)


def _choose(app: SimulatorApp, name: str, way: str) -> None:
    if way == "next":
        app.next(name)
    if way == "fault":
        app.fault(name)


def _assert_named_status(name: str, status: int) -> None:
    digits = [int(word) for word in name.split("_") if word.isdecimal()]
    if digits:
        assert status == digits[0]


def test_truncated_create_reply_still_holds_the_id() -> None:
    app = new_app()
    body = create(app, "[create_truncated_with_id]").body
    assert f'{{"id": "{next(iter(app.videos))}", '.encode() in body
    assert create(app, "[create_truncated]").body == b'{"id": "task_' + body_id(app)


def body_id(app: SimulatorApp) -> bytes:
    """Return the three characters that a cut id keeps."""
    return list(app.videos)[-1].removeprefix("task_")[:3].encode()


def test_create_replies_in_other_shapes() -> None:
    app = new_app()
    assert create(app, "[create_uppercase]").json["status"] == "SUBMITTED"
    only_task_id = create(app, "[create_only_task_id]").json
    assert "id" not in only_task_id
    assert only_task_id["task_id"] in app.videos
    assert create(app, "[create_wrapped]").json["data"]["task_id"] in app.videos
    assert not {"id", "task_id"} & set(create(app, "[create_without_id]").json)
    assert create(app, "[create_empty]").body == b""
    assert create(app, "[create_429_retry_after=9]").headers["Retry-After"] == "9"


def test_json_that_is_called_text() -> None:
    app = new_app()
    app.fault("wrong_content_type")
    answer = create(app)
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.json["id"] in app.videos


def test_refusal_by_the_prompt_can_wear_out() -> None:
    app = new_app()
    statuses = [create(app, "A kite [create_429*2]").status for _ in range(6)]
    assert statuses == [429, 429, 200] * 2


def test_next_concerns_so_many_creates_and_leaves_refused_ones_out() -> None:
    app = new_app()
    app.next("failed", "slow", n=2)
    assert create(app, seconds="99").status == 400
    for _ in range(3):
        bought(app)
    names = [[play.scenario.name for play in video.plays] for video in app.videos.values()]
    assert names == [["failed", "slow"], ["failed", "slow"], []]


def test_play_changes_a_video_that_exists() -> None:
    app = new_app()
    api_id = bought(app)
    app.play(api_id, "error")
    app.advance(600)
    assert retrieve(app, api_id).json["status"] == "error"


def test_header_of_a_retrieve_concerns_that_request() -> None:
    app = new_app()
    api_id = bought(app)
    assert retrieve(app, api_id, x_simulator_scenario="http_502").status == 502
    assert retrieve(app, api_id).status == 200


def test_brackets_that_name_no_scenario_are_text() -> None:
    assert _at(600, "[Image 1] over [the sea] [nothing=2]")["status"] == "completed"


@pytest.mark.parametrize("spec", ["nothing", "failed*x", "", "http_503 failed"])
def test_unknown_scenario_is_an_error_at_once(spec: str) -> None:
    app = new_app()
    with pytest.raises(ValueError, match="scenario"):
        app.next(spec)
    with pytest.raises(ValueError, match="scenario"):
        app.fault(spec)


def test_unknown_scenario_in_a_header_is_refused_by_name() -> None:
    answer = create(new_app(), headers={"x_simulator_scenario": "nothing"})
    assert answer.status == 400
    assert "unknown scenario 'nothing'" in answer.json["error"]["message"]


@pytest.mark.parametrize("spec", ["rate_limited_date=soon", "rate_limited_date=inf"])
def test_value_that_makes_no_sense_is_refused(spec: str) -> None:
    app = new_app()
    app.fault(spec)
    assert create(app).json["error"]["message"].startswith("simulator: ")


def test_render_can_take_no_time_at_all() -> None:
    assert _at(0, "A kite [slow=0]")["status"] == "completed"


def test_scenario_of_a_user_is_played() -> None:
    own = Scenario(name="teapot", about="418", retrieve=reply(json_reply({}, 418)))
    app = new_app(scenarios=[own])
    assert retrieve(app, bought(app, "A kite [teapot]")).status == 418
    assert "teapot" not in SCENARIOS


def test_every_scenario_says_what_it_does() -> None:
    assert all(scenario.about for scenario in SCENARIOS.values())
    assert all(name == scenario.name for name, scenario in SCENARIOS.items())


@pytest.mark.parametrize(
    ("name", "raised"), [("reset", ConnectionResetError), ("hang", TimeoutError)]
)
def test_broken_connection_without_a_socket_is_an_exception(
    name: str, raised: type[Exception]
) -> None:
    app = new_app()
    app.fault(name)
    with pytest.raises(raised):
        create(app)


def test_money_is_counted_before_the_reply_is_lost() -> None:
    app = new_app()
    app.next("create_dropped")
    with pytest.raises(ConnectionResetError):
        create(app)
    (api_id,) = app.videos
    app.advance(600)
    assert retrieve(app, api_id).json["status"] == "completed"
