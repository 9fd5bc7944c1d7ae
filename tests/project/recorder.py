"""What happened, as lines of a file.

Independent of the database and the broker under test, shared by every process, and kept when
one is killed: a line is one `write` to a file opened with O_APPEND.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any


def record(event: str, name: str, **details: Any) -> None:
    """Append one event; nothing where no file is named (in-process tests)."""
    path = os.environ.get("TEST_EVENTS")
    if not path:
        return
    entry = {"event": event, "name": name, "pid": os.getpid(), "time": time.time(), **details}
    line = json.dumps(entry, default=str) + "\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
