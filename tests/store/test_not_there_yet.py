"""A link that brings no file at first, and one that never does, from the row's side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance

from ..unit.scripted_server import Peer, Received, Script, ScriptedServer, reply
from .file_server import cut, film, head, ranged, whole

FILM = film(60_000)
ABSENT = [
    pytest.param(reply(b"<Code>NoSuchKey</Code>", 404), id="404"),
    pytest.param(reply(b"<Code>AccessDenied</Code>", 403), id="403"),
    pytest.param(reply(b"", 400), id="400"),
    pytest.param(reply(b"", 401), id="401"),
    pytest.param(reply(b"", 410), id="410"),
    pytest.param(reply(b"<Message>Request has expired</Message>", 403), id="called expired"),
    pytest.param(reply(b"", 405), id="405"),
    pytest.param(reply(b"", 409), id="409"),
    pytest.param(reply(b"", 425), id="425"),
    pytest.param(reply(b"", 429, {"Retry-After": "20"}), id="429"),
    pytest.param(reply(b"", 503, {"Retry-After": "20"}), id="503"),
    pytest.param(reply(b"<p>Processing", 202, {"Content-Type": "text/html"}), id="page with 202"),
    pytest.param(reply(b"<p>Processing", 200, {"Content-Type": "text/html"}), id="page with 200"),
    pytest.param(reply({"status": "processing"}), id="JSON with 200"),
    pytest.param(reply(b""), id="nothing with 200"),
    pytest.param(reply(b"", 204), id="nothing with 204"),
]

FOR_GOOD = ("404", "called expired", "405", "page with 200")


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@contextmanager
def host(kit: Seedance, script: Script, query: str = "sig=SECRET") -> Iterator[ScriptedServer]:
    """Serve files by a script; the next video's link leads there."""
    with ScriptedServer(script) as server:
        kit.next_video(f"video_url={server.url}/a.mp4?{query}")
        yield server


def until(kit: Seedance, seconds: float, first: bytes, then: Script) -> Script:
    """Answer `first` until so many seconds after the video's end, then play `then`."""

    def step(peer: Peer, received: Received) -> None:
        video = Video.objects.get()
        if (kit.clock.time - video.finished_at).total_seconds() < seconds:  # type: ignore[operator]
            peer.send(first)
        else:
            then(peer, received)

    return step


def after(kit: Seedance, video: Video) -> float:
    """Return the simulated seconds since a video's end."""
    return (kit.clock.time - video.current().finished_at).total_seconds()  # type: ignore[operator]


def retrieves(kit: Seedance) -> int:
    return kit.simulator.counts["retrieve"]


def stored(kit: Seedance) -> Video:
    video = generate_video("A kite", store=True)
    kit.run_until_done()
    return video.current()


def finish(kit: Seedance) -> Video:
    """Buy a video, and let it end."""
    video = generate_video("A kite", store=True)
    while not video.current().is_finished:
        kit.advance(1)
    return video.current()


@pytest.mark.parametrize("first", ABSENT)
def test_file_that_comes_after_150_seconds_is_kept(kit: Seedance, first: bytes) -> None:
    with host(kit, until(kit, 150, first, whole(FILM))) as server:
        video = stored(kit)
    assert (video.store_error, bool(video.file)) == ("", True)
    assert video.file_size == len(FILM)
    assert video.store_tries is None
    assert 4 <= len(server.requests) <= 16
    assert kit.signals("video_store_failed") == []


