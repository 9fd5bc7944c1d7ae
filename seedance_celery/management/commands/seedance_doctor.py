"""Find out why nothing happens."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...conf import get_settings
from ..doctor import Finding, State, diagnose


class Command(BaseCommand):
    """Look at settings, keys, database, storage, broker, workers, rows and the API."""

    help = (
        "Look at everything a video's way needs, a line for each part. The exit status is 1 where "
        "a part failed, else 0. Nothing is bought without --buy."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        add = parser.add_argument
        add("--live", action="store_true", help="also make one free request on each account's key")
        add("--json", action="store_true", help="write JSON")
        add(
            "--buy",
            action="store_true",
            help="where nothing failed, also buy one short video (it asks first), and report what "
            "the API says",
        )
        add("--yes", action="store_true", help="with --buy: do not ask")
        add("--account", help="with --buy: the account's name in SEEDANCE['ACCOUNTS']")
        add("--keep", type=Path, metavar="DIR", help="with --buy: where the redacted answers go")

    def handle(self, *args: Any, **options: Any) -> None:
        """Diagnose; raise the `CommandError` of exit status 1 where a part failed."""
        if options["buy"] and options["json"]:
            raise CommandError("--buy asks and tells in words: leave --json out.", returncode=2)
        findings = []
        for finding in diagnose(live=options["live"] or options["buy"]):
            findings.append(finding)
            if not options["json"]:
                self._tell(finding)
        failed = [finding for finding in findings if finding.state is State.FAILED]
        if options["json"]:
            told = [dataclasses.asdict(finding) for finding in findings]
            self.stdout.write(json.dumps({"ok": not failed, "findings": told}, indent=2))
        if failed:
            raise CommandError(f"{len(failed)} of {len(findings)} lines need something done.")
        if options["buy"]:
            self._buy(options)

    def _buy(self, options: dict[str, Any]) -> None:
        """Run the acceptance on an account's key; raise the `CommandError` of its exit status."""
        from ...acceptance import KEEP, TOKEN_VARIABLE, Access, Exit, Plan, accept

        account = get_settings().account(options["account"])
        access = Access(account.key(), account.base_url, os.environ.get(TOKEN_VARIABLE, "").strip())
        ending = accept(
            access,
            Plan(),
            self._say,
            is_agreed=options["yes"],
            keep=options["keep"] or KEEP,
        )
        if ending is not Exit.DONE:
            raise CommandError("The acceptance did not end well: see above.", returncode=ending)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

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
