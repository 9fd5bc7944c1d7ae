"""Follow videos from the command line, and do what only a person may do."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from ...accounts import health
from ...lifecycle.endings import want_file
from ...lifecycle.targets import find_video
from ...models import Video
from ...models.actions import checked_api_id
from ...shortcuts import track_video
from ..videos import VideoCommand, invalid, refusals

Status = Video.Status


class Command(VideoCommand):
    """Follow videos; resume, adopt, buy again or give up."""

    help = "Follow videos that were bought elsewhere, or act on videos that are known here."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the videos and the actions."""
        parser.add_argument("video", nargs="+", help="an id at the API, or the pk of a row")
        actions = parser.add_argument_group("actions", "at most one").add_mutually_exclusive_group()
        add = actions.add_argument
        add(
            "--resume",
            action="store_true",
            help="wait again for a video that may still come: timed out, lost, or without its link",
        )
        add(
            "--adopt",
            metavar="API_ID",
            help="tell which video an unknown create (or a lost one) is",
        )
        add("--buy-again", action="store_true", help="POST an unknown create again; may pay twice")
        add("--give-up", action="store_true", help="wait no longer for an unknown create")
        parser.add_argument("--yes", action="store_true", help="do not ask before --buy-again")
        self.add_video_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Act or follow, and report."""
        with refusals():
            targets = [_target(text, options["account"]) for text in options["video"]]
            act = _action(options)
            if options["buy_again"] and not options["yes"]:
                self._confirm(targets)
            if options["adopt"] is not None:
                # Before the transaction: one that waits for the API would keep others waiting.
                _check_adopted(targets[0], options["adopt"])
            with transaction.atomic(using=Video.objects.primary().db):
                videos = [act(target) for target in targets]
        self.report([video.current() for video in videos], options)

    def _confirm(self, targets: list[Any]) -> None:
        if not sys.stdin.isatty():
            raise invalid("--buy-again may pay twice: say --yes where nobody can be asked.")
        names = ", ".join(str(_unknown(target)) for target in targets)
        self.stdout.write(f"{names} may be bought already. Pay for it once more? [y/N]")
        if _answer().strip().lower() not in ("y", "yes"):
            raise invalid("Nothing was bought.")


def _answer() -> str:
    try:
        return input()
    except EOFError:
        return ""


def _action(options: dict[str, Any]) -> Callable[[Any], Video]:
    if options["adopt"] is not None:
        if len(options["video"]) > 1:
            raise invalid("--adopt takes one video.")
        return partial(_decided, options=options, decide=partial(_adopt, options["adopt"]))
    if options["buy_again"]:
        return lambda target: _decided(_unknown(target).pk, options, Video.buy_again)
    if options["give_up"]:
        return lambda target: _decided(_unknown(target).pk, options, Video.give_up)
    return lambda target: (_resumed if options["resume"] else _tracked)(target, options)


def _target(text: str, account: str | None) -> Any:
    """Return a pk where a row has it, else the API's id with its account."""
    try:
        pk = uuid.UUID(text)
    except ValueError:
        pass
    else:
        if Video.objects.primary().filter(pk=pk).exists():
            return pk
    return {"id": checked_api_id(text), "account": account}


def _tracked(target: Any, options: dict[str, Any]) -> Video:
    named = target["id"] if isinstance(target, dict) else target
    chosen = {name: options[name] for name in ("account", "timeout")}
    return track_video(named, store=options["store"] or None, **chosen)


def _resumed(target: Any, options: dict[str, Any]) -> Video:
    video = _found(target)
    if not video.resume(options["timeout"]):
        raise invalid(f"Video {video} is {video.current().status}, and cannot be resumed.")
    return _with_file(video, options)


def _check_adopted(target: Any, api_id: str) -> None:
    video, api_id = _found(target), checked_api_id(api_id)
    if video.status != Status.LOST:
        _unknown(target)
    if not health.knows(video.account, api_id):
        raise invalid(f"The API knows no video {api_id} of account {video.account}.")


def _adopt(api_id: str, video: Video) -> bool:
    return video.adopt(api_id)


def _decided(target: Any, options: dict[str, Any], decide: Callable[[Video], bool]) -> Video:
    video = _found(target)
    if not decide(video):
        raise invalid(f"Video {video} has changed meanwhile: it is {video.current().status} now.")
    return _with_file(video, options)


def _with_file(video: Video, options: dict[str, Any]) -> Video:
    if options["store"]:
        want_file(video)
    return video


def _found(target: Any) -> Video:
    """Return the row that the command line names, by either of its names."""
    if isinstance(target, dict) and not Video.objects.primary().filter(api_id=target["id"]):
        raise invalid(f"There is no row with the pk or API id {target['id']}.")
    return find_video(target)


def _unknown(target: Any) -> Video:
    video = _found(target)
    if video.status != Status.CREATE_UNKNOWN or video.is_finished:
        raise invalid(f"Video {video} is {video.status}: only an unknown create can be decided.")
    return video
