"""What `seedance_generate` and `seedance_track` share."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
    SystemCheckError,
)
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError, ProgrammingError

from ..exceptions import InvalidRequest
from ..models import Video
from .durations import duration
from .live import Silent, View, view_for, watch
from .outcomes import EXIT_STATUSES, Exit, check_ends, describe, told

__all__ = ["VideoCommand", "invalid", "refusals"]


class _Formatter(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Django's order of options, and the exit statuses as they are written."""


def invalid(message: object) -> CommandError:
    """Return the error for what cannot be done as asked."""
    return CommandError(str(message), returncode=Exit.INVALID)


class VideoCommand(BaseCommand):
    """A command about videos: options, errors and reports."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser, whose help ends with the exit statuses."""
        kwargs = {"formatter_class": _Formatter, "epilog": EXIT_STATUSES, **kwargs}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_video_arguments(self, parser: CommandParser) -> None:
        """Add the options of both commands."""
        add = parser.add_argument
        add("--account", help="the account's name in SEEDANCE['ACCOUNTS']")
        add("--timeout", type=duration, help="how long the video may take, such as 30m")
        add("--store", action="store_true", help="keep the file in the storage when completed")
        add("--wait", action="store_true", help="show the progress until the end")
        add("--wait-timeout", type=duration, metavar="TIME", help="wait no longer than, say, 10m")
        add("--json", action="store_true", help="write JSON and nothing else to standard output")
        add("--show-url", action="store_true", help="tell the signed URL: whoever has it can load")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command; a database without tables, or without an answer, is told in a line."""
        try:
            return super().execute(*args, **options)
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"The database cannot be used ({type(error).__name__}). Run manage.py migrate; "
                "manage.py seedance_doctor tells more.",
                returncode=Exit.INVALID,
            ) from error

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Run the system checks; wrong settings end with the status for what is invalid."""
        try:
            super().check(*args, **kwargs)
        except SystemCheckError as error:
            error.returncode = Exit.INVALID
            raise

    def report(self, videos: Sequence[Video], options: dict[str, Any]) -> None:
        """Wait where that was asked for, then tell how the videos are.

        Raises the `CommandError` whose exit status says how they ended.
        """
        waits = options["wait"] or options["wait_timeout"] is not None
        view: View = Silent()
        if waits and not options["json"]:
            view = view_for(self.stdout, no_color=options.get("no_color", False))
        if waits:
            videos = self._watched(videos, view, options["wait_timeout"])
        self._conclude(videos, view, options)
        if waits:
            check_ends(videos)

    def _watched(self, videos: Sequence[Video], view: View, timeout: float | None) -> list[Video]:
        try:
            return watch([video.pk for video in videos], view, timeout)
        except KeyboardInterrupt:
            names = " ".join(str(video.pk) for video in videos)
            message = f"Interrupted; nothing is lost. Go on with: seedance_track {names} --wait"
            raise CommandError(message, returncode=Exit.INTERRUPTED) from None

    def _conclude(self, videos: Sequence[Video], view: View, options: dict[str, Any]) -> None:
        show_url = options["show_url"]
        if options["json"]:
            found = {"videos": [describe(video, show_url=show_url) for video in videos]}
            self.stdout.write(json.dumps(found, cls=DjangoJSONEncoder, indent=2))
            return
        is_told = view.conclude(videos)
        for video in videos:
            if not is_told:
                self._tell(video)
            if show_url and video.video_url:
                self.stdout.write(video.video_url)

    def _tell(self, video: Video) -> None:
        style = self.style.SUCCESS if video.status == Video.Status.COMPLETED else self.style.WARNING
        self.stdout.write(f"{video.pk}  {video.api_id or '-'}  {style(told(video))}")


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the package refuses before any request into the command's own error."""
    try:
        yield
    except (InvalidRequest, ImproperlyConfigured) as error:
        raise invalid(error) from error
