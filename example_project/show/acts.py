"""The demo's videos: how each is asked for, and what must have become of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from celery import chain
from gallery.models import Film
from gallery.orders import ask_for_film
from gallery.tasks import publish, refund

from seedance_celery.models import Video
from seedance_celery.tasks import create_video, poll_video, store_video

__all__ = ["ACTS", "LIVE_ACT", "Act", "Check"]

Check = tuple[str, bool]
"""What should be so, and whether it is."""


@dataclass(frozen=True)
class Act:
    """One video: its name on the screen, what starts it, and what must hold at its end."""

    name: str
    start: Callable[[], Film]
    checks: Callable[[Film, Video], list[Check]]


def _chained(prompt: str, **options: object) -> Film:
    """Ask for a film in a chain, as a task or a management command would."""
    film = Film.objects.create(prompt=prompt)
    pk = str(film.pk)
    chain(
        create_video.s(prompt, **options, metadata={"film": pk}).on_error(refund.s(pk)),
        poll_video.s().on_error(refund.s(pk)),
        store_video.s(),
        publish.s(pk),
    ).apply_async()
    return film


def _start_chain() -> Film:
    return _chained("A red kite over the sea at sunrise", seconds=5)


def _start_view() -> Film:
    # What the gallery's view calls when its form is sent.
    return ask_for_film("A lighthouse in the fog", seconds=5, columns={})


def _start_failure() -> Film:
    # The marker tells the simulator what to play.
    return _chained("A film that the moderation refuses [moderation]", seconds=5)


def _start_live() -> Film:
    return _chained("A red kite over the sea at sunrise", model=LIVE_MODEL, seconds=LIVE_SECONDS)


def _check_chain(film: Film, video: Video) -> list[Check]:
    return [
        ("the chain went on to publish()", is_published(film)),
        ("the file on disk is a whole MP4", is_whole_mp4(video)),
    ]


def _check_view(film: Film, video: Video) -> list[Check]:
    told = set(film.events.values_list("text", flat=True))
    return [
        ("video_progressed changed the film", "The render has begun" in told),
        ("video_completed changed the film", "Rendered" in told and film.progress == 100),
        ("publish() was called, and the file kept", is_published(film) and is_whole_mp4(video)),
    ]


def _check_failure(film: Film, video: Video) -> list[Check]:
    return [
        ("the errback wrote a refund", hasattr(film, "refund")),
        ("video_failed changed the film", film.stage == Film.Stage.FAILED),
        ("nothing was published", film.published_at is None and not video.file),
    ]


def is_published(film: Film) -> bool:
    """Tell whether publish() ran."""
    return film.stage == Film.Stage.PUBLISHED


def is_whole_mp4(video: Video) -> bool:
    """Tell whether the kept file is an MP4, with the size and the hash that the row has."""
    if not video.file:
        return False
    content = Path(video.file.path).read_bytes()
    is_mp4 = content[4:8] == b"ftyp" and b"moov" in content and b"mdat" in content
    is_same = hashlib.sha256(content).hexdigest() == video.sha256
    return is_mp4 and is_same and len(content) == video.file_size


LIVE_MODEL = "doubao-seedance-2-0-mini"
LIVE_SECONDS = 4

ACTS = (
    Act("a chain", _start_chain, _check_chain),
    Act("a view", _start_view, _check_view),
    Act("a failure", _start_failure, _check_failure),
)
LIVE_ACT = Act("a chain", _start_live, _check_chain)
