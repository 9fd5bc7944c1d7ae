"""Everything that goes through a Redis broker: a proxy that keeps what its clients send."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

_BULK = re.compile(rb"\$(\d+)\r\n")


@dataclasses.dataclass(frozen=True)
class Message:
    """One message or event: its task ("" for an event), its headers, and its body as text."""

    task: str
    headers: str
    body: str


class Tape:
    """Forward a port of the loopback address to Redis, and keep what is sent there."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._streams: list[bytearray] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            kept = bytearray()
            self._streams.append(kept)
            for source, sink, tape in ((near, far, kept), (far, near, None)):
                threading.Thread(target=_pump, args=(source, sink, tape), daemon=True).start()

    def messages(self) -> list[Message]:
        """Return the messages and events that were sent so far."""
        found = []
        for stream in list(self._streams):
            for text in _bulks(bytes(stream)):
                message = _message(text)
                if message is not None:
                    found.append(message)
        return found


def _pump(source: socket.socket, sink: socket.socket, tape: bytearray | None) -> None:
    try:
        while data := source.recv(65536):
            if tape is not None:
                tape += data
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            end.close()


def _bulks(stream: bytes) -> Iterator[bytes]:
    at = 0
    while (match := _BULK.search(stream, at)) is not None:
        size = int(match[1])
        yield stream[match.end() : match.end() + size]
        at = match.end() + size


def _message(text: bytes) -> Message | None:
    if not text.startswith((b"{", b"[")):
        return None
    try:
        value: Any = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, list):  # as it is kept until it is acknowledged
        value = value[0] if value and isinstance(value[0], dict) else {}
    if not isinstance(value, dict) or "body" not in value:
        return None
    body = base64.b64decode(value["body"]).decode("utf-8", "replace")
    headers = {k: v for k, v in value.items() if k != "body"}
    task = str((value.get("headers") or {}).get("task") or "")
    return Message(task, json.dumps(headers), body)