@pytest.mark.parametrize("first", [a for a in ABSENT if a.id in FOR_GOOD])
def test_file_that_never_comes_is_given_up_after_some_minutes(
    kit: Seedance, first: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with host(kit, until(kit, 1e9, first, whole(FILM))) as server:
        video = finish(kit)
        kit.advance(280)
        assert video.current().store_error == ""
        asked = retrieves(kit)
        kit.advance(120)
        assert video.current().store_error
        assert retrieves(kit) == asked + 1
        assert len(server.requests) <= 12
        kit.advance(3600)
        assert len(server.requests) <= 12
    assert kit.signals("video_store_failed") == ["video_store_failed"]
    assert "SECRET" not in caplog.text + video.current().store_error


def test_link_that_has_expired_by_its_own_word_is_read_again_at_once(kit: Seedance) -> None:
    script = until(kit, 1e9, reply(b"", 403), whole(FILM))
    with host(kit, script, f"Expires={int(kit.clock.unix())}") as server:
        video = finish(kit)
        kit.advance(30)
    assert "the API has no new link" in video.current().store_error
    assert len(server.requests) <= 2


def test_expired_link_that_the_api_renews_is_renewed_at_once(kit: Seedance) -> None:
    kit.next_video("file_expired_then_renewed")
    video = finish(kit)
    kit.advance(30)
    assert video.current().file


def test_link_that_the_host_calls_expired_is_renewed_at_once(kit: Seedance) -> None:
    def step(peer: Peer, received: Received) -> None:
        is_new = "new" in received.path
        whole(FILM)(peer, received) if is_new else peer.send(reply(b"Request has expired", 403))

    with host(kit, step) as server:
        video = finish(kit)
        kit.simulator.play(str(video.api_id), f"video_url={server.url}/new.mp4")
        kit.advance(30)
    assert video.current().file


def test_old_link_without_an_expiry_is_read_again_at_once(kit: Seedance) -> None:
    with host(kit, until(kit, 1e9, reply(b"", 404), whole(FILM))) as server:
        video = generate_video("A kite")
        kit.run_until_done()
        kit.advance(3600)
        video.store()
        kit.advance(5)
        assert "404" in video.current().store_error
        assert len(server.requests) == 1


def test_old_link_that_is_good_by_its_own_word_is_tried_for_some_minutes(kit: Seedance) -> None:
    refused = iter([reply(b"", 403)] * 3)

    def step(peer: Peer, received: Received) -> None:
        answer = next(refused, None)
        peer.send(answer) if answer else whole(FILM)(peer, received)

    with host(kit, step, f"Expires={int(kit.clock.unix()) + 86400}"):
        video = generate_video("A kite")
        kit.run_until_done()
        kit.advance(3600)
        video.store()
        kit.run_until_done()
    assert video.current().file


def test_new_link_has_its_own_first_minutes(kit: Seedance) -> None:
    opens_at: list[float] = []

    def step(peer: Peer, received: Received) -> None:
        if "new" not in received.path:
            peer.send(reply(b"", 404))
            return
        opens_at[:] = opens_at or [kit.clock.unix() + 100]
        is_open = kit.clock.unix() >= opens_at[0]
        whole(FILM)(peer, received) if is_open else peer.send(reply(b"", 404))

    with host(kit, step) as server:
        video = finish(kit)
        kit.simulator.play(str(video.api_id), f"video_url={server.url}/new.mp4")
        kit.run_until_done()
    assert video.current().file
    assert "new" in video.current().video_url


def test_api_that_signs_anew_each_time_is_not_asked_for_ever(kit: Seedance) -> None:
    with host(kit, until(kit, 1e9, reply(b"", 404), whole(FILM))) as server:
        video = finish(kit)
        kit.simulator.play(str(video.api_id), f"video_url={server.url}/b.mp4?{2}")
        asked = retrieves(kit)
        kit.advance(1200)
        assert "the link before" in video.current().store_error
        assert retrieves(kit) <= asked + 2


def test_two_tasks_that_wait_for_one_file_look_for_it_in_turn(kit: Seedance) -> None:
    with host(kit, until(kit, 150, reply(b"", 404), whole(FILM))) as server:
        video = finish(kit)
        for _ in range(4):
            video.store()
        kit.run_until_done()
        assert video.current().file
        assert len(server.requests) <= 16


@pytest.mark.parametrize("words", ["Processing", "Sign in"])
def test_waiting_file_is_told_as_being_kept(kit: Seedance, words: str) -> None:
    with host(kit, until(kit, 150, reply(words.encode()), whole(FILM))):
        video = finish(kit)
        kit.advance(60)
        assert video.current().store_error == ""
        assert video.current().has_store
        kit.run_until_done()


# What is cut at its host.


def truncated(at: int) -> Script:
    """Serve a part of the film as if it were all of it."""
    return whole(FILM[:at])


def cut_in_chunks(at: int) -> Script:
    def step(peer: Peer, received: Received) -> None:
        peer.send(head(transfer_encoding="chunked") + b"%x\r\n%s" % (len(FILM), FILM[:at]))
        peer.close()

    return step


def unframed(at: int) -> Script:
    def step(peer: Peer, received: Received) -> None:
        peer.send(head() + FILM[:at])
        peer.close()

    return step


CUTS: list[Callable[[], Script]] = [
    lambda: truncated(20_000),
    lambda: cut(FILM, 20_000),
    lambda: ranged(FILM, 20_000),
    lambda: cut_in_chunks(20_000),
    lambda: unframed(20_000),
    lambda: whole(FILM, content_length=len(FILM) - 50),
]


@pytest.mark.parametrize("serve", CUTS)
def test_file_that_is_cut_at_the_same_byte_each_time_is_decided_within_minutes(
    kit: Seedance, serve: Callable[[], Script]
) -> None:
    sent: list[int] = []

    def step(peer: Peer, received: Received) -> None:
        sent.append(20_000 if "range" not in received.headers else 0)
        serve()(peer, received)

    with host(kit, step):
        video = finish(kit)
        kit.advance(170)
        assert video.current().store_error == ""
        kit.advance(730)
        assert "ends at byte" in video.current().store_error
        assert sum(sent) <= 20 * len(FILM)
        assert kit.signals("video_store_failed") == ["video_store_failed"]
        before = len(sent)
        video.store()
        kit.run_until_done()
        assert len(sent) - before <= 2, "one more try is enough then"


def test_file_that_is_still_written_at_its_host_is_kept_once_it_is_whole(kit: Seedance) -> None:
    with host(kit, until(kit, 150, b"", whole(FILM))) as server:
        late = server._script

        def step(peer: Peer, received: Received) -> None:
            video = Video.objects.get()
            age = (kit.clock.time - video.finished_at).total_seconds()  # type: ignore[operator]
            (truncated(20_000) if age < 150 else late)(peer, received)

        server._script = step
        video = stored(kit)
    assert (video.store_error, bool(video.file)) == ("", True)


def test_bad_connection_that_breaks_elsewhere_each_time_goes_on(kit: Seedance) -> None:
    ends = iter(range(10_000, 58_000, 4_000))

    def step(peer: Peer, received: Received) -> None:
        at = next(ends, None)
        (whole(FILM) if at is None else cut(FILM, at, etag=""))(peer, received)

    with host(kit, step):
        video = stored(kit)
    assert video.file


def test_bytes_of_a_bad_connection_are_bounded(
    kit: Seedance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seedance_celery.storing.tries.MOST_SIZES", 12)
    count = iter(range(10**6))
    sent: list[int] = []

    def step(peer: Peer, received: Received) -> None:
        at = 30_000 + next(count) % 20_000
        sent.append(at)
        cut(FILM, at, etag="")(peer, received)

    with host(kit, step):
        video = finish(kit)
        kit.run_until_done(within=2 * 86400)
    assert "again and again" in video.current().store_error
    assert sum(sent) <= 20 * len(FILM)


def test_cut_file_is_not_downloaded_while_the_api_is_away(kit: Seedance) -> None:
    sent: list[int] = []

    def step(peer: Peer, received: Received) -> None:
        sent.append(1)
        truncated(20_000)(peer, received)

    with host(kit, step):
        video = finish(kit)
        kit.simulator.fault("http_503")
        kit.advance(1200)
        assert video.current().store_error == ""
        before = len(sent)
        kit.advance(7200)
        assert len(sent) <= before + 2
