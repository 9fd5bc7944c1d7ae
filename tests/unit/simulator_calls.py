"""Calls of the simulator's app without a socket, with a clock that only moves when told."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from wsgiref.validate import validator

from seedance_celery.simulator import SimulatorApp

START = 1_777_385_418.0
BOUNDARY = "frontier"


@dataclass
class Clock:
    """A clock that stands still."""

    time: float = START

    def __call__(self) -> float:
        return self.time


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


def new_app(**options: Any) -> SimulatorApp:
    """Return an app whose clock stands still; `advance` moves it."""
    return SimulatorApp(clock=Clock(), seed=1, **options)


def ask(
    app: SimulatorApp,
    method: str,
    url: str,
    *,
    body: bytes = b"",
    key: str | None = "sk-one",
    **headers: Any,
) -> Answer:
    """Send one request through a WSGI validator; `if_range="x"` sends `If-Range: x`."""
    parts = urlsplit(url)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": parts.path,
        "QUERY_STRING": parts.query,
        "SERVER_NAME": "simulator",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if key is not None:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    for name, value in headers.items():
        prefix = "" if name == "content_type" else "HTTP_"
        environ[prefix + name.upper()] = value
    return _collect(app, environ)


def _collect(app: SimulatorApp, environ: dict[str, Any]) -> Answer:
    said: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        said.update(status=int(status[:3]), headers=dict(headers))
        return lambda data: None

    chunks = validator(app)(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        chunks.close()  # type: ignore[attr-defined]
    return Answer(said["status"], said["headers"], body)


def form(images: tuple[bytes, ...] = (), **fields: str) -> bytes:
    """Return a multipart body."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for image in images:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="input_reference"; '
        parts.append(f'{head}filename="a.png"\r\n\r\n'.encode() + image + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def create(
    app: SimulatorApp,
    prompt: str = "A kite over the sea",
    *,
    images: tuple[bytes, ...] = (),
    key: str | None = "sk-one",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> Answer:
    """Create a video."""
    body = form(images, **{"prompt": prompt, "model": "doubao-seedance-2-0", **fields})
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    return ask(
        app,
        "POST",
        "/v1/videos",
        body=body,
        key=key,
        **{"content_type": content_type, **(headers or {})},
    )


def bought(app: SimulatorApp, prompt: str = "A kite over the sea", **options: Any) -> str:
    """Create a video and return its id."""
    return str(create(app, prompt, **options).json["id"])


def retrieve(app: SimulatorApp, api_id: str, **options: Any) -> Answer:
    """Retrieve a video."""
    return ask(app, "GET", f"/v1/videos/{api_id}", **options)


def finished(app: SimulatorApp, prompt: str) -> dict[str, Any]:
    """Create a video, let its render end, and return its task object."""
    api_id = bought(app, prompt)
    app.advance(600)
    return retrieve(app, api_id).json
