"""The official `openai` client, pointed at the simulator.

Its video calls are deprecated (the Sora API shuts down), so the version is pinned.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from seedance_celery.simulator import SimulatorApp, SimulatorServer

openai = pytest.importorskip("openai")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def app() -> SimulatorApp:
    return SimulatorApp()


@pytest.fixture
def client(app: SimulatorApp) -> Iterator[Any]:
    with (
        SimulatorServer(app) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-test", max_retries=0) as client,
    ):
        yield client


def _create(client: Any, prompt: str = "A kite over the sea", **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return client.videos.create(
            prompt=prompt, model="doubao-seedance-2-0", seconds="5", size="16:9", **options
        )


def test_it_creates_and_retrieves_a_video(app: SimulatorApp, client: Any) -> None:
    created = _create(client)
    assert (created.status, created.progress, created.object) == ("queued", 0, "video")
    app.advance(3)
    assert client.videos.retrieve(created.id).status == "in_progress"
    app.advance(3)
    video = client.videos.retrieve(created.id)
    assert (video.status, video.progress, video.id) == ("completed", 100, created.id)
    assert video.video_url.startswith("http://127.0.0.1:")
    assert app.charges == 1


def test_it_sends_an_image(app: SimulatorApp, client: Any) -> None:
    image = ("kite.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png")
    _create(client, input_reference=image)
    (video,) = app.videos.values()
    assert [(image.filename, image.size) for image in video.order.images] == [("kite.png", 108)]


def test_it_understands_the_errors(app: SimulatorApp, client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="task_not_exist"):
        client.videos.retrieve("task_unheard_of")
    app.fault("rate_limited")
    with pytest.raises(openai.RateLimitError):
        _create(client)
    app.clear()
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").videos.retrieve("task_1")
