"""Serve the simulator of CometAPI's Seedance routes."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...simulator.cli import add_arguments, serve


class Command(BaseCommand):
    """Serve the simulator until Ctrl-C."""

    help = "Play CometAPI's Seedance routes on this machine; nothing is bought."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that `python -m seedance_celery.simulator` has, too."""
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve; an unknown scenario or a taken port is a `CommandError`."""
        write = self._say_one_line if options["verbosity"] == 0 else self._say
        chosen = {name: options[name] for name in ("host", "port", "speed", "scenario")}
        try:
            serve(write, **chosen)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error

    def _say_one_line(self, text: str) -> None:
        self._say(text.partition("\n")[0])

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
