"""The list and the page of a video."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..models import Video
from ..status import shown
from . import shown as html
from .actions import ACTIONS, VideoActions, fits
from .listing import AccountFilter, BoundedPaginator, ModelFilter, drill_down, find
from .overview import overview

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Video]
else:
    _ModelAdmin = admin.ModelAdmin

__all__ = ["VideoAdmin"]

_LARGE = ("raw", "create_reply", "history", "images", "metadata", "video_url")

_FIELDSETS: Any = (
    (None, {"fields": ("progress_bar", "played", "reason")}),
    (_("Order"), {"fields": ("prompt", "model", "seconds", "size", "account", "metadata")}),
    (
        _("Now"),
        {"fields": ("status", "api_status", "next_poll_at", "deadline_at", "errors", "last_error")},
    ),
    (_("Who waits"), {"fields": ("waiting", "holds")}),
    (_("What happened"), {"fields": ("timeline",)}),
    (_("File"), {"fields": ("file_name", "file_size", "sha256", "store_error")}),
    (
        _("For support"),
        {
            "fields": (
                *("id", "api_id", "request_id", "created_at", "post_started_at", "asked_at"),
                *("answered_at", "finished_at", "announced_at", "raw_answer", "raw_create"),
            )
        },
    ),
)


class VideoAdmin(VideoActions, _ModelAdmin):
    """Videos are looked at, not edited: what changes them are actions.

    Permissions: view to look; change to poll, resume, store and adopt; delete to prune;
    `buy_video` and `abandon_video` for the rest.
    """

    actions = ACTIONS
    list_display = ("name", "progress_bar", "age", "time_left", "order", "account")
    list_filter = ("status", AccountFilter, ModelFilter)
    search_fields = ("api_id__exact",)
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    sortable_by = ("age",)
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    fieldsets = _FIELDSETS
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

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Video], search_term: str
    ) -> tuple[QuerySet[Video], bool]:
        """Find by a whole id."""
        return find(queryset, search_term), False

    def get_readonly_fields(self, request: HttpRequest, obj: Video | None = None) -> list[str]:
        """Everything."""
        return [name for _title, options in _FIELDSETS for name in options["fields"]]

    # Permissions.

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: a video is ordered, not typed in."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Video | None = None) -> bool:
        """Allow to delete what has ended."""
        is_free = obj is None or obj.is_finished
        return is_free and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Leave out Django's own deletion, which looks at nothing."""
        actions = super().get_actions(request, *args, **kwargs)
        actions.pop("delete_selected", None)
        return actions

    # Pages.

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add what needs a person, and the dates; go back to where an action came from."""
        context = {"overview": overview(), "dates": _dates(request), **(extra_context or {})}
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

    # Columns.

    @admin.display(description=_("video"))
    def name(self, video: Video) -> str:
        """Return the API's id, or ours."""
        return html.name(video)

    @admin.display(description=_("progress"))
    def progress_bar(self, video: Video) -> SafeString:
        """Return the bar."""
        return html.bar(video)

    @admin.display(description=_("age"), ordering="created_at")
    def age(self, video: Video) -> str:
        """Return how long ago it was ordered."""
        return html.age(video)

    @admin.display(description=_("time left"))
    def time_left(self, video: Video) -> str:
        """Return how much longer it takes."""
        return shown(video)["time_left"] or "-"

    @admin.display(description=_("order"))
    def order(self, video: Video) -> SafeString:
        """Return the model and what else the price depends on."""
        return html.order(video)

    @admin.display(description=_("video"))
    def played(self, video: Video) -> str:
        """Return the player."""
        return html.player(video)

    @admin.display(description=_("timeline"))
    def timeline(self, video: Video) -> str:
        """Return what changed when."""
        return html.timeline(video)

    @admin.display(description=_("tasks"))
    def waiting(self, video: Video) -> str:
        """Return who waits."""
        return html.waiting(video)

    @admin.display(description=_("account's holds"))
    def holds(self, video: Video) -> str:
        """Return what holds the account back."""
        return html.holds(video)

    @admin.display(description=_("file"))
    def file_name(self, video: Video) -> str:
        """Return the name in the storage."""
        return video.file.name or "-"

    @admin.display(description=_("last answer"))
    def raw_answer(self, video: Video) -> str:
        """Return the API's last answer, redacted."""
        return html.raw(video.raw)

    @admin.display(description=_("create's reply"))
    def raw_create(self, video: Video) -> str:
        """Return the reply to the create, redacted."""
        return html.raw(video.create_reply)


def _came_from_page(request: HttpRequest) -> bool:
    try:
        uuid.UUID(request.POST.get("back", ""))
    except ValueError:
        return False
    return True


def _dates(request: HttpRequest) -> list[dict[str, str]]:
    kept = {k: v for k, v in request.GET.items() if not k.startswith(("created_at__", "p"))}
    choices = drill_down(request.GET.dict())
    return [{"text": c["text"], "query": urlencode({**kept, **c["params"]})} for c in choices]
