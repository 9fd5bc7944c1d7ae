"""The simulator behind a real socket."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest
import requests

from seedance_celery.simulator import SimulatorServer
from seedance_celery.simulator.files import kite

from .simulator_calls import BOUNDARY, form

ROOT = Path(__file__).parents[2]
KEY = {"Authorization": "Bearer simulator"}
LIMIT = 10


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as running:
        yield running


def _create(server: SimulatorServer, prompt: str = "A kite") -> str:
    form = {"prompt": (None, prompt), "model": (None, "doubao-seedance-2-0")}
    reply = requests.post(f"{server.url}/v1/videos", files=form, headers=KEY, timeout=LIMIT)
    return str(reply.json()["id"])


def _retrieve(server: SimulatorServer, api_id: str) -> requests.Response:
    url = f"{server.url}/v1/videos/{api_id}"
    return requests.get(url, headers=KEY, timeout=LIMIT, allow_redirects=False)


def _file(server: SimulatorServer, prompt: str) -> str:
    api_id = _create(server, prompt)
    server.app.advance(600)
    return str(_retrieve(server, api_id).json()["video_url"])


def test_video_is_created_retrieved_and_downloaded(server: SimulatorServer) -> None:
    file = requests.get(_file(server, "A kite"), timeout=LIMIT)
    assert file.content == kite().start
    assert server.app.charges == 1


def test_connection_is_kept_and_used_again(server: SimulatorServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)
    sockets = set()
    for method in ("GET", "POST", "GET"):
        connection.request(method, "/v1/videos/task_1", body=b"unread", headers=KEY)
        connection.getresponse().read()
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1


def test_hundreds_of_connections_at_once(server: SimulatorServer) -> None:
    api_id = _create(server)
    together = threading.Barrier(200)

    def ask(number: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.connect()
        together.wait(60)
        connection.request("GET", f"/v1/videos/{api_id}", headers=KEY)
        status = connection.getresponse().status
        connection.close()
        return status

    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(ask, range(200))) == {200}
    assert server.app.counts["retrieve"] == 200


def test_creates_at_once_are_each_charged_once(server: SimulatorServer) -> None:
    with ThreadPoolExecutor(16) as pool:
        ids = set(pool.map(lambda number: _create(server), range(64)))
    assert len(ids) == server.app.charges == 64


def test_reset_before_the_reply(server: SimulatorServer) -> None:
    server.app.next("create_dropped")
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        _create(server)
    assert server.app.charges == 1


def test_closed_before_the_reply(server: SimulatorServer) -> None:
    server.app.fault("closed")
    with pytest.raises(requests.ConnectionError, match="closed connection without response"):
        _create(server)
    assert server.app.charges == 0


def test_reset_in_the_middle_of_the_body(server: SimulatorServer) -> None:
    url = _file(server, "A kite [file_reset=20000]")
    with requests.get(url, stream=True, timeout=LIMIT) as reply:
        assert reply.headers["Content-Length"] == str(kite().size)
        with pytest.raises(requests.RequestException, match="reset by peer"):
            list(reply.iter_content(1000))


def test_truncated_body(server: SimulatorServer) -> None:
    url = _file(server, "A kite [file_cut=20000]")
    with pytest.raises(requests.RequestException, match="20000 bytes read"):
        requests.get(url, timeout=LIMIT)
    assert requests.get(url, timeout=LIMIT).content == kite().start


def test_hang_lasts_until_the_client_gives_up(server: SimulatorServer) -> None:
    api_id = _create(server)
    server.app.fault("hang=60", routes=["retrieve"])
    threads = threading.active_count()
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{server.url}/v1/videos/{api_id}", headers=KEY, timeout=0.3)
    _until(lambda: threading.active_count() <= threads)


def test_hang_ends_with_a_closed_connection(server: SimulatorServer) -> None:
    server.app.fault("hang=0.2")
    with pytest.raises(requests.ConnectionError, match="closed connection without response"):
        _retrieve(server, "task_1")


def test_late_create_is_answered_rightly(server: SimulatorServer) -> None:
    started = time.monotonic()
    assert _create(server, "A kite [create_late=0.3]") in server.app.videos
    assert time.monotonic() - started >= 0.3


def test_trickle_sends_a_byte_at_a_time(server: SimulatorServer) -> None:
    api_id = _create(server, "A kite [trickle=0.002]")
    started = time.monotonic()
    reply = _retrieve(server, api_id)
    assert reply.json()["id"] == api_id
    assert time.monotonic() - started >= 0.002 * len(reply.content)


def test_file_can_hang_or_trickle(server: SimulatorServer) -> None:
    with pytest.raises(requests.ConnectionError, match="closed connection without response"):
        requests.get(_file(server, "A kite [file_hang=0.1]"), timeout=LIMIT)
    with requests.get(_file(server, "[file_trickle=0.01]"), stream=True, timeout=LIMIT) as reply:
        started = time.monotonic()
        assert reply.raw.read(30) == kite().start[:30]
        assert time.monotonic() - started >= 0.2


def test_content_route_can_serve_a_file_without_end(server: SimulatorServer) -> None:
    url = f"{server.url}/v1/videos/{_create(server, 'A kite [content_served]')}/content"
    with requests.get(url, headers=KEY, stream=True, timeout=LIMIT) as reply:
        assert (reply.status_code, reply.headers["Content-Type"]) == (200, "video/mp4")
        assert len(reply.raw.read(1_000_000)) == 1_000_000


def test_chunked_and_unannounced_files_are_whole(server: SimulatorServer) -> None:
    chunked = requests.get(_file(server, "A kite [file_chunked]"), timeout=LIMIT)
    assert (chunked.headers["Transfer-Encoding"], chunked.content) == ("chunked", kite().start)
    closed = requests.get(_file(server, "A kite [file_no_length]"), timeout=LIMIT)
    assert (closed.headers["Connection"], closed.content) == ("close", kite().start)


def test_huge_and_endless_bodies_can_be_left(server: SimulatorServer) -> None:
    with requests.get(_file(server, "[file_endless]"), stream=True, timeout=LIMIT) as reply:
        assert len(reply.raw.read(10_000_000)) == 10_000_000
    server.app.fault("huge_body*1=9000000")
    assert len(_retrieve(server, "task_1").content) == 9000000 // 65536 * 65536


def test_chunked_upload_is_understood(server: SimulatorServer) -> None:
    session = requests.Session()
    files = {"prompt": (None, "A kite"), "model": (None, "doubao-seedance-2-0")}
    whole = requests.Request("POST", f"{server.url}/v1/videos", files=files, headers=KEY).prepare()
    assert isinstance(whole.body, bytes)
    body = whole.body
    headers = {**KEY, "Content-Type": whole.headers["Content-Type"]}
    parts = iter([body[:50], body[50:]])
    reply = session.post(str(whole.url), data=parts, headers=headers, timeout=LIMIT)
    assert reply.status_code == 200


def test_body_that_is_not_sent_whole_buys_nothing(server: SimulatorServer) -> None:
    body = form(prompt="A kite", model="doubao-seedance-2-0")
    head = (
        "POST /v1/videos HTTP/1.1\r\nAuthorization: Bearer simulator\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body) + 1}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(12) == b"HTTP/1.1 400"
    assert server.app.charges == 0


@pytest.mark.parametrize(
    "rest", [b"Content-Length: -1\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nzz"]
)
def test_broken_request_closes_the_connection(server: SimulatorServer, rest: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as connection:
        connection.sendall(b"POST /v1/videos HTTP/1.1\r\n" + rest)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b""


def test_stop_releases_the_port_and_start_takes_it_again() -> None:
    server = SimulatorServer().start()
    api_id, url = _create(server), server.url
    server.stop()
    with pytest.raises(requests.ConnectionError):
        _retrieve(server, api_id)
    with server:
        assert server.url == url
        assert _retrieve(server, api_id).json()["id"] == api_id
    server.stop()


def test_stop_does_not_wait_for_what_hangs() -> None:
    server = SimulatorServer().start()
    server.app.fault("hang=60")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_retrieve, server, "task_1")
        _until(lambda: server.app.counts["retrieve"] == 1)
        server.stop()
        assert isinstance(asked.exception(LIMIT), requests.ConnectionError)


def _until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_other_processes_drive_it_through_the_control_routes(server: SimulatorServer) -> None:
    orders = json.dumps({"scenario": "failed"}).encode()
    requests.post(f"{server.url}/_simulator/next", data=orders, timeout=LIMIT)
    requests.post(f"{server.url}/_simulator/fault", json={"scenario": "http_502*1"}, timeout=LIMIT)
    url = f"{server.url}/v1/videos"
    assert requests.post(url, headers=KEY, timeout=LIMIT).status_code == 502
    api_id = _create(server)
    requests.post(f"{server.url}/_simulator/advance", json={"seconds": 9}, timeout=LIMIT)
    assert _retrieve(server, api_id).json()["status"] == "failed"


def test_importing_it_imports_no_framework() -> None:
    code = (
        "import sys, seedance_celery.simulator, seedance_celery.simulator.cli;"
        "print(sorted({'django', 'celery', 'kombu', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


MODULE = ["-m", "seedance_celery.simulator"]
MANAGE = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
settings.configure(INSTALLED_APPS=["seedance_celery"])
execute_from_command_line(["manage.py", "seedance_simulator", *sys.argv[1:]])
"""
COMMAND = ["-c", MANAGE]


