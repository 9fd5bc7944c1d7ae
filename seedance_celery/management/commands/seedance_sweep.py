"""Run the sweep from the command line, cron or a supervisor."""

from __future__ import annotations

import dataclasses
import json
import queue
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, close_old_connections

from ...conf import get_settings
from ...db import clock
from ...lifecycle.pruning import count, prune_all
from ...lifecycle.sweep import Swept, sweep
from ...models import KeptTask, Video
from ..durations import duration, spelled


class Command(BaseCommand):
    """Send again what went missing, once or at an interval."""

    help = (
        "Send poll loops and kept tasks that went missing again, and remove old videos with what "
        "hangs on them. Workers do this by themselves, unless SEEDANCE['SWEEP_INTERVAL'] is 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        add = parser.add_argument
        add(
            "--prune-after",
            type=duration,
            metavar="TIME",
            help="remove what is older, such as 90d",
        )
        add("--dry-run", action="store_true", help="count, and change nothing")
        add("--every", type=duration, metavar="TIME", help="go on until SIGTERM, every 30s for one")
        add("--json", action="store_true", help="write a line of JSON for each sweep")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep once, or until a signal comes."""
        run = _count if options["dry_run"] else _sweep
        if not options["every"]:
            self._report(run(options["prune_after"]), options)
            return
        signals = _take_signals()
        self._try(run, options)
        while not _has_come(signals, options["every"]):
            self._try(run, options)

    def _try(self, run: Any, options: dict[str, Any]) -> None:
        try:
            self._report(run(options["prune_after"]), options)
        except (DatabaseError, InterfaceError) as error:
            self.stderr.write(f"The database is away ({type(error).__name__}); trying again.")
        finally:
            close_old_connections()

    def _report(self, swept: Swept, options: dict[str, Any]) -> None:
        if options["json"]:
            counts = {k: v for k, v in dataclasses.asdict(swept).items() if k != "elsewhere"}
            self.stdout.write(json.dumps(counts))
        else:
            self.stdout.write(_told(swept, options))
        self.stdout.flush()


def _told(swept: Swept, options: dict[str, Any]) -> str:
    if swept.elsewhere and not swept.pruned:
        return "Another sweep is at work: nothing was sent."
    sends, removes = ("Would send", "remove") if options["dry_run"] else ("Sent", "removed")
    told = f"{sends} {swept.loops} poll loops and {swept.tasks} kept tasks again"
    age = options["prune_after"] or get_settings().prune_after
    if not age:
        return f"{told}."
    along = ", ".join(f"{n} {label}" for label, n in swept.along.items())
    ends = f", and with them {along}." if along else "."
    return f"{told}, {removes} {swept.pruned} videos older than {spelled(age)}{ends}"


def _sweep(prune_after: float | None) -> Swept:
    swept = sweep()
    if prune_after is not None:
        swept.add(prune_all(prune_after))
    return swept


def _count(prune_after: float | None) -> Swept:
    age = get_settings().prune_after if prune_after is None else prune_after
    tasks = KeptTask.objects.primary().unfinished().exclude(signature="")
    swept = Swept(
        loops=Video.objects.primary().filter(overdue_at__lte=clock.now()).count(),
        tasks=tasks.filter(due_at__lte=clock.now()).count(),
    )
    if age is not None:
        swept.add(count(age))
    return swept


def _take_signals() -> queue.SimpleQueue[int]:
    # Not an Event: a handler may run while wait() holds its lock, and set() would wait for ever.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signals.put(number))
    return signals


def _has_come(signals: queue.SimpleQueue[int], seconds: float) -> bool:
    try:
        signals.get(timeout=seconds)
    except queue.Empty:
        return False
    return True
