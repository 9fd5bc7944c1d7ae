"""What the client asks for, and what it makes of the answers, over real sockets."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
import traceback
import tracemalloc
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import seedance_celery
from seedance_celery.client import Client
from seedance_celery.exceptions import (
    ApiError,
    BrokenReply,
    ConnectFailed,
    InvalidRequest,
    KeyMissing,
    KeyRefused,
    RateLimited,
    ReplyLost,
    ServerError,
    TaskNotExist,
    WrongBaseUrl,
)

from .scripted_server import Peer, Received, Script, ScriptedServer, reply, video

KEY = "sk-test0123456789"


def always(data: bytes) -> Script:
    return lambda peer, received: peer.send(data)


def client_of(server: ScriptedServer, **options: Any) -> Client:
    return Client(KEY, server.url, (2, 2), **options)


def test_retrieve_asks_for_the_id_with_the_key_and_returns_the_video() -> None:
    with ScriptedServer(always(reply(video("task_abc")))) as server, client_of(server) as client:
        task = client.retrieve("task_abc")
    assert (task.id, task.status, task.progress) == ("task_abc", "in_progress", 30)
    [request] = server.requests
    assert (request.method, request.path) == ("GET", "/v1/videos/task_abc")
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "authorization": f"Bearer {KEY}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"seedance-celery/{seedance_celery.__version__}",
    }


@pytest.mark.parametrize(
    ("api_id", "segment"),
    [
        ("a/../b", "a%2F..%2Fb"),
        ("a?b=c#d", "a%3Fb%3Dc%23d"),
        ("a b%41", "a%20b%2541"),
        ("ü", "%C3%BC"),
        ("...", "..."),
    ],
)
def test_id_is_one_segment_of_the_path(api_id: str, segment: str) -> None:
    with ScriptedServer(always(reply(video()))) as server, client_of(server) as client:
        assert client.retrieve(api_id).id == api_id
    assert server.requests[0].path == f"/v1/videos/{segment}"


@pytest.mark.parametrize("api_id", ["", ".", "..", " ", "a\r\nX: y", "\ud800", None, 5])
def test_what_cannot_be_an_id_sends_nothing(api_id: Any) -> None:
    with ScriptedServer(always(reply(video()))) as server, client_of(server) as client:
        with pytest.raises(InvalidRequest) as caught:
            client.retrieve(api_id)
        assert caught.value.field == "api_id"
    assert server.connections == 0


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_base_url_may_end_in_v1(suffix: str) -> None:
    with (
        ScriptedServer(always(reply(video()))) as server,
        Client(KEY, f"{server.url}/gateway{suffix}") as client,
    ):
        client.retrieve("a")
    assert server.requests[0].path == "/gateway/v1/videos/a"


@pytest.mark.parametrize(
    "base_url",
    [
        *["", "api.cometapi.com", "ftp://a", "http://", "http://a:b", "http://u:p@a"],
        *["http://a?b=c", "https://:p@a", "https://a b", "https://a\u200b"],
        *["https://exämple.com", "https://a:0"],
    ],
)
def test_base_url_that_cannot_be_one_is_refused(base_url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Client(KEY, base_url)
    assert caught.value.field == "base_url"


@pytest.mark.parametrize("host", ["api.cometapi.com", "192.168.1.2", "localhost.example"])
def test_key_does_not_travel_in_the_clear(host: str) -> None:
    with pytest.raises(InvalidRequest, match="in the clear"):
        Client(KEY, f"http://{host}")


def test_key_of_the_environment_is_read_at_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(always(reply(video()))) as server, ExitStack() as stack:
        client = stack.enter_context(Client(base_url=server.url))
        for key in ("sk-first", "sk-second"):
            monkeypatch.setenv("COMETAPI_KEY", key)
            client.retrieve("a")
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer sk-first", "Bearer sk-second"]


def test_callable_key_is_asked_at_each_request() -> None:
    keys = iter(["sk-first", "sk-second"])
    with ScriptedServer(always(reply(video()))) as server, ExitStack() as stack:
        client = stack.enter_context(Client(lambda: next(keys), server.url))
        client.retrieve("a")
        client.retrieve("a")
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer sk-first", "Bearer sk-second"]


def broken_vault() -> str:
    raise RuntimeError("the vault is sealed")


@pytest.mark.parametrize("key", [None, "", " ", "sk-a\r\nX: y", "sk a", "sk-ü", broken_vault])
def test_unusable_key_sends_nothing_and_is_not_shown(
    key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMETAPI_KEY", raising=False)
    with ScriptedServer(always(reply(video()))) as server:
        with pytest.raises(KeyMissing) as caught:
            Client(key, server.url).retrieve("a")
        assert "sk-" not in repr(caught.value.args)
        assert "sk a" not in repr(caught.value.args)
    assert server.connections == 0


def test_key_is_in_no_repr() -> None:
    client = Client(KEY)
    assert KEY not in repr(client)
    request = client._get("https://api.example/a", client._key(), "a")
    assert KEY not in f"{request!r} {request.headers!r} {request.headers}"


def shown_by_trackers(error: BaseException) -> str:
    """Return the local variables of the frames below the test's, as error trackers keep them."""
    _, *frames = traceback.walk_tb(error.__traceback__)  # the first is the test's own
    assert frames
    return repr([frame.f_locals for frame, _ in frames])


