"""The simulator says what the contract has learned: links, reasons, envelopes, the account."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from seedance_celery.client import Client
from seedance_celery.simulator import SCENARIOS, SimulatorApp, SimulatorServer
from seedance_celery.simulator.account import ACCESS_TOKEN
from seedance_celery.simulator.files import kite
from seedance_celery.simulator.scenarios.ark import ARK_CODES
from seedance_celery.simulator.scenarios.gateway import GATEWAY

from .simulator_calls import START, Answer, ask, bought, create, finished, new_app, retrieve

# Where a link stands, and when it comes.


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("link_in_metadata", ("metadata", "url")),
        ("link_in_url", ("url",)),
        ("link_in_content", ("content", "video_url")),
        ("link_in_result_url", ("data", "result_url")),
        ("link_in_data", ("data", "data", "content", "video_url")),
    ],
)
def test_link_in_another_place_opens_the_file(name: str, place: tuple[str, ...]) -> None:
    app = new_app()
    link: Any = finished(app, f"A kite [{name}]")
    assert "video_url" not in link
    for field in place:
        link = link[field]
    assert ask(app, "GET", link, key=None).body == kite().start


def test_link_comes_later_than_the_end() -> None:
    app = new_app()
    api_id = bought(app, "A kite [link_later=60]")
    app.advance(6 + 59)
    assert "video_url" not in retrieve(app, api_id).json
    app.advance(1)
    assert "video_url" in retrieve(app, api_id).json


def test_link_that_is_long_or_has_blanks_still_opens_the_file() -> None:
    app = new_app()
    long = finished(app, "[link_long]")["video_url"]
    assert len(long) == 6000
    blank = finished(app, "[link_with_blanks]")["video_url"]
    assert blank.endswith("a b c")
    for link in (long, blank.replace(" ", "%20")):
        assert ask(app, "GET", link, key=None).status == 200


@pytest.mark.parametrize("word", ["done", "finished", "complete", "succeed"])
def test_success_word_has_a_link_beside_it(word: str) -> None:
    body = finished(new_app(), f"[success_{word}]")
    assert (body["status"], "video_url" in body) == (word, True)


# A file that is not there yet, and other manners of its host.


@pytest.mark.parametrize("status", [403, 404])
def test_file_is_there_some_time_after_the_end(status: int) -> None:
    app = new_app()
    api_id = bought(app, f"A kite [file_{status}_at_first]")
    app.advance(6)
    url = retrieve(app, api_id).json["video_url"]
    app.advance(149)
    assert ask(app, "GET", url, key=None).status == status
    app.advance(1)
    assert ask(app, "GET", url, key=None).status == 200


def test_host_that_refuses_ranges_serves_the_whole() -> None:
    app = new_app()
    url = finished(app, "[file_refuses_range]")["video_url"]
    assert ask(app, "GET", url, key=None, range="bytes=5-9").status == 403
    assert ask(app, "GET", url, key=None).body == kite().start


def test_file_is_labelled_wrongly_or_has_bytes_after_its_end() -> None:
    app = new_app()
    labelled = _file(app, "file_text_plain")
    assert (labelled.headers["Content-Type"], labelled.body) == ("text/plain", kite().start)
    assert _file(app, "file_aws_chunked").headers["Content-Encoding"] == "aws-chunked"
    assert _file(app, "file_trailing_bytes").body == kite().start + b"\r\n0\r\n\r\n"


def _file(app: SimulatorApp, name: str) -> Answer:
    return ask(app, "GET", finished(app, f"[{name}]")["video_url"], key=None)


# Why a video failed.


def test_failure_has_the_code_and_the_words_of_the_upstream() -> None:
    body = finished(new_app(), "[failed_with_code=OutputAudioSensitiveContentDetected]")
    assert body["status"] == "failed"
    assert body["error"]["code"] == "OutputAudioSensitiveContentDetected"
    assert "output audio" in body["error"]["message"]
    assert "Request id: 0217" in body["error"]["message"]


def test_failure_can_have_a_code_and_no_words() -> None:
    error = finished(new_app(), "[failed_with_code_only]")["error"]
    assert error == {"code": "OutputVideoSensitiveContentDetected", "message": ""}


@pytest.mark.parametrize("word", ["expired", "cancelled", "canceled", "violation", "rejected"])
def test_last_word_of_the_upstream_stays(word: str) -> None:
    app = new_app()
    api_id = bought(app, f"[final_{word}]")
    app.advance(6)
    for _ in range(4):
        body = retrieve(app, api_id).json
        assert (body["status"], "video_url" in body) == (word, False)


def test_last_word_of_the_upstream_can_be_corrected() -> None:
    app = new_app()
    api_id = bought(app, "[final_word_corrected]")
    app.advance(6)
    said = [retrieve(app, api_id).json["status"] for _ in range(3)]
    assert said == ["expired", "expired", "completed"]


# The gateway and its upstream.


@pytest.mark.parametrize("code", ARK_CODES)
def test_refusal_of_the_upstream_is_a_text_in_the_gateways_message(code: str) -> None:
    app = new_app()
    answer = create(app, f"A kite [create_upstream_error={code}]")
    assert answer.status == ARK_CODES[code][0]
    assert answer.json["code"] == "fail_to_fetch_task"
    assert json.loads(answer.json["message"])["error"]["code"] == code
    assert app.charges == 0


@pytest.mark.parametrize("error", GATEWAY, ids=lambda error: error.name)
def test_error_of_the_gateway_answers_creates_and_polls_alike(error: Any) -> None:
    app = new_app()
    created = _without_request_id(create(app, f"A kite [create_{error.name}]"))
    api_id = bought(app, f"A kite [{error.name}]")
    assert _without_request_id(retrieve(app, api_id)) == created
    assert app.charges == 1 + error.bought


def _without_request_id(answer: Answer) -> tuple[int, bytes]:
    return answer.status, answer.body.partition(b" (request id")[0]


def test_firewall_answers_json_without_words_about_a_key() -> None:
    answer = create(new_app(), "[create_firewall]")
    assert (answer.status, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert not {"message", "code", "error"} & set(answer.json)


def test_401_can_concern_creates_alone() -> None:
    app = new_app()
    api_id = bought(app)
    app.fault("create_401")
    assert create(app).status == 401
    assert retrieve(app, api_id).status == 200


def test_id_can_be_long() -> None:
    app = new_app()
    api_id = bought(app, "[long_id=512]")
    assert len(api_id) == 512
    assert retrieve(app, api_id).json["id"] == api_id


# What needs a socket.


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as running:
        yield running


def test_interim_reply_comes_before_the_real_one(server: SimulatorServer) -> None:
    server.app.fault("early_hints")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"Authorization": "Bearer simulator"}
    connection.request("GET", "/v1/videos/task_1", headers=headers)
    assert connection.sock is not None
    stream = connection.sock.makefile("rb")
    lines = [stream.readline() for _ in range(4)]
    connection.close()
    assert [line[:12] for line in (lines[0], lines[3])] == [b"HTTP/1.1 103", b"HTTP/1.1 400"]
    assert lines[2] == b"\r\n"


def test_client_reads_the_reply_after_an_interim_one(server: SimulatorServer) -> None:
    server.app.next("create_early_hints")
    with Client("simulator", server.url) as client:
        api_id = client.create("A kite").id
        server.app.fault("early_hints")
        assert client.retrieve(api_id).status == "queued"
        assert client.retrieve(api_id).id == api_id
    assert set(server.app.videos) == {api_id}


# `/content` of other models.


def test_content_route_serves_the_file_of_another_model_to_its_key() -> None:
    app = new_app(models={"vidu-9": {"seconds": (1, 60)}})
    api_id = bought(app, model="vidu-9")
    path = f"/v1/videos/{api_id}/content"
    assert ask(app, "GET", path).status == 400
    app.advance(600)
    assert ask(app, "GET", path).body == kite().start
    assert ask(app, "GET", path, range="bytes=2-5").body == kite().start[2:6]
    assert ask(app, "GET", path, key=None).status == 401
    assert ask(app, "GET", path, key="sk-two").json["code"] == "task_not_exist"
    assert app.bearer_on_files == 0


def test_content_can_be_the_only_way_to_a_file() -> None:
    app = new_app()
    body = finished(app, "[content_only] [file_cut=1000]")
    assert "video_url" not in body
    path = f"/v1/videos/{body['id']}/content"
    assert ask(app, "GET", path).body == kite().start[:1000]
    assert ask(app, "GET", path).body == kite().start
    assert ask(app, "GET", f"/v1/videos/{bought(app)}/content").status == 400


# The account's side.


def test_account_lists_its_tasks_to_its_access_token() -> None:
    app = new_app()
    first = bought(app, "A secret kite")
    app.advance(600)
    second = bought(app, "A secret kite [failed_with_code]", key="sk-two")
    app.advance(600)
    data = ask(app, "GET", "/api/task/self", key=ACCESS_TOKEN).json["data"]
    assert [item["task_id"] for item in data["items"]] == [second, first]
    assert [item["status"] for item in data["items"]] == ["FAILURE", "SUCCESS"]
    assert (data["page"], data["total"]) == (1, 2)
    assert "secret" not in str(data)
    only = ask(app, "GET", f"/api/task/self?task_id={first}", key=ACCESS_TOKEN).json["data"]
    assert [item["task_id"] for item in only["items"]] == [first]
    late = ask(app, "GET", f"/api/task/self?start_timestamp={int(START) + 600}", key=ACCESS_TOKEN)
    assert [item["task_id"] for item in late.json["data"]["items"]] == [second]
    paged = ask(app, "GET", "/api/task/self?p=2&page_size=1", key=ACCESS_TOKEN).json["data"]
    assert [item["task_id"] for item in paged["items"]] == [first]


def test_account_logs_what_a_create_cost_under_its_request_id() -> None:
    app = new_app()
    request_id = create(app).headers["x-cometapi-request-id"]
    [entry] = ask(app, "GET", "/api/log/self", key=ACCESS_TOKEN).json["data"]["items"]
    assert entry["request_id"] == request_id
    assert entry["quota"] / 500_000 == pytest.approx(0.25)


def test_balance_is_told_to_the_key_and_falls_with_each_create() -> None:
    app = new_app()
    bought(app)
    left = ask(app, "GET", "/v1/dashboard/billing/subscription").json["hard_limit_usd"]
    spent = ask(app, "GET", "/v1/dashboard/billing/usage").json["total_usage"]
    assert (left, spent) == (100, 25)
    assert ask(app, "GET", "/user/quota?key=sk-one", key=None).json["total_quota"] == 99.75


@pytest.mark.parametrize("path", ["/api/task/self", "/api/log/self"])
@pytest.mark.parametrize("key", [None, "sk-one"])
def test_lists_of_the_account_refuse_a_key(path: str, key: str | None) -> None:
    answer = ask(new_app(), "GET", path, key=key)
    assert (answer.status, answer.json["success"]) == (401, False)


@pytest.mark.parametrize(
    "path", ["/v1/dashboard/billing/subscription", "/v1/dashboard/billing/usage", "/user/quota"]
)
def test_balance_needs_a_key(path: str) -> None:
    assert ask(new_app(), "GET", path, key=None).status == 401


def test_models_and_prices_need_no_key() -> None:
    data = ask(new_app(), "GET", "/api/models", key=None).json["data"]
    assert "doubao-seedance-2-0" in [model["id"] for model in data]
    assert all(model["pricing"]["per_second"] > 0 for model in data)


# The provider's dashboard.


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def _cells(app: SimulatorApp) -> tuple[list[list[str]], Answer]:
    answer = ask(app, "GET", "/", key=None)
    parser = _Cells()
    parser.feed(answer.body.decode())
    assert not {"script", "img", "link"} & parser.tags
    return [parser.cells[at : at + 4] for at in range(0, len(parser.cells), 4)], answer


def test_dashboard_shows_a_create_whose_reply_was_lost() -> None:
    app = new_app()
    app.next("create_dropped")
    with pytest.raises(ConnectionResetError):
        create(app, "A lost kite")
    app.advance(60)
    later = bought(app, "A kite [failed]")
    app.advance(60)
    rows, answer = _cells(app)
    assert [row[0] for row in rows] == [later, *list(app.videos)[:1]]
    assert [row[2] for row in rows] == ["failed", "completed"]
    assert rows[1][1] == "A lost kite"
    assert rows[1][3] == "2026-04-28 14:10:18"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_dashboard_escapes_what_it_shows_and_loads_nothing() -> None:
    app = new_app()
    bought(app, "<script>alert('kite')</script> & Drachen über dem Meer")
    bought(app, "k" * 100_000)
    rows, answer = _cells(app)
    assert rows[1][1].startswith("<script>alert('kite')</script> & ")
    assert len(rows[0][1]) < 600
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_dashboard_changes_nothing_and_is_not_counted() -> None:
    app = new_app()
    api_id = bought(app, "[unknown_status] [completed_without_url*1]")
    before = (app.counts, app.videos[api_id].asked_at)
    app.advance(60)
    for _ in range(3):
        _cells(app)
    assert (app.counts, app.videos[api_id].asked_at) == before
    assert retrieve(app, api_id).json["status"] == "paused"


def test_dashboard_lists_the_newest_of_many() -> None:
    app = new_app()
    for _ in range(501):
        bought(app)
    rows, answer = _cells(app)
    assert len(rows) == 500
    assert b"501 in all. The newest 500 are shown." in answer.body


def test_every_scenario_of_a_gateway_error_is_in_the_table_of_scenarios() -> None:
    names = {name for error in GATEWAY for name in (error.name, f"create_{error.name}")}
    assert names <= set(SCENARIOS)
