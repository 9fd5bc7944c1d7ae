"""The demo once Django is set up: start the worker, start the videos, watch, judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from gallery.models import Film
from rich.console import Console

from seedance_celery.simulator.server import SimulatorServer

from .acts import ACTS, LIVE_ACT, LIVE_MODEL, LIVE_SECONDS
from .processes import WORKER, Processes
from .screen import Scene, show_table, watch

__all__ = ["play_live", "play_simulated"]

TIMEOUT = 30.0
LIVE_TIMEOUT = 3700.0
"""A little more than a video may take."""

console = Console(highlight=False)


def play_simulated(simulator: SimulatorServer) -> int:
    """Play three videos against the simulator; return the exit status."""
    console.print(
        f"The API is simulated at {simulator.url}: nothing is bought. On a loopback address it is "
        "polled every second or so; the real one is asked every 10 to 20 s.\n"
    )
    with Processes({}) as processes:
        processes.start("worker", WORKER, _log())
        scenes = [Scene(act, act.start()) for act in ACTS]
        is_good = _watch(scenes, processes, TIMEOUT)
    polls = simulator.app.counts["retrieve"]
    console.print(
        f"The simulator sold {simulator.app.charges} videos and was polled {polls} times."
    )
    status = _verdict(scenes, is_good=is_good)
    console.print("Next: make run starts a gallery to click through.")
    return status


def play_live(*, ask: bool) -> int:
    """Buy one video from the real API, or go on with one that an earlier run bought."""
    waiting = (Film.Stage.RENDERING, Film.Stage.READY, Film.Stage.UNCERTAIN)
    film = Film.objects.filter(stage__in=waiting).first()
    if film:
        console.print("An earlier run bought a video: this one goes on with it.\n")
    elif not _may_buy(ask=ask):
        console.print("Nothing was bought.")
        return 2
    try:
        with Processes({}) as processes:
            processes.start("worker", WORKER, _log())
            scenes = [Scene(LIVE_ACT, film or LIVE_ACT.start())]
            is_good = _watch(scenes, processes, LIVE_TIMEOUT)
    except KeyboardInterrupt:
        console.print("\nThe video is rendered all the same: run this again to collect it.")
        raise
    return _verdict(scenes, is_good=is_good)


def _may_buy(*, ask: bool) -> bool:
    console.print(
        f"This buys one video from CometAPI ({LIVE_MODEL}, {LIVE_SECONDS} s). "
        "[bold]It costs money.[/]"
    )
    if not ask:
        return True
    try:
        return console.input("Type [bold]yes[/] to buy it: ").strip().lower() == "yes"
    except EOFError:
        return False


def _watch(scenes: Sequence[Scene], processes: Processes, timeout: float) -> bool:
    is_good = watch(scenes, console, timeout, lambda: processes.ended() is not None)
    if not is_good:
        console.print(f"[red]Not all of it happened.[/] The end of {_log()}:")
        console.print("\n".join(_log().read_text().splitlines()[-25:]), markup=False)
    return is_good


def _verdict(scenes: Sequence[Scene], *, is_good: bool) -> int:
    show_table(scenes, console)
    for scene in scenes:
        if scene.video and scene.video.file:
            console.print(f"Play it: {scene.video.file.path}", soft_wrap=True)
    return 0 if is_good else 1


def _log() -> Path:
    return Path(settings.DATA) / "worker.log"
