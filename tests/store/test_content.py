"""Files that the API itself delivers, with the key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import override_settings

from seedance_celery.accounts import health
from seedance_celery.client import Client
from seedance_celery.db import clock
from seedance_celery.exceptions import (
    AddressRefused,
    InvalidRequest,
    KeyMissing,
    KeyRefused,
    RateLimited,
    RequestRefused,
    ServerError,
    StoreFailed,
    UrlExpired,
)
from seedance_celery.models import AccountState, Video
from seedance_celery.net.content import ContentDownload
from seedance_celery.tasks import poll_video, store_video
from seedance_celery.testing.fake_clock import FakeClock

from ..unit.scripted_server import Peer, Received, Script, ScriptedServer, reply, video
from .conftest import Network
from .file_server import ETAG, cut, file_server, film, ranged, redirect, refuse, whole
from .test_addresses import ALSO_PUBLIC

FILM = film(60_000)
KEY = "sk-very-secret"


def taken(server: ScriptedServer, api_id: str = "task_1") -> bytes:
    with Client(KEY, server.url) as client:
        return b"".join(ContentDownload(client, api_id, sleep=lambda _: None).chunks())


def keys(server: ScriptedServer) -> list[str | None]:
    return [got.headers.get("authorization") for got in server.requests]


def test_file_is_fetched_from_the_base_url_with_the_key() -> None:
    with file_server(whole(FILM)) as server:
        assert taken(server, "task/1") == FILM
    assert [got.path for got in server.requests] == ["/v1/videos/task%2F1/content"]
    assert keys(server) == [f"Bearer {KEY}"]


def test_file_that_breaks_off_goes_on_with_the_key() -> None:
    with file_server(cut(FILM, 20_000), ranged(FILM)) as server:
        assert taken(server) == FILM
    assert keys(server) == [f"Bearer {KEY}"] * 2
    assert server.requests[1].headers["if-range"] == ETAG


@pytest.mark.parametrize("is_same_host", [True, False])
def test_no_redirect_is_followed_with_the_key(network: Network, is_same_host: bool) -> None:
    network.names["cdn.example.com"] = [[ALSO_PUBLIC]]
    other = file_server(whole(FILM))
    target = "http://cdn.example.com/a.mp4?sig=%2f"
    with other, file_server(redirect(target), whole(FILM)) as server:
        network.routes[ALSO_PUBLIC] = other.port if not is_same_host else server.port
        assert taken(server) == FILM
        assert keys(server)[0] == f"Bearer {KEY}"
        assert KEY not in str([(got.path, got.headers) for got in other.requests])
        assert keys(server)[1:] == ([None] if is_same_host else [])


@pytest.mark.parametrize("path", ["/elsewhere", "/v1/videos/task_1/content"])
def test_redirect_to_this_machine_is_refused(path: str) -> None:
    with file_server(redirect(path), whole(FILM)) as server, pytest.raises(AddressRefused):
        taken(server)
    assert len(server.requests) == 1


def test_what_the_host_of_a_redirect_refuses_is_no_answer_of_the_api(network: Network) -> None:
    network.names["cdn.example.com"] = [[ALSO_PUBLIC]]
    with file_server(redirect("http://cdn.example.com/a.mp4"), refuse(401)) as server:
        network.routes[ALSO_PUBLIC] = server.port
        with pytest.raises(UrlExpired):
            taken(server)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, KeyRefused), (429, RateLimited), (400, RequestRefused), (503, ServerError)],
)
def test_what_the_api_refuses_is_its_own_error(status: int, kind: type[Exception]) -> None:
    body = {"error": {"message": f"Invalid token {KEY}", "type": "comet_api_error"}}
    step: Script = lambda peer, got: peer.send(reply(body, status))  # noqa: E731
    with file_server(step) as server, pytest.raises(kind) as caught:
        taken(server)
    assert KEY not in f"{caught.value!r} {caught.value.args}"


@pytest.mark.parametrize("api_id", ["", "..", "a\nb"])
def test_what_is_no_id_is_not_asked_for(api_id: str) -> None:
    with file_server(whole(FILM)) as server, pytest.raises(InvalidRequest):
        taken(server, api_id)
    assert server.requests == []


def test_headers_with_the_key_do_not_show_it() -> None:
    assert KEY not in repr(Client(KEY).content_headers())
    with pytest.raises(KeyMissing):
        Client("").content_headers()


# Rows.


@pytest.fixture
def time(transactional_db: None) -> Iterator[FakeClock]:
    with clock.installed(FakeClock()) as fake:
        assert isinstance(fake, FakeClock)
        yield fake


class Gateway:
    """An API whose videos have no link, with a script for their files."""

    def __init__(self, *steps: Script) -> None:
        rest = iter(steps[:-1])
        self.files = 0
        self.said: dict[str, Any] = {}

        def play(peer: Peer, got: Received) -> None:
            if got.path.endswith("/content"):
                self.files += 1
                next(rest, steps[-1])(peer, got)
            else:
                done = {"status": "completed", "progress": 100, "model": "sora-2", **self.said}
                peer.send(reply(video(**done)))

        self.server = ScriptedServer(play)


@pytest.fixture
def use(settings: Any, tmp_path: Path) -> Iterator[Any]:
    """Start a gateway and lead the settings to it."""
    settings.MEDIA_ROOT = tmp_path
    started: list[ScriptedServer] = []

    def start(*steps: Script, **models: Any) -> Gateway:
        gateway = Gateway(*steps)
        started.append(gateway.server.__enter__())
        table = {"sora-2": {"seconds": (4, 12), "content": True, **models}}
        settings.SEEDANCE = {"API_KEY": KEY, "BASE_URL": gateway.server.url, "MODELS": table}
        health.forget_clients()
        return gateway

    yield start
    for server in started:
        server.__exit__()
    health.forget_clients()


def test_video_without_a_link_is_completed_and_kept(time: FakeClock, use: Any) -> None:
    gateway = use(whole(FILM))
    result = poll_video("task_1")
    assert (result["status"], result["video_url"]) == ("completed", "")
    kept = store_video(result)
    assert kept["file_size"] == len(FILM)
    assert [key for key in keys(gateway.server) if key is None] == []


def test_file_that_the_api_keeps_by_itself_with_auto_store(time: FakeClock, use: Any) -> None:
    gateway = use(whole(FILM))
    from django.conf import settings

    with override_settings(SEEDANCE={**settings.SEEDANCE, "AUTO_STORE": True}):
        poll_video("task_1")
        store_video("task_1")
    assert Video.objects.get().file
    assert gateway.files == 1


def test_file_that_the_api_does_not_have_yet_is_tried_again(time: FakeClock, use: Any) -> None:
    body = {"error": {"message": "Task is not completed yet", "type": "invalid_request_error"}}
    early: Script = lambda peer, got: peer.send(reply(body, 400))  # noqa: E731
    gateway = use(early, early, early, whole(FILM))
    store_video(poll_video("task_1"))
    assert Video.objects.get().file
    assert gateway.files == 4


def test_file_that_the_api_never_hands_out_fails_the_store(time: FakeClock, use: Any) -> None:
    gateway = use(refuse(404))
    result = poll_video("task_1")
    began = time.time
    with pytest.raises(StoreFailed):
        store_video(result)
    assert 290 <= (time.time - began).total_seconds() <= 400
    assert gateway.files <= 12
    assert Video.objects.get().status == "completed"


def test_link_that_comes_later_is_used_where_the_api_has_no_file(time: FakeClock, use: Any) -> None:
    with file_server(whole(FILM)) as host:
        gateway = use(refuse(404))
        result = poll_video("task_1")
        gateway.said = {"video_url": f"{host.url}/a.mp4"}
        store_video(result)
    assert Video.objects.get().file
    assert keys(host) == [None]


def test_401_of_the_file_alone_is_no_incident_of_the_key(time: FakeClock, use: Any) -> None:
    use(refuse(401), whole(FILM))
    store_video(poll_video("task_1"))
    assert Video.objects.get().file
    assert not AccountState.objects.filter(refused_at__isnull=False).exists()


def test_429_of_the_file_holds_the_key_back(time: FakeClock, use: Any) -> None:
    limited: Script = lambda peer, got: peer.send(  # noqa: E731
        reply({"error": {"message": "slow down"}}, 429, {"Retry-After": "120"})
    )
    gateway = use(limited, whole(FILM))
    result = poll_video("task_1")
    began = time.time
    store_video(result)
    assert (time.time - began).total_seconds() >= 120
    assert gateway.files == 2
    assert AccountState.objects.get().hold_until is not None


def test_model_that_is_not_said_to_deliver_so_has_no_file(time: FakeClock, use: Any) -> None:
    gateway = use(whole(FILM), content=False)
    row = Video.objects.create(
        api_id="task_1", model="sora-2", status="completed", finished_at=time.time
    )
    with pytest.raises(StoreFailed, match="no link"):
        store_video(row.pk)
    assert gateway.files == 0
    assert urlsplit(row.video_url).netloc == ""
