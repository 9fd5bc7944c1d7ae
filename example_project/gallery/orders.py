"""Asking for a film: one row of the gallery and one video, or neither."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.http import HttpRequest

from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video

from .models import VISITOR, Film, FilmImage
from .tasks import publish, refund

__all__ = ["ask_for_film", "key_of", "try_again", "whose"]


def whose(request: HttpRequest) -> dict[str, Any]:
    """Return the columns that say whose a new film is."""
    if isinstance(request.user, AbstractUser):
        return {"owner": request.user}
    return {"visitor": request.session.setdefault(VISITOR, uuid.uuid4().hex)}


def key_of(columns: dict[str, Any], token: uuid.UUID) -> str:
    """Return the idempotency key of a page, bound to whoever sends it.

    The token alone would do for an honest page. But it comes from the browser, and whoever sends
    the token of somebody else must not get that one's film.
    """
    owner = columns.get("owner")
    sender = f"user-{owner.pk}" if owner else f"visitor-{columns['visitor']}"
    return f"{sender}:{token}"


def ask_for_film(
    prompt: str,
    *,
    images: Sequence[str] = (),
    idempotency_key: str | None = None,
    columns: dict[str, Any],
    **options: Any,
) -> Film:
    """Insert a film and its video; a worker buys it once the transaction has committed.

    `images` are names in the storage, `columns` say whose it is, `options` are
    `generate_video`'s. The same order with the same `idempotency_key` returns the film that is
    there: a double click buys nothing. Raises `InvalidRequest` for what the API would refuse, and
    for another order with that key.
    """
    with transaction.atomic():
        film = Film(prompt=prompt, **columns)
        film.video = generate_video(
            prompt,
            **options,
            images=images,
            idempotency_key=idempotency_key,
            metadata={"film": str(film.pk)},
            link=publish.s(str(film.pk)),
            link_error=refund.s(str(film.pk)),
        )
        if not film.video.created:
            return Film.objects.get(video=film.video)
        film.save()
        film.images.bulk_create(FilmImage(film=film, file=name) for name in images)
    return film


def try_again(film: Film) -> Film:
    """Buy another video for a film that failed; once, however often it is asked for."""
    video = Video.objects.get(film=film)
    return ask_for_film(
        film.prompt,
        model=video.model,
        seconds=video.seconds,
        size=video.size or None,
        images=[image.file.name for image in film.images.all()],
        idempotency_key=f"again-{film.pk}",
        columns={"owner": film.owner, "visitor": film.visitor},
    )
