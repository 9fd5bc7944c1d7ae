"""What the demo shows: a bar for each video, then a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gallery.models import Film
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from seedance_celery.models import Video

from .acts import Act, Check

__all__ = ["Scene", "show_table", "watch"]

PEEK = 0.2
COLOURS = {Video.Status.COMPLETED: "green", Video.Status.FAILED: "red"}


@dataclass
class Scene:
    """An act that is being played."""

    act: Act
    film: Film
    checks: list[Check] = field(default_factory=list)
    video: Video | None = None

    def look(self) -> None:
        """Read the rows anew."""
        self.film = Film.objects.select_related("refund", "video").get(pk=self.film.pk)
        self.video = Video.objects.filter(metadata__film=str(self.film.pk)).first()
        if self.video is not None:
            self.checks = self.act.checks(self.film, self.video)

    @property
    def is_over(self) -> bool:
        """Whether the video has ended and everything after it has happened."""
        return self.is_ended and all(held for _, held in self.checks)

    @property
    def is_ended(self) -> bool:
        """Whether the video itself has ended."""
        return self.video is not None and self.video.is_finished

    @property
    def state(self) -> str:
        """The video's status, in its colour."""
        if self.video is None:
            return "waiting for the worker"
        colour = COLOURS.get(Video.Status(self.video.status), "cyan")
        return f"[{colour}]{self.video.get_status_display()}[/]"


def watch(
    scenes: Iterable[Scene], console: Console, timeout: float, is_hopeless: Callable[[], bool]
) -> bool:
    """Show a bar for each video until all is over; return whether that was within `timeout`.

    `is_hopeless` tells that there is nothing to wait for any more.
    """
    ends_at = time.monotonic() + timeout
    with _progress(console) as progress:
        bars = {progress.add_task(s.act.name, total=100, state=s.state): s for s in scenes}
        while time.monotonic() < ends_at and not is_hopeless():
            for bar, scene in bars.items():
                _update(progress, bar, scene)
            if all(scene.is_over for scene in bars.values()):
                return True
            time.sleep(PEEK)
    return False


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:10}"),
        BarColumn(bar_width=30, complete_style="cyan", finished_style="green"),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[state]}"),
        console=console,
    )


def _update(progress: Progress, bar: TaskID, scene: Scene) -> None:
    if scene.is_over:
        return
    scene.look()
    done = scene.video.progress if scene.video else 0
    progress.update(bar, completed=done, state=scene.state)
    if scene.is_over:
        progress.stop_task(bar)


def show_table(scenes: Iterable[Scene], console: Console) -> None:
    """Show what was checked, and what held."""
    table = Table(title="What became of them", title_justify="left")
    table.add_column("video")
    table.add_column("ended as")
    table.add_column("checked in the database and on disk", overflow="fold")
    for scene in scenes:
        checks = scene.checks or [("it was never begun", False)]
        lines = [f"[green]✓[/] {t}" if held else f"[red]✗ {t}[/]" for t, held in checks]
        reason = f"\n{scene.video.reason}" if scene.video and scene.video.reason else ""
        table.add_row(scene.act.name, scene.state + reason, "\n".join(lines), end_section=True)
    console.print(table)
