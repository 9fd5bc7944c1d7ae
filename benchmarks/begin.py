"""Start following videos in the way that is measured: what a project's web process does.

`python -m benchmarks.begin TASK`, with the API's ids on the standard input, one a line.
"""

from __future__ import annotations

import importlib
import sys

import django

OURS = "seedance_celery.tasks.refresh_video"


def start(name: str, ids: list[str]) -> None:
    """Send a message for each video; for ours, insert its row as well."""
    django.setup()
    app = importlib.import_module("benchmarks.celery").app
    if name == OURS:
        from seedance_celery.shortcuts import track_video

        for video_id in ids:
            track_video(video_id, timeout=86400)
    else:
        for video_id in ids:
            app.send_task(name, [video_id])


if __name__ == "__main__":
    start(sys.argv[1], sys.stdin.read().split())
