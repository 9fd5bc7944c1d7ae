"""Chain objects as projects have them at module level, applied for each order."""

from __future__ import annotations

from typing import Any

from celery import chain, shared_task

from seedance_celery.tasks import create_video, poll_video, store_video

from .tasks import keep


@shared_task(name="tests.prompt")
def prompt(words: str) -> str:
    """Return what to film: a project's own task before `create_video`."""
    return f"{words}, in the rain"


FOLLOW = poll_video.s() | keep.s(tag="follow") | store_video.s()
BUY = create_video.s(seconds=5) | poll_video.s()
ORDER = prompt.s() | create_video.s(seconds=5)
FILM = prompt.s() | create_video.s(seconds=5) | poll_video.s() | keep.s(tag="film")
ALL: dict[str, Any] = {"follow": FOLLOW, "buy": BUY, "order": ORDER, "film": FILM}


@shared_task(name="tests.apply_each")
def apply_each(arguments: dict[str, list[str]]) -> None:
    """Apply each chain to each of its arguments, all within this one task."""
    for name, values in arguments.items():
        for value in values:
            ALL[name].apply_async((value,))


@shared_task(bind=True, name="tests.replaced")
def replaced(self: Any, words: str) -> Any:
    """Let a chain take this task's place."""
    return self.replace(chain(create_video.s(words), poll_video.s()))
