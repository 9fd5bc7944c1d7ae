"""The list and the page of a video."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ..lifecycle.deletion import is_over
from ..models import Video
from ..models.reading import is_away, read
from ..status import playable_url
from . import shown as html
from .actions import ACTIONS, VideoActions, fits
from .listing import (
    AccountFilter,
    BoundedPaginator,
    ModelFilter,
    drill_down,
    find,
    is_possible,
)
from .overview import overview
from .parts import part_of_page

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Video]
else:
    _ModelAdmin = admin.ModelAdmin

__all__ = ["VideoAdmin"]

_LARGE = ("raw", "create_reply", "evidence", "history", "images", "metadata", "video_url")

_FIELDSETS: Any = (
    (None, {"fields": (html.bar, html.player, "reason")}),
    (_("Order"), {"fields": ("prompt", "model", "seconds", "size", "account", html.metadata)}),
    (
        _("Now"),
        {
            "fields": (
                *("status", "api_status", html.next_poll, html.deadline),
                *("errors", "last_error", html.holds),
            )
        },
    ),
    (_("Who waits"), {"fields": (html.waiting,)}),
    (_("What happened"), {"fields": (html.timeline,)}),
    (_("File"), {"fields": (html.file_kept, "sha256", "store_error")}),
    (
        _("What the API said"),
        {"fields": (html.evidence, html.raw_answer, html.raw_create, html.for_support)},
    ),
    (_("Ids and times"), {"fields": ("id", "api_id", "request_id", html.times)}),
)

_TOLD: dict[Any, Callable[[Video], object]] = {
    html.player: playable_url,
    html.next_poll: lambda video: video.overdue_at and video.next_poll_at,
    html.deadline: lambda video: not video.is_finished and video.deadline_at,
    html.metadata: lambda video: video.metadata,
    html.timeline: lambda video: video.history,
    html.file_kept: lambda video: video.file,
    html.evidence: lambda video: video.evidence,
    html.raw_answer: lambda video: video.raw,
    html.raw_create: lambda video: video.create_reply,
}
"""What tells whether a field has anything to show."""


class _ChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """Read the page's rows; one that cannot be read as it is hides no other."""
        super().get_results(request)
        self.result_list: Any = read(self.result_list)


class VideoAdmin(VideoActions, _ModelAdmin):
    """Videos are looked at, not edited: what changes them are actions.

    Permissions: view to look; change to poll, resume, store and adopt; delete to prune;
    `buy_video` and `abandon_video` for the rest.
    """

    actions = ACTIONS
    list_display = (html.name, html.bar, html.age, html.time_left, html.order, "account")
    list_filter = ("status", AccountFilter, ModelFilter)
    search_fields = ("api_id__exact",)
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    sortable_by = (html.age,)  # type: ignore[assignment]  # the stubs know names alone
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    readonly_fields = tuple(name for _title, options in _FIELDSETS for name in options["fields"])
    change_form_template = "admin/seedance_celery/video/change_form.html"
    change_list_template = "admin/seedance_celery/video/change_list.html"

    class Media:
        css = {"all": ("seedance_celery/progress.css", "seedance_celery/admin.css")}
        js = ("seedance_celery/progress.js",)

    # Rows.

    def get_queryset(self, request: HttpRequest) -> QuerySet[Video]:
        """Bring along the time; leave out of lists what is large."""
        rows = Video.objects.with_now().order_by("-created_at")
        match = request.resolver_match
        is_list = match is not None and match.url_name == "seedance_celery_video_changelist"
        return rows.defer(*_LARGE) if is_list else rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Read the rows with care."""
        return _ChangeList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Video | None:
        """Read one row; columns that cannot be read are None."""
        try:
            rows = self.get_queryset(request).filter(pk=object_id)
        except (ValidationError, ValueError):
            return None
        return next(iter(read(rows)), None)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Video], search_term: str
    ) -> tuple[QuerySet[Video], bool]:
        """Find by a whole id."""
        return find(queryset, search_term), False

    def get_fieldsets(self, request: HttpRequest, obj: Video | None = None) -> Any:
        """Leave out what there is nothing to tell of."""
        told = ((title, _told(options["fields"], obj)) for title, options in _FIELDSETS)
        return [(title, {"fields": fields}) for title, fields in told if fields]

    # Permissions.

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: a video is ordered, not typed in."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Video | None = None) -> bool:
        """Allow to delete what nothing needs any more."""
        is_free = obj is None or is_over(obj)
        return is_free and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Leave out Django's own deletion, which looks at nothing."""
        # Django 6.1 looks for the argument's name and passes it; the versions before have none.
        where = {"action_location": action_location} if action_location else {}
        actions = super().get_actions(request, **where)
        actions.pop("delete_selected", None)
        return actions

    # Pages.

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add what needs a person, and the dates; go back to where an action came from."""
        if not is_possible(request.GET):
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        context = {
            "title": capfirst(self.opts.verbose_name_plural),
            "overview": overview(),
            "dates": _dates(request),
            **(extra_context or {}),
        }
        answer = super().changelist_view(request, context)
        if isinstance(answer, HttpResponseRedirect) and _came_from_page(request):
            return HttpResponseRedirect(self._page(request.POST["back"]))
        return answer

    def _page(self, key: str) -> str:
        here = f"{self.admin_site.name}:seedance_celery_video_"
        if Video.objects.filter(pk=key).exists():
            return reverse(f"{here}change", args=[key])
        return reverse(f"{here}changelist")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page; there is nothing to save."""
        if request.method == "POST":
            raise PermissionDenied
        context: dict[str, Any] = {
            "video_actions": self._fitting(request, object_id),
            "show_save": False,
            "show_save_and_continue": False,
            "title": _("Video"),
        }
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def _fitting(self, request: HttpRequest, object_id: str) -> list[tuple[str, str]]:
        video = self.get_object(request, object_id)
        choices = self.get_action_choices(request, default_choices=[])
        return [(name, str(text)) for name, text in choices if video and fits(name, video)]


def _told(fields: Iterable[Any], video: Video | None) -> list[Any]:
    if video is None:
        return list(fields)
    is_told = {name: _TOLD.get(name) or _has(name) for name in fields}
    return [name for name in fields if _is_told(is_told[name], video)]


def _is_told(tells: Callable[[Video], object], video: Video) -> bool:
    try:
        return bool(tells(video))
    except Exception as error:
        if is_away(error, video.db):
            raise
        return True  # the field itself says that it cannot be shown


def _has(name: Any) -> Callable[[Video], object]:
    return (lambda video: True) if callable(name) else lambda video: getattr(video, name)


def _came_from_page(request: HttpRequest) -> bool:
    try:
        uuid.UUID(request.POST.get("back", ""))
    except ValueError:
        return False
    return True


def _dates(request: HttpRequest) -> list[dict[str, str]]:
    kept = {k: v for k, v in request.GET.items() if not k.startswith(("created_at__", "p"))}
    choices: list[dict[str, Any]] = part_of_page(
        lambda: drill_down(request.GET.dict()), "choice of dates", []
    )
    return [{"text": c["text"], "query": urlencode({**kept, **c["params"]})} for c in choices]
