"""What the gallery does when something happens to a video.

A process that dies inside a receiver makes it run again, so each of these may run twice.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.signals import user_logged_in
from django.core.mail import send_mail
from django.dispatch import receiver
from django.http import HttpRequest

from seedance_celery.models import Video
from seedance_celery.signals import (
    video_completed,
    video_create_unknown,
    video_created,
    video_errored,
    video_failed,
    video_finished,
    video_lost,
    video_progressed,
    video_rejected,
    video_store_failed,
    video_stored,
    video_timed_out,
)

from .models import VISITOR, Film, FilmEvent, Refund
from .tasks import publish

UNCERTAIN = {
    Video.Status.TIMED_OUT: "Takes too long: nobody waits any more, but it may still come",
    Video.Status.ERROR: "Made, but without a link so far: it may still come",
    Video.Status.LOST: "The API does not know the film: somebody has to look",
    Video.Status.CREATE_UNKNOWN: "The API's answer was lost: somebody has to look",
}
"""Ends after which a film may still come, in words for people."""


def _note(video: Video, text: str) -> None:
    for film in Film.objects.of(video):
        FilmEvent.objects.get_or_create(film=film, text=text)


@receiver(video_created)
def on_created(sender: type[Video], video: Video, **kwargs: Any) -> None:
    """Point the film at its video."""
    Film.objects.of(video).update(video=video)
    _note(video, "Accepted by the API")


@receiver(video_progressed)
def on_progressed(sender: type[Video], video: Video, **kwargs: Any) -> None:
    """Keep the progress on the gallery's own row."""
    Film.objects.of(video).update(progress=video.progress)
    if video.status == Video.Status.IN_PROGRESS:
        _note(video, "The render has begun")


@receiver(video_completed)
def on_completed(sender: type[Video], video: Video, **kwargs: Any) -> None:
    """Mark the film as ready, unless the chain was faster; go on where no chain does."""
    _note(video, "Rendered")
    for film in Film.objects.of(video).filter(stage=Film.Stage.UNCERTAIN):
        publish.delay({"video_pk": str(video.pk)}, str(film.pk))
    films = Film.objects.of(video).exclude(stage=Film.Stage.PUBLISHED)
    films.update(video=video, stage=Film.Stage.READY, progress=100)


@receiver([video_failed, video_errored, video_rejected])
def on_failed(sender: type[Video], video: Video, **kwargs: Any) -> None:
    """Mark the film as failed; give the money back where the errback did not, as it ran before."""
    if video.lacks_link:
        on_uncertain(sender, video)
        return
    # Why, in words for customers, is told by the progress bar.
    _note(video, "Failed")
    for film in Film.objects.of(video).filter(stage=Film.Stage.UNCERTAIN):
        Refund.objects.get_or_create(film=film)
    Film.objects.of(video).update(video=video, stage=Film.Stage.FAILED)


@receiver([video_timed_out, video_lost, video_create_unknown])
def on_uncertain(sender: type[Video], video: Video, **kwargs: Any) -> None:
    """Mark the film as one that may still come, and may have cost money: no refund yet."""
    Film.objects.of(video).update(video=video, stage=Film.Stage.UNCERTAIN)
    _note(video, UNCERTAIN[Video.Status(video.status)])


@receiver(video_stored)
def on_stored(sender: type[Video], video: Video, **kwargs: Any) -> None:
    """Note that the file is kept."""
    _note(video, "File kept")


@receiver(video_store_failed)
def on_store_failed(sender: type[Video], video: Video, **kwargs: Any) -> None:
    """Note that the file could not be kept."""
    _note(video, "The file could not be kept")


@receiver(video_finished)
def on_finished(sender: type[Video], video: Video, **kwargs: Any) -> None:
    """Write to whoever asked for the film, however it ended."""
    if video.status == Video.Status.CREATE_UNKNOWN:
        _note(video, "Given up: it is not known whether it was bought")
    for film in Film.objects.of(video).filter(owner__email__gt="").select_related("owner"):
        send_mail(
            f"Your film is {video.get_status_display()}",
            f"“{film}”\n\nSee it at {settings.SITE_URL}{film.get_absolute_url()}\n",
            None,
            [film.owner.email],
        )


@receiver(user_logged_in)
def on_logged_in(
    sender: type[AbstractUser], request: HttpRequest, user: AbstractUser, **kwargs: Any
) -> None:
    """Give the user what the same person asked for before signing in."""
    if visitor := request.session.get(VISITOR):
        Film.objects.filter(owner=None, visitor=visitor).update(owner=user)