@pytest.mark.parametrize("status", [200, 401, 500])
def test_key_is_in_no_local_variable_of_an_error(status: int) -> None:
    broken = always(reply({"error": {"message": "no"}}, status))
    with ScriptedServer(broken) as server, client_of(server) as client:
        for ask in (client.retrieve, client.create):
            with pytest.raises(ApiError) as caught:
                ask("a")
            assert KEY not in shown_by_trackers(caught.value)


def test_key_is_in_no_local_variable_where_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectFailed) as unreachable:
        Client(KEY, "http://127.0.0.1:9").retrieve("a")
    assert KEY not in shown_by_trackers(unreachable.value)
    monkeypatch.setenv("COMETAPI_KEY", f"{KEY} {KEY}")
    for client in (Client(), Client(f"{KEY} {KEY}"), Client(lambda: f"{KEY} {KEY}")):
        with pytest.raises(KeyMissing) as malformed:
            client.retrieve("a")
        assert KEY not in shown_by_trackers(malformed.value)


@pytest.mark.parametrize(
    ("status", "body", "cls"),
    [
        (400, {"code": "task_not_exist", "message": "task_not_exist"}, TaskNotExist),
        (401, {"error": {"message": "invalid token"}}, KeyRefused),
        (500, {"error": {"message": "oops"}}, ServerError),
        (524, b"<html>", ServerError),
        (200, {"error": {"message": "oops"}}, BrokenReply),
        (200, b"<html>Sign in</html>", BrokenReply),
        (404, b"<html>nginx</html>", WrongBaseUrl),
    ],
)
def test_error_of_the_api_is_one_typed_error(status: int, body: Any, cls: type[Exception]) -> None:
    data = reply(body, status)
    with ScriptedServer(always(data)) as server, client_of(server) as client:
        with pytest.raises(cls) as caught:
            client.retrieve("a")
        assert type(caught.value) is cls


def test_retry_after_reaches_the_caller() -> None:
    data = reply(b"", 429, {"Retry-After": "17"})
    with ScriptedServer(always(data)) as server, client_of(server) as client:
        with pytest.raises(RateLimited) as caught:
            client.retrieve("a")
        assert caught.value.retry_after == 17


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed_and_the_key_goes_nowhere(status: int) -> None:
    with ScriptedServer(always(reply(video()))) as elsewhere:
        data = reply(b"", status, {"Location": f"{elsewhere.url}/v1/videos/a"})
        with ScriptedServer(always(data)) as server, client_of(server) as client:
            with pytest.raises(WrongBaseUrl):
                client.retrieve("a")
            with pytest.raises(WrongBaseUrl):
                client.create("x")
    assert elsewhere.connections == 0


def test_environment_brings_neither_credentials_nor_a_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with ScriptedServer(always(reply(video()))) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        with ScriptedServer(always(reply(video()))) as server, client_of(server) as client:
            client.retrieve("a")
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert proxy.connections == 0


