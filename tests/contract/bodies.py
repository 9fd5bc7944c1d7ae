"""Read `bodies.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["BODIES", "Body"]


@dataclass(frozen=True)
class Body:
    """One reply, and what comes of it."""

    name: str
    route: str
    http: int
    type: str
    expect: dict[str, Any]
    body: Any = None
    text: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """What is sent."""
        return json.dumps(self.body).encode() if self.text is None else self.text.encode()

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, the type among them."""
        return {"Content-Type": self.type, **self.headers}


_FILE = Path(__file__).with_name("bodies.json")
BODIES = [Body(**row) for row in json.loads(_FILE.read_text(encoding="utf-8"))]
