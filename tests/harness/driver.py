"""A process of the site that does what tests ask for: its web process.

Run as a module it is that process: calls come as JSON lines on its input, answers go to its
output. `Driver` is the other end.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .processes import Process


class CallFailed(AssertionError):
    """The function raised. `kind` is the exception's class name."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}\n{text}")
        self.kind = kind


class Driver(Process):
    """Call functions, by their module and name, in a process with the site's settings."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self._lock = threading.Lock()
        super().__init__([sys.executable, "-m", "tests.harness.driver"], env, log, piped=True)

    def call(
        self, function: Callable[..., Any], *args: Any, timeout: float = 60.0, **kwargs: Any
    ) -> Any:
        """Run a module-level function there; arguments and result travel as JSON.

        Raises `CallFailed` where it raises, `TimeoutError` where it takes too long (the process
        is killed then: it could never be asked again).
        """
        request = [function.__module__, function.__qualname__, args, kwargs]
        with self._lock:
            self.stdin.write(json.dumps(request, default=str).encode() + b"\n")
            self.stdin.flush()
            answer = self._answer(timeout)
        if "error" in answer:
            raise CallFailed(answer["error"], answer["traceback"])
        return answer["result"]

    def _answer(self, timeout: float) -> dict[str, Any]:
        if not select.select([self.stdout], [], [], timeout)[0]:
            self.kill()
            raise TimeoutError(f"no answer in {timeout:g} s:\n{self.log(40)}")
        line = self.stdout.readline()
        if not line:
            raise AssertionError(f"the driver died:\n{self.log(40)}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer calls until the input ends."""
    from django.core.serializers.json import DjangoJSONEncoder
    from django.core.signals import request_finished, request_started

    for line in requests:
        # What Django does around a request: forget broken and old connections.
        request_started.send(serve)
        answer = _run(*json.loads(line))
        request_finished.send(serve)
        answers.write(json.dumps(answer, cls=DjangoJSONEncoder).encode() + b"\n")
        answers.flush()


def _run(module: str, name: str, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        function = getattr(importlib.import_module(module), name)
        return {"result": function(*args, **kwargs)}
    except Exception as error:  # noqa: BLE001 - whatever it was, the test is to know
        return {"error": type(error).__name__, "traceback": traceback.format_exc()}


def main() -> None:
    """Serve standard input and output; what the code prints goes to the log."""
    import django

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    django.setup()
    importlib.import_module("tests.project.celery")
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
