"""Each call goes through `requests.Session.send`, with nothing that a session would add to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from seedance_celery.client import Client
from seedance_celery.exceptions import ApiError, ConnectFailed, ReplyLost, WrongBaseUrl

from .scripted_server import Peer, Received, Script, ScriptedServer, reply, video

KEY = "sk-test0123456789"


def always(data: bytes) -> Script:
    return lambda peer, received: peer.send(data)


def client_of(server: ScriptedServer) -> Client:
    return Client(KEY, f"{server.url}/gateway", (2, 2))


@pytest.fixture
def wrap_send(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[Any, ...]]]:
    """Wrap `Session.send` as OpenTelemetry does: on the class, adding headers before it sends."""

    def wrap(**added: str) -> list[tuple[Any, ...]]:
        seen: list[tuple[Any, ...]] = []
        plain = requests.Session.send

        def send(self: Any, request: Any, **options: Any) -> requests.Response:
            request.headers.update(added)
            try:
                response = plain(self, request, **options)
            except Exception as error:
                seen.append((request.method, request.url, type(error)))
                raise
            seen.append((request.method, request.url, response.status_code))
            return response

        monkeypatch.setattr(requests.Session, "send", send)
        return seen

    return wrap


def test_each_call_is_one_send_of_a_session(wrap_send: Any) -> None:
    seen = wrap_send()
    with ScriptedServer(always(reply(video()))) as server, client_of(server) as client:
        client.retrieve("a/b")
        client.create("x")
        client.failure_reason("c")
        videos = f"{server.url}/gateway/v1/videos"
    assert seen == [
        ("GET", f"{videos}/a%2Fb", 200),
        ("POST", videos, 200),
        ("GET", f"{videos}/c/content", 200),
    ]
    assert [f"{server.url}{request.path}" for request in server.requests] == [
        url for _, url, _ in seen
    ]


def test_header_of_an_instrument_is_sent_with_its_request_only(
    wrap_send: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrap_send(traceparent="00-aa-bb-01")
    with ScriptedServer(always(reply(video()))) as server, client_of(server) as client:
        client.retrieve("a")
        client.create("x")
        monkeypatch.undo()
        client.retrieve("a")
    sent = [request.headers.get("traceparent") for request in server.requests]
    assert sent == ["00-aa-bb-01", "00-aa-bb-01", None]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}


def test_header_of_an_instrument_that_cannot_be_sent_buys_nothing(wrap_send: Any) -> None:
    wrap_send(baggage="a\r\nb")
    with (
        ScriptedServer(always(reply(video()))) as server,
        client_of(server) as client,
        pytest.raises(ConnectFailed),
    ):
        client.create("x")
    assert server.requests == []


def close(peer: Peer, received: Received) -> None:
    peer.close()


def test_errors_pass_through_the_session_as_they_are(wrap_send: Any) -> None:
    seen = wrap_send()
    with ScriptedServer(close) as server, client_of(server) as client, pytest.raises(ReplyLost):
        client.retrieve("a")
    with pytest.raises(ConnectFailed):
        client.create("x")
    assert [kind for _, _, kind in seen] == [ReplyLost, ConnectFailed]


def test_status_of_an_error_is_seen_by_an_instrument(wrap_send: Any) -> None:
    seen = wrap_send()
    with (
        ScriptedServer(always(reply(b"", 503))) as server,
        client_of(server) as client,
        pytest.raises(ApiError),
    ):
        client.retrieve("a")
    assert [status for _, _, status in seen] == [503]


def test_no_cookie_is_kept_or_sent() -> None:
    data = reply(video(), headers={"Set-Cookie": "session=1; Path=/"})
    with ScriptedServer(always(data)) as server, client_of(server) as client:
        client.retrieve("a")
        client.retrieve("a")
        assert list(client._session.cookies) == []
    assert all("cookie" not in request.headers for request in server.requests)


def test_nothing_of_the_environment_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "absent.pem"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with ScriptedServer(always(reply(video()))) as server, client_of(server) as client:
        client.retrieve("a")
        assert not client._session.trust_env
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("location", ["http://[", "//", "http://127.0.0.1:1/", "/v1/videos/b"])
def test_redirect_is_not_followed_nor_its_address_parsed(location: str) -> None:
    data = reply(b"", 302, {"Location": location})
    with ScriptedServer(always(data)) as server, client_of(server) as client:
        with pytest.raises(WrongBaseUrl):
            client.retrieve("a")
        with pytest.raises(WrongBaseUrl):
            client.create("x")
    assert len(server.requests) == 2


@pytest.mark.parametrize("url", ["{}/gateways/a", "{}/", "https://example.org/"])
def test_session_goes_to_its_base_url_only(url: str) -> None:
    with (
        ScriptedServer(always(reply(video()))) as server,
        client_of(server) as client,
        pytest.raises(requests.exceptions.InvalidSchema),
    ):
        client._session.get(url.format(server.url))
    assert server.connections == 0
