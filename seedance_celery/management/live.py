"""Watching videos from a terminal: one bar a video, or a line a change where there is none."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from django.core.management.base import OutputWrapper
from django.db import InterfaceError, OperationalError, connections

from ..db import clock
from ..models import Video
from ..polling.estimates import estimate, shown_progress
from .durations import spelled
from .outcomes import ended_as, has_ended, told

__all__ = ["PlainView", "Silent", "View", "view_for", "watch"]

PEEK = 0.5
"""Seconds between two looks at the rows."""
UNHEARD = timedelta(seconds=30)
"""How long a create may go unheard before a missing worker is the likely reason."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """A video as a terminal shows it."""

    video: Video
    percent: int
    is_estimate: bool
    """Whether `percent` is told from the time that has passed, not by the API."""
    left: float | None
    """Seconds that half of the videos like this one still take."""

    @classmethod
    def of(cls, video: Video) -> Seen:
        """Look at a row that comes from `with_now()`."""
        percent, is_estimate = shown_progress(video)
        left = estimate(video)
        return cls(video, percent, is_estimate, left.median_seconds_left if left else None)

    @property
    def time(self) -> str:
        """How long it has taken, and may still take."""
        left = f", about {spelled(self.left)} left" if self.left else ""
        return f"{spelled(age(self.video))}{left}"


class View(contextlib.AbstractContextManager["View"], Protocol):
    """What shows videos while they are watched."""

    def show(self, videos: Sequence[Seen]) -> None:
        """Show the videos as they are now."""

    def say(self, text: str) -> None:
        """Show one line of text."""

    def conclude(self, videos: Sequence[Video]) -> bool:
        """Show a table of how they stand now; return whether there is one."""


class Silent(contextlib.AbstractContextManager[View]):
    """Shows nothing: for JSON."""

    def __exit__(self, *error: object) -> None:
        """Leave nothing behind."""

    def show(self, videos: Sequence[Seen]) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def conclude(self, videos: Sequence[Video]) -> bool:
        """Show no table."""
        return False


class PlainView(Silent):
    """Writes a line where a video changes."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._shown: dict[UUID, str] = {}

    def show(self, videos: Sequence[Seen]) -> None:
        """Write a line for each video that is not as it was."""
        for seen in videos:
            # The API's own figure: an estimate moves all the time.
            line = f"{seen.video}  {seen.video.progress:3}%  {told(seen.video)}"
            if self._shown.get(seen.video.pk) != line:
                self._shown[seen.video.pk] = line
                self._write(f"{line}  ({seen.time})")

    def say(self, text: str) -> None:
        """Write the text."""
        self._write(text)


class RichView(Silent):
    """Draws one bar a video."""

    def __init__(self, *, no_color: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(no_color=no_color or None, highlight=False)
        fields = ["{task.description}", "{task.fields[percent]:>4}", "{task.fields[told]}"]
        name, percent, state = (TextColumn(field, markup=False) for field in fields)
        self._progress = Progress(name, BarColumn(), percent, state, console=self._console)
        self._bars: dict[UUID, Any] = {}

    @property
    def is_usable(self) -> bool:
        """Whether the terminal can redraw a line."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def __enter__(self) -> RichView:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the bars as they are now."""
        self._progress.stop()

    def show(self, videos: Sequence[Seen]) -> None:
        """Move the bars."""
        for seen in videos:
            pk = seen.video.pk
            if pk not in self._bars:
                self._bars[pk] = self._progress.add_task("", percent="", told="")
            self._progress.update(
                self._bars[pk],
                description=str(seen.video),
                # A bar without a total pulses: nobody knows how far it is.
                total=100 if seen.percent or has_ended(seen.video) else None,
                completed=seen.percent,
                percent=f"{'~' if seen.is_estimate else ''}{seen.percent}%",
                told=f"{told(seen.video)}, {seen.time}",
            )

    def say(self, text: str) -> None:
        """Write the text above the bars."""
        self._console.print(text, markup=False)

    def conclude(self, videos: Sequence[Video]) -> bool:
        """Draw the table."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title_justify="left")
        for column in ("video", "status", "took", "file"):
            table.add_column(column, overflow="fold")
        for video in videos:
            style = "green" if video.status == Video.Status.COMPLETED else "yellow"
            cells = (Text(str(video)), Text(ended_as(video), style), spelled(age(video)))
            table.add_row(*cells, Text(video.file.name or "-"))
        self._console.print(table)
        return True


def view_for(stdout: OutputWrapper, *, no_color: bool) -> View:
    """Return bars where standard output is a terminal and rich is installed, lines otherwise."""
    if stdout.isatty():
        with contextlib.suppress(ImportError):
            view = RichView(no_color=no_color)
            if view.is_usable:
                return view

    def write(text: str) -> None:
        stdout.write(text)
        stdout.flush()

    return PlainView(write)


def age(video: Video) -> float:
    """Return for how many seconds a video is known, up to its end."""
    until = video.finished_at or video.now
    return max(0.0, (until - video.created_at).total_seconds())


def watch(keys: Sequence[UUID], view: View, timeout: float | None = None) -> list[Video]:
    """Show videos until all have ended or `timeout` seconds have passed; return them."""
    ends_at = None if timeout is None else time.monotonic() + timeout
    is_warned = False
    with view:
        while True:
            videos = _look(keys, view)
            if all(map(has_ended, videos)) or (ends_at and time.monotonic() >= ends_at):
                return videos
            if not is_warned and any(map(is_unheard, videos)):
                is_warned = True
                view.say("Nothing happens yet: does a worker run? seedance_doctor tells.")
            clock.sleep(PEEK)


def _look(keys: Sequence[UUID], view: View) -> list[Video]:
    """Read and show videos; wait for a database that is away."""
    while True:
        seen = _peek(keys, view)
        if seen is not None:
            view.show(seen)
            return [one.video for one in seen]
        clock.sleep(10 * PEEK)


def _peek(keys: Sequence[UUID], view: View) -> list[Seen] | None:
    rows = Video.objects.primary().with_now()
    try:
        found = rows.in_bulk(keys)
        return [Seen.of(found[key]) for key in keys if key in found]
    except (OperationalError, InterfaceError) as error:
        connections[rows.db].close()
        view.say(f"The database is away ({type(error).__name__}).")
        return None


def is_unheard(video: Video) -> bool:
    """Tell whether no worker has touched a create that is old enough."""
    # One that waits for its turn has been looked at.
    marks = (video.post_started_at, video.in_line_since)
    is_untouched = video.status == Video.Status.CREATING and marks == (None, None)
    return is_untouched and video.now - video.created_at > UNHEARD
