"""Buy a video from the command line."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from ...models import Video
from ...shortcuts import generate_video
from ..videos import VideoCommand, invalid, refusals


class Command(VideoCommand):
    """Buy one video; a worker does it."""

    help = "Buy one video: a row is inserted, and a worker creates and follows the video."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the prompt and what `generate_video` takes."""
        add = parser.add_argument
        add("prompt", help="what to see; - reads it from standard input")
        add("--model", help="default: SEEDANCE['DEFAULT_MODEL']")
        add("--seconds", type=int, help="the length of the video")
        add("--size", help="a ratio such as 16:9, or pixels such as 1280x720")
        add("--image", action="append", default=[], type=Path, help="a file; may be repeated")
        add("--idempotency-key", metavar="KEY", help="the same key buys one video, however often")
        self.add_video_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Insert the row and report."""
        with refusals():
            video = _generated(options)
        self.report([video.current()], options)


def _generated(options: dict[str, Any]) -> Video:
    prompt = sys.stdin.read().strip() if options["prompt"] == "-" else options["prompt"]
    passed = ("model", "seconds", "size", "account", "idempotency_key", "timeout")
    with ExitStack() as stack:
        try:
            images = [stack.enter_context(path.open("rb")) for path in options["image"]]
        except OSError as error:
            raise invalid(f"An image cannot be read: {error}") from error
        chosen = {name: options[name] for name in passed}
        return generate_video(prompt, images=images, store=options["store"] or None, **chosen)
