"""Find out why nothing happens."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ..doctor import Finding, State, diagnose


class Command(BaseCommand):
    """Look at settings, keys, database, storage, broker, workers, rows and the API."""

    help = (
        "Look at everything a video's way needs, a line for each part. The exit status is 1 where "
        "a part failed, else 0. Nothing is bought."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        add = parser.add_argument
        add("--live", action="store_true", help="also make one free request on each account's key")
        add("--json", action="store_true", help="write JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Diagnose; raise the `CommandError` of exit status 1 where a part failed."""
        findings = []
        for finding in diagnose(live=options["live"]):
            findings.append(finding)
            if not options["json"]:
                self._tell(finding)
        failed = [finding for finding in findings if finding.state is State.FAILED]
        if options["json"]:
            told = [dataclasses.asdict(finding) for finding in findings]
            self.stdout.write(json.dumps({"ok": not failed, "findings": told}, indent=2))
        if failed:
            raise CommandError(f"{len(failed)} of {len(findings)} lines need something done.")

    def _tell(self, finding: Finding) -> None:
        styles: dict[State, Callable[[str], str]] = {
            State.OK: self.style.SUCCESS,
            State.WARNING: self.style.WARNING,
            State.FAILED: self.style.ERROR,
            State.SKIPPED: self.style.NOTICE,
        }
        state = styles[finding.state](f"{finding.state.value:<8}")
        self.stdout.write(f"{state}{finding.part:<11} {finding.message}")
        for line in finding.hint.splitlines():
            self.stdout.write(f"{'':<20}{line}")
        self.stdout.flush()
