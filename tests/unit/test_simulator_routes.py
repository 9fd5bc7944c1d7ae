"""The simulator's routes, as the contract describes them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from seedance_celery.simulator import RateLimit, Render

from .simulator_calls import (
    BOUNDARY,
    START,
    ask,
    bought,
    create,
    finished,
    form,
    new_app,
    retrieve,
)

PNG = b"\x89PNG\r\n\x1a\n\r\n--\x00\xff"


def test_create_answers_as_documented() -> None:
    app = new_app()
    answer = create(app, seconds="5", size="16:9")
    assert answer.status == 200
    assert re.fullmatch(r"task_[A-Za-z0-9]{32}", answer.json["id"])
    assert answer.json == {
        "id": answer.json["id"],
        "task_id": answer.json["id"],
        "object": "video",
        "model": "doubao-seedance-2-0",
        "status": "queued",
        "progress": 0,
        "created_at": int(START),
    }
    assert app.charges == 1


def test_render_goes_through_the_documented_states() -> None:
    app = new_app()
    api_id = bought(app)
    seen = []
    for _ in range(8):
        body = retrieve(app, api_id).json
        seen.append((body["status"], body["progress"]))
        app.advance(0.9)
    assert seen[0] == ("queued", 0)
    assert seen[-1] == ("completed", 100)
    assert [progress for _, progress in seen] == sorted(progress for _, progress in seen)
    assert {status for status, _ in seen[2:-1]} == {"in_progress"}


def test_completed_body_has_the_url_and_other_bodies_do_not() -> None:
    app = new_app()
    api_id = bought(app)
    assert set(retrieve(app, api_id).json) == {
        *("id", "object", "model", "status", "progress", "created_at")
    }
    app.advance(6)
    body = retrieve(app, api_id).json
    assert body["completed_at"] == int(START) + 6
    assert body["video_url"].startswith(f"http://simulator:80/files/{api_id}.mp4?expires=")


def test_speed_and_render_change_how_long_it_takes() -> None:
    app = new_app(speed=10, render=Render(queued=10, seconds=100, steps=(5,)))
    api_id = bought(app)
    app.advance(9.9)
    assert retrieve(app, api_id).json["progress"] == 5
    app.advance(0.1)
    assert retrieve(app, api_id).json["status"] == "completed"


@pytest.mark.parametrize("key", [None, "", "wrong", "SK-one"])
def test_key_that_is_missing_or_invalid_is_refused(key: str | None) -> None:
    app = new_app()
    assert create(app, key=key).status == 401
    assert retrieve(app, bought(app), key=key).status == 401
    assert app.charges == 1


def test_accepted_keys_can_be_chosen() -> None:
    app = new_app(keys={"only"})
    assert create(app, key="only").status == 200
    assert create(app, key="sk-one").status == 401


def test_video_of_another_key_does_not_exist() -> None:
    app = new_app()
    answer = retrieve(app, bought(app), key="sk-two")
    assert answer.status == 400
    assert answer.json["message"] == "task_not_exist"
    assert retrieve(app, "task_unheard_of").json == answer.json


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": " "}, "prompt"),
        ({"model": ""}, "model"),
        ({"seconds": "3"}, "duration"),
        ({"seconds": "16"}, "duration"),
        ({"seconds": '"5"'}, "duration"),
        ({"seconds": "5.0"}, "duration"),
        ({"size": "large"}, "size"),
    ],
)
def test_bad_field_is_refused_and_nothing_is_bought(fields: dict[str, Any], words: str) -> None:
    app = new_app()
    answer = create(app, **{"prompt": "A kite", **fields})
    assert answer.status == 400
    assert words in answer.json["error"]["message"]
    assert answer.json["error"]["code"] == "InvalidParameter"
    assert app.charges == 0


def test_images_are_kept_by_their_hash_and_size() -> None:
    app = new_app()
    bought(app, images=(PNG, PNG + b"\r\n"))
    (video,) = app.videos.values()
    assert [image.size for image in video.order.images] == [len(PNG), len(PNG) + 2]


def test_images_are_refused_where_the_model_takes_none() -> None:
    answer = create(new_app(), images=(PNG,), model="doubao-seedance-1-5-pro")
    words = "the specified task_type r2v does not support model seedance-1-5-pro"
    assert answer.status == 400
    assert words in answer.json["error"]["message"]


def test_file_that_is_no_image_is_refused() -> None:
    assert create(new_app(), images=(b"GIF89a",)).status == 400


def test_unknown_model_has_no_channel_but_a_new_seedance_passes() -> None:
    app = new_app(models={"vidu-9": {"seconds": (1, 60)}})
    refused = create(app, model="gpt-5")
    assert (refused.status, refused.json["error"]["code"]) == (503, "model_not_found")
    assert create(app, model="seedance-9", seconds="44").status == 200
    assert create(app, model="vidu-9", seconds="44").status == 200


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"prompt": "A kite", "model": "doubao-seedance-2-0"}'),
        ("multipart/form-data", form(prompt="A kite")),
        (f"multipart/form-data; boundary={BOUNDARY}", b""),
        (f"multipart/form-data; boundary={BOUNDARY}", form(prompt="A kite")[:-20]),
        (f"multipart/form-data; boundary={BOUNDARY}", b"--frontier\r\n\r\nx\r\n--frontier--"),
    ],
)
def test_body_that_is_no_whole_form_is_refused(content_type: str, body: bytes) -> None:
    app = new_app()
    assert ask(app, "POST", "/v1/videos", body=body, content_type=content_type).status == 400
    assert app.charges == 0


def test_errors_carry_the_request_id_in_the_header_and_in_the_message() -> None:
    answer = create(new_app(), key="wrong")
    request_id = answer.headers["x-cometapi-request-id"]
    assert f"(request id: {request_id})" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/videos"), ("DELETE", "/v1/videos/task_1"), ("GET", "/v1/v1/videos/task_1")],
)
def test_routes_that_the_api_does_not_have_are_404(method: str, path: str) -> None:
    assert ask(new_app(), method, path).status == 404


def test_other_paths_are_pages_for_people() -> None:
    assert ask(new_app(), "GET", "/pricing").headers["Content-Type"].startswith("text/html")


def test_content_route_names_the_status_or_the_moderation() -> None:
    app = new_app()
    failed, rejected = bought(app, "A kite [failed]"), bought(app, "A kite [moderation]")
    queued = ask(app, "GET", f"/v1/videos/{failed}/content")
    assert queued.json["error"]["message"].endswith("current status: QUEUED")
    app.advance(600)
    assert "FAILED" in ask(app, "GET", f"/v1/videos/{failed}/content").json["error"]["message"]
    assert ask(app, "GET", f"/v1/videos/{rejected}/content").json == {
        "error": {
            "message": "Task is not completed yet, current status: VIOLATION",
            "type": "invalid_request_error",
        }
    }


def test_content_route_serves_no_seedance_video() -> None:
    app = new_app()
    api_id = finished(app, "A kite")["id"]
    assert ask(app, "GET", f"/v1/videos/{api_id}/content").status == 404


def test_rate_limit_counts_each_key_by_itself() -> None:
    app = new_app(rate_limit=RateLimit(2, 60, retry_after=True))
    assert [create(app).status for _ in range(3)] == [200, 200, 429]
    assert create(app, key="sk-two").status == 200
    app.advance(45.5)
    assert create(app).headers["Retry-After"] == "15"
    app.advance(15)
    assert create(app).status == 200
    assert app.charges == 4


def test_each_retrieve_and_its_time_is_counted() -> None:
    app = new_app()
    api_id = bought(app)
    clock = app._clock
    for pause in (0, 12, 10):
        clock.time += pause  # type: ignore[attr-defined]
        retrieve(app, api_id)
    retrieve(app, api_id, key="sk-two")
    assert app.videos[api_id].asked_at == [START, START + 12, START + 22]
    assert app.videos[api_id].shortest_gap == 10
    assert app.counts["retrieve"] == 4
    assert app.counts["retrieve 400"] == 1


def test_time_that_is_advanced_does_not_make_a_poller_look_slow() -> None:
    app = new_app()
    api_id = bought(app)
    retrieve(app, api_id)
    app.advance(60)
    retrieve(app, api_id)
    assert app.videos[api_id].shortest_gap == 0


def test_headers_of_each_request_are_kept() -> None:
    app = new_app()
    create(app, headers={"user_agent": "kite/1"})
    assert app.requests[-1].headers["user-agent"] == "kite/1"
    assert app.requests[-1].key == "sk-one"
    assert "sk-one" not in repr(app.requests)


def test_same_seed_and_clock_give_the_same_answers() -> None:
    assert finished(new_app(), "A kite") == finished(new_app(), "A kite")


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_speed_must_be_above_0(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        new_app(speed=speed)