@pytest.mark.parametrize("start", [MODULE, COMMAND], ids=["module", "command"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_from_a_shell_until_it_is_interrupted(
    start: list[str], number: signal.Signals
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, *start, "--port", "0", "--scenario", "http_503"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3]
            assert f'"BASE_URL": "{url}"' in process.stdout.readline()
            assert json.load(urlopen(f"{url}/_simulator/", timeout=LIMIT))["charges"] == 0
            assert requests.get(f"{url}/v1/videos/x", timeout=LIMIT).status_code == 503
            process.send_signal(number)
            assert process.wait(LIMIT) == 0
        finally:
            process.kill()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=LIMIT)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scenario", "nothing"], "unknown scenario 'nothing'"),
        (["--speed", "0"], "must be more than 0"),
    ],
)
@pytest.mark.parametrize("start", [MODULE, COMMAND], ids=["module", "command"])
def test_wrong_option_is_an_error_that_names_it(
    start: list[str], arguments: list[str], words: str
) -> None:
    done = subprocess.run(
        [sys.executable, *start, "--port", "0", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_port_that_is_taken_is_an_error(server: SimulatorServer) -> None:
    with pytest.raises(OSError, match="in use"):
        SimulatorServer(port=server.port).start()


@pytest.mark.parametrize("start", [MODULE, COMMAND], ids=["module", "command"])
def test_a_command_says_which_port_is_taken_and_what_to_do(
    start: list[str], server: SimulatorServer
) -> None:
    done = subprocess.run(
        [sys.executable, *start, "--port", str(server.port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"Port {server.port} is in use. Choose another with --port." in done.stderr
    assert "Errno" not in done.stderr
