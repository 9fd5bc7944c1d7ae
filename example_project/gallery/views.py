"""The pages. Nobody sees, plays or retries a film that is not theirs: it is a 404 to them."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.files.storage import default_storage
from django.core.paginator import Paginator
from django.db.models import Prefetch, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST, require_safe

from seedance_celery.exceptions import InvalidRequest
from seedance_celery.models import Video

from .files import file_response
from .forms import FilmForm
from .models import Film
from .orders import try_again, whose

__all__ = ["again", "film", "gallery", "media", "resume"]

PAGE_SIZE = 24


def gallery(request: HttpRequest) -> HttpResponse:
    """Show the visitor's films and the form; take the form."""
    form = FilmForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        asked = form.order(whose(request))
        if asked is not None:
            return redirect("gallery")
    page = Paginator(_shown(request), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "is_simulated": not settings.IS_LIVE}
    return render(request, "gallery/gallery.html", context, status=422 if form.errors else 200)


@require_GET
def film(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show one film: the video, what was asked for, and what happened."""
    films = _shown(request).select_related("refund").prefetch_related("events", "images")
    return render(request, "gallery/film.html", {"film": get_object_or_404(films, pk=pk)})


@require_POST
def again(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Buy another video for a film that failed."""
    failed = get_object_or_404(_films(request).select_related("video"), pk=pk)
    if not failed.can_be_tried_again:
        messages.error(request, "Only a film that failed can be tried again.")
        return redirect(failed)
    try:
        return redirect(try_again(failed))
    except InvalidRequest as error:
        reason = "one of its images is gone" if error.field == "images" else str(error)
        messages.error(request, f"This film cannot be asked for again: {reason}.")
    return redirect(failed)


@require_POST
def resume(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Wait again for a film whose time was up; nothing is bought."""
    late = get_object_or_404(_films(request).select_related("video"), pk=pk)
    if late.video is not None:
        late.video.resume()
    return redirect(late)


@require_safe
def media(request: HttpRequest, name: str) -> HttpResponseBase:
    """Send a film's file or one of its images to whoever the film belongs to, and to the staff.

    In production let the web server send files, and only decide here who may have them.
    """
    is_its = Q(video__file=name) | Q(images__file=name)
    # The admin plays the films of everybody.
    films: Any = Film.objects.all() if request.user.is_staff else _films(request)
    films = films.filter(is_its)
    if not films.exists() or not default_storage.exists(name):
        raise Http404
    return file_response(request, default_storage.path(name))


def _shown(request: HttpRequest) -> Any:
    # What the progress bars need of a video comes along in one query for all of them.
    return _films(request).prefetch_related(Prefetch("video", Video.objects.with_now()))


def _films(request: HttpRequest) -> Any:
    return Film.objects.visible_to(request)
