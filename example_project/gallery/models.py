"""The gallery's own rows: a film belongs to somebody and points at its video."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest
from django.urls import reverse

from seedance_celery.models import Video

__all__ = ["VISITOR", "Film", "FilmEvent", "FilmImage", "Refund"]

VISITOR = "visitor"
"""The session's entry that knows people who have not signed in."""


def _identity(request: HttpRequest) -> tuple[Any, str]:
    """Return the user, or else the visitor that the session knows."""
    if request.user.is_authenticated:
        return request.user, ""
    return None, request.session.get(VISITOR, "")


class FilmQuerySet(models.QuerySet["Film"]):
    def visible_to(self, request: HttpRequest) -> FilmQuerySet:
        """Films of whoever asks: of the user, or of the visitor that the session knows."""
        owner, visitor = _identity(request)
        if owner is None and not visitor:
            return self.none()
        return self.filter(owner=owner, **({} if owner else {"visitor": visitor}))

    def of(self, video: Video) -> FilmQuerySet:
        """The film that a video was bought for: its id travels in the video's metadata."""
        return self.filter(pk=(video.metadata or {}).get("film"))


class Film(models.Model):
    """A film that somebody asked for. Whose it is, is the project's to know."""

    class Stage(models.TextChoices):
        RENDERING = "rendering", "rendering"
        READY = "ready", "ready"
        PUBLISHED = "published", "published"
        FAILED = "failed", "failed"
        UNCERTAIN = "uncertain", "not certain"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True
    )
    visitor = models.CharField(max_length=32, blank=True)
    video = models.OneToOneField(
        Video, on_delete=models.PROTECT, null=True, blank=True, related_name="film"
    )
    prompt = models.TextField()
    stage = models.CharField(max_length=16, choices=Stage.choices, default=Stage.RENDERING)
    progress = models.PositiveSmallIntegerField(default=0)
    published_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = FilmQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="film_owner"),
            models.Index(fields=["visitor", "-created_at"], name="film_visitor"),
        ]

    def __str__(self) -> str:
        return self.prompt[:60]

    def get_absolute_url(self) -> str:
        """Return the address of the film's page."""
        return reverse("film", args=[self.pk])

    def is_visible_to(self, request: HttpRequest) -> bool:
        """Whether the film is of whoever asks: `visible_to()` for one row that is there already."""
        owner, visitor = _identity(request)
        if owner is not None:
            return self.owner_id == owner.pk
        return bool(visitor) and self.owner_id is None and self.visitor == visitor

    @property
    def can_be_tried_again(self) -> bool:
        """Whether another try cannot pay twice for the same film."""
        ends = (Video.Status.FAILED, Video.Status.ERROR, Video.Status.REJECTED)
        if self.video is None or self.video.lacks_link:
            return False
        return self.video.status in ends

    @property
    def can_be_resumed(self) -> bool:
        """Whether the render may still end, though nobody waits any more."""
        if self.video is None:
            return False
        return self.video.is_ended_by_us or self.video.status == Video.Status.LOST


class FilmImage(models.Model):
    """A reference image. It stays, so that a film can be tried again."""

    film = models.ForeignKey(Film, on_delete=models.CASCADE, related_name="images")
    file = models.FileField(max_length=200)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return str(self.file)


class FilmEvent(models.Model):
    """Something that happened to a film, in words for people. Receivers write these."""

    film = models.ForeignKey(Film, on_delete=models.CASCADE, related_name="events")
    text = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "pk"]
        constraints = [models.UniqueConstraint(fields=["film", "text"], name="film_event_once")]

    def __str__(self) -> str:
        return self.text


class Refund(models.Model):
    """Money given back for a film that is certain not to come: once a film."""

    film = models.OneToOneField(Film, on_delete=models.CASCADE, related_name="refund")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"for {self.film}"
