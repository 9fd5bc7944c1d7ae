"""The simulator's control routes: what other processes and people drive it with."""

from __future__ import annotations

import pytest

from seedance_celery.simulator import SimulatorApp

from .simulator_calls import ask, bought, create, new_app


def test_control_routes_do_what_the_methods_do() -> None:
    app = new_app()
    _control(app, "next", b'{"scenario": "failed", "n": 1}')
    _control(app, "advance", b'{"seconds": 5}')
    api_id = bought(app)
    _control(app, "play", b'{"id": "%s", "scenario": "error"}' % api_id.encode())
    _control(app, "fault", b'{"scenario": "http_502", "seconds": 9, "routes": ["create"]}')
    assert create(app).status == 502
    _control(app, "clear", b"")
    assert ask(app, "GET", "/_simulator/").json["charges"] == 1
    (video,) = ask(app, "GET", "/_simulator/videos").json["videos"]
    assert video["scenarios"] == ["error"]
    assert "failed" in ask(app, "GET", "/_simulator/scenarios").json
    assert app.counts["create"] == 2


def _control(app: SimulatorApp, name: str, body: bytes) -> None:
    assert ask(app, "POST", f"/_simulator/{name}", body=body).json == {"ok": True}


def test_control_routes_show_no_key_and_no_prompt() -> None:
    app = new_app()
    bought(app, "A secret kite", key="sk-secret")
    pages = [ask(app, "GET", f"/_simulator/{page}").body for page in ("", "videos", "requests")]
    assert b"secret" not in b"".join(pages)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("next", b'{"scenario": "nothing"}', 400),
        ("next", b'{"scenario": 5}', 400),
        ("play", b'{"id": "task_1", "scenario": null}', 400),
        ("fault", b'{"scenario": ["http_502"]}', 400),
        ("fault", b'{"scenario": "http_502", "routes": "create"}', 400),
        ("fault", b'{"scenario": "http_502", "routes": ["creates"]}', 400),
        ("fault", b'{"scenario": "http_502", "routes": [["create"]]}', 400),
        ("next", b"[1]", 400),
        ("next", b"{", 400),
        ("play", b'{"id": "task_1", "scenario": "failed"}', 400),
        ("nothing", b"{}", 404),
    ],
)
def test_wrong_control_request_is_refused(path: str, body: bytes, status: int) -> None:
    assert ask(new_app(), "POST", f"/_simulator/{path}", body=body).status == status
