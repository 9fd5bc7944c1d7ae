"""Asking the person, running the acceptance, keeping the files and telling the report."""

from __future__ import annotations

import argparse
import enum
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..api.base_url import DEFAULT_BASE_URL, KEY_VARIABLE
from ..api.catalog import validate_create
from ..exceptions import InvalidRequest, SeedanceError
from .differences import differences, simulated
from .plan import Access, Plan
from .report import facts
from .steps import Acceptance, Stopped

__all__ = ["KEEP", "TOKEN_VARIABLE", "Exit", "accept", "main", "parser"]

TOKEN_VARIABLE = "COMETAPI_ACCESS_TOKEN"  # noqa: S105  (its name)
KEEP = Path("seedance-acceptance")

Say = Callable[[str], object]


class Exit(enum.IntEnum):
    """How an acceptance ended, as an exit status."""

    DONE = 0
    DIFFERS = 1
    INVALID = 2
    INTERRUPTED = 130


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--yes", action="store_true", help="buy without asking")
    add("--follow", default="", metavar="ID", help="buy nothing: follow a video of this id")
    add(
        "--failed",
        default="",
        metavar="ID",
        help="a video of yours that failed: ask for its reason",
    )
    add("--model", default=Plan.model, help="the model to buy from")
    add("--seconds", type=int, default=Plan.seconds, help="the length of the video")
    add("--size", default=Plan.size, help="the size of the video")
    add("--keep", type=Path, default=KEEP, metavar="DIR", help="where the redacted answers go")
    add("--film", type=Path, metavar="FILE", help="keep the video in this file")


def _plan_of(options: dict[str, Any]) -> Plan:
    """Return what the options ask for; raise `InvalidRequest` for what the API would refuse."""
    plan = Plan(
        model=options["model"],
        seconds=options["seconds"],
        size=options["size"],
        failed_id=options["failed"],
        follow_id=options["follow"],
    )
    validate_create(plan.prompt, plan.model, plan.seconds, plan.size, [])
    return plan


def accept(
    access: Access,
    plan: Plan,
    say: Say,
    *,
    is_agreed: bool,
    keep: Path = KEEP,
    film: Path | None = None,
    interval: float | None = None,
) -> Exit:
    """Run one acceptance and tell its report; return how it ended.

    Nothing is bought before a person has agreed. `interval` overrides the seconds between polls.
    """
    say(plan.announcement)
    if not plan.follow_id and not is_agreed and not _agrees(say):
        say("Nothing was bought.")
        return Exit.INVALID
    if interval is not None:
        plan = Plan(**{**vars(plan), "interval": interval})
    try:
        acceptance = Acceptance(access, plan, say, film=film)
    except SeedanceError as error:
        say(f"Nothing was bought. {error}")
        return Exit.INVALID
    ending = Exit.DONE
    try:
        acceptance.run()
    except Stopped as error:
        say(str(error))
        ending = Exit.INTERRUPTED if _is_interrupt(error) else Exit.DIFFERS
    except KeyboardInterrupt:
        is_bought = bool(acceptance.found.api_id)
        say(f"Interrupted. {acceptance.how_to_follow if is_bought else 'Nothing was bought.'}")
        ending = Exit.INTERRUPTED
    except (SeedanceError, OSError) as error:
        say(f"{type(error).__name__}: {error}")
        if acceptance.found.api_id:
            say(acceptance.how_to_follow)
        ending = Exit.DIFFERS
    has_differences = _conclude(acceptance, keep, say)
    is_whole = acceptance.found.status == "completed" and not acceptance.found.file_error
    return Exit.DIFFERS if ending is Exit.DONE and (has_differences or not is_whole) else ending


def _is_interrupt(error: BaseException) -> bool:
    return isinstance(error.__cause__, KeyboardInterrupt)


def _agrees(say: Say) -> bool:
    if not sys.stdin.isatty():
        say("There is no terminal to ask at: --yes agrees.")
        return False
    try:
        return input("Buy it? Type yes: ").strip().lower() == "yes"
    except (EOFError, KeyboardInterrupt):
        return False


def _conclude(acceptance: Acceptance, keep: Path, say: Say) -> bool:
    """Keep the answers, and tell what they settle; return whether the simulator differs."""
    rows = list(acceptance.notes.rows.values())
    if not rows:
        return False
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime())
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"\n{len(rows)} redacted answers are in {path}.")
    for question, answer in facts(acceptance.found, acceptance.notes, time.time()):
        say(f"  {question}: {answer}")
    found = list(differences(rows, simulated()))
    say(f"\n{len(found)} differences from the simulator:" if found else "\nThe simulator agrees.")
    for difference in found:
        say(f"  {difference}")
    return bool(found)


def parser() -> argparse.ArgumentParser:
    """Return what reads the options from a shell."""
    parser = argparse.ArgumentParser(
        prog="python -m seedance_celery.acceptance",
        description="Buy one short video from the real API, and report what it says.",
        epilog=f"The key is in {KEY_VARIABLE}, the account's access token in {TOKEN_VARIABLE}.",
    )
    _add_arguments(parser)
    parser.add_argument("--base-url", default=DEFAULT_BASE_URL, help="where the API is")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the acceptance from a shell; return the exit status."""
    options = vars(parser().parse_args(arguments))
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        _say(f"Set {KEY_VARIABLE} to your key first. Nothing was bought.")
        return Exit.INVALID
    access = Access(key, options["base_url"], os.environ.get(TOKEN_VARIABLE, "").strip())
    try:
        plan = _plan_of(options)
    except InvalidRequest as error:
        _say(f"Nothing was bought. {error}")
        return Exit.INVALID
    return accept(
        access,
        plan,
        _say,
        is_agreed=options["yes"],
        keep=options["keep"],
        film=options["film"],
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
