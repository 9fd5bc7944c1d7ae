"""A process that stores a file, to be killed: `python -m tests.store.storing_process <storage>`.

`<storage>` is JSON: a class and its options. A line is written before each piece and at the end;
at byte `stop_at` the process waits for its death.
"""

from __future__ import annotations

import json
import resource
import sys

from django.conf import settings
from django.utils.module_loading import import_string

from seedance_celery.storing.saving import store

from .file_server import mp4
from .sources import Pieces


def main(
    cls: str, options: dict[str, str], name: str, size: int, times: int, stop_at: int | None
) -> None:
    settings.configure()
    storage = import_string(cls)(**options)
    storage.exists(name)  # a first request: what a client needs is there
    body = mp4(size)
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def tell(done: int) -> None:
        print(done, flush=True)
        if done == stop_at:
            sys.stdin.read()

    source = Pieces(body, tell, times)
    kept = store(source, storage, name)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle
    print("kept", kept.name, grown, flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