def test_key_is_not_sent_to_a_proxy_that_is_asked_for_by_name() -> None:
    def tunnel(peer: Peer, received: Received) -> None:
        is_tunnel = received.method == "CONNECT"
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n" if is_tunnel else reply(video()))

    with ScriptedServer(tunnel) as proxy:
        address = f"http://me:p%40ss@127.0.0.1:{proxy.port}"
        with Client(KEY, "http://localhost", (2, 2), proxy=address) as client:
            client.retrieve("a")
            client.retrieve("a")
    connect, first, _ = proxy.requests
    assert (connect.method, connect.path) == ("CONNECT", "localhost:80")
    assert "authorization" not in connect.headers
    assert connect.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="
    assert first.headers["host"] == "localhost"
    assert "proxy-authorization" not in first.headers


@pytest.mark.parametrize(
    "proxy",
    ["proxy.local", "proxy.local:3128", "https://proxy.local", "http://", "http://u:secret@:b"],
)
def test_proxy_that_cannot_be_one_is_refused_and_not_shown(proxy: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Client(KEY, proxy=proxy)
    assert caught.value.field == "proxy"
    assert "secret" not in str(caught.value)


def test_proxy_that_refuses_is_a_failed_connection() -> None:
    with ScriptedServer(always(reply(b"", 407))) as proxy:
        client = Client(KEY, "http://localhost", proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectFailed):
            client.create("x")


def test_compressed_reply_is_read_though_it_was_not_asked_for() -> None:
    content = gzip.compress(b'{"id":"task_9","status":"queued"}')
    data = reply(content, headers={"Content-Encoding": "gzip"})
    with ScriptedServer(always(data)) as server, client_of(server) as client:
        assert client.create("x").id == "task_9"


def test_compressed_bomb_is_cut_off_before_it_fills_the_memory() -> None:
    content = gzip.compress(b'{"status":"x","a":"' + bytes(50_000_000))
    data = reply(content, headers={"Content-Encoding": "gzip"})
    with ScriptedServer(always(data)) as server, client_of(server) as client:
        tracemalloc.start()
        try:
            with pytest.raises(BrokenReply):
                client.retrieve("a")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 20_000_000


VIOLATION = {"error": {"message": "Task is not completed yet, current status: VIOLATION"}}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (reply(VIOLATION, 400), "moderation"),
        (reply({"error": {"message": "current status: FAILURE"}}, 400), ""),
        (reply(b"<html>", 404), ""),
        (reply(VIOLATION, 200), ""),
        (reply(b"", 302, {"Location": "/VIOLATION"}), ""),
        (b"garbage", ""),
    ],
)
def test_reason_of_a_failure_is_asked_for_once_and_never_fails(data: bytes, reason: str) -> None:
    def script(peer: Peer, received: Received) -> None:
        peer.send(data)
        peer.close()

    with ScriptedServer(script) as server, client_of(server) as client:
        assert client.failure_reason("a/b") == reason
    assert [request.path for request in server.requests] == ["/v1/videos/a%2Fb/content"]


def test_content_of_a_good_reply_is_not_read() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nMP4"
    with ScriptedServer(always(data)) as server, client_of(server) as client:
        began = time.monotonic()
        assert client.failure_reason("a") == ""
        assert time.monotonic() - began < 1  # the rest never comes


def test_reason_without_a_server_or_a_key_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMETAPI_KEY", raising=False)
    with ScriptedServer(always(b"")) as server:
        url = server.url
    assert Client(KEY, url).failure_reason("a") == ""
    assert Client(None, url).failure_reason("a") == ""


def test_unknown_host_and_closed_port_are_failed_connections() -> None:
    with ScriptedServer(always(b"")) as server:
        url = server.url
    for address in (url, "https://no-such-host.invalid"):
        with pytest.raises(ConnectFailed):
            Client(KEY, address).retrieve("a")


def test_error_text_quotes_nothing_of_the_remote_side() -> None:
    with (
        ScriptedServer(always(b"SECRET GARBAGE\r\n\r\n")) as server,
        client_of(server) as client,
        pytest.raises(ReplyLost) as caught,
    ):
        client.retrieve("a")
    assert "GARBAGE" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_pure_layer_imports_no_http_client_and_the_client_no_framework() -> None:
    code = (
        "import sys, seedance_celery.api.replies, seedance_celery.api.catalog\n"
        "assert not {'requests', 'urllib3', 'http.client', 'ssl'} & set(sys.modules)\n"
        "import seedance_celery.client\n"
        "assert not {'django', 'celery', 'kombu'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
