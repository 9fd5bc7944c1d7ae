"""What people may do in the list and on the page of a video."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..accounts import health
from ..api.replies import MAX_ID
from ..exceptions import InvalidRequest
from ..models import KeptTask, Video
from ..models.actions import ADOPTABLE, checked_api_id
from ..models.reading import is_away, read
from .prune import Deletions
from .shown import facts

if TYPE_CHECKING:
    from ..models.kept import KeptTaskQuerySet

__all__ = ["ACTIONS", "VideoActions", "fits"]

logger = logging.getLogger(__name__)

Answer = HttpResponse | None

MOST = 900
"""How many videos one action takes: Django takes no form of more than 1,000 fields."""


class AdoptForm(forms.Form):
    """Which video an unknown create bought."""

    api_id = forms.CharField(
        label=gettext_lazy("API id"),
        max_length=MAX_ID,
        widget=forms.TextInput(
            attrs={"class": "vTextField", "autocomplete": "off", "placeholder": "task_…"}
        ),
    )

    def __init__(self, video: Video, data: Any = None) -> None:
        super().__init__(data)
        self.video = video

    def clean_api_id(self) -> str:
        """Return the id, or say why it cannot be adopted. The API is asked, and nothing changed."""
        api_id: str = self.cleaned_data["api_id"]
        account = self.video.account
        try:
            if not health.knows(account, checked_api_id(api_id)):
                text = _("The API knows no such video of account %(account)s.")
                raise ValidationError(text, params={"account": account})
        except InvalidRequest as error:
            raise ValidationError(str(error)) from error
        return api_id

    def adopt(self) -> bool | None:
        """Adopt the id of a valid form; return whether the video could still be adopted for.

        Returns None, and is invalid from then on, where another row has the id.
        """
        try:
            return self.video.adopt(self.cleaned_data["api_id"])
        except InvalidRequest as error:
            self.add_error("api_id", str(error))
            return None


class VideoActions(Deletions):
    """The actions, as methods of the `ModelAdmin`."""

    def has_buy_permission(self, request: HttpRequest) -> bool:
        """Tell whether a user may pay for a video again."""
        return bool(request.user.has_perm("seedance_celery.buy_video"))

    def has_abandon_permission(self, request: HttpRequest) -> bool:
        """Tell whether a user may let what waits for a video go."""
        return bool(request.user.has_perm("seedance_celery.abandon_video"))

    @admin.action(description=gettext_lazy("Poll now"), permissions=["change"])
    def poll_now(self, request: HttpRequest, queryset: QuerySet[Video]) -> Answer:
        """Ask the API now."""
        return self._each(request, queryset, _("Poll now"), Video.refresh)

    @admin.action(description=gettext_lazy("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Video]) -> Answer:
        """Wait again for videos that may still come."""
        return self._each(request, queryset, _("Resume"), Video.resume)

    @admin.action(description=gettext_lazy("Keep the file"), permissions=["change"])
    def store(self, request: HttpRequest, queryset: QuerySet[Video]) -> Answer:
        """Send `store_video` for completed videos without a file."""
        return self._each(request, queryset, _("Keep the file"), _store)

    @admin.action(description=gettext_lazy("Adopt an API id…"), permissions=["change"])
    def adopt(self, request: HttpRequest, queryset: QuerySet[Video]) -> Answer:
        """Ask which video an unknown create bought."""
        videos = list(queryset[:2])
        if len(videos) != 1 or videos[0].status not in ADOPTABLE:
            text = _("Select one video whose create is unknown, or that is lost.")
            self.message_user(request, text, messages.WARNING)
            return None
        is_answer = "confirmed" in request.POST
        form = AdoptForm(videos[0], request.POST if is_answer else None)
        is_adopted = form.adopt() if is_answer and form.is_valid() else None
        if is_adopted is None:
            about = _(
                "Which video did this create buy? The provider's dashboard shows its id. Polling, "
                "and what waits for the video, go on with it; nothing is bought."
            )
            return self._ask(request, videos, "adopt", _("Adopt an API id"), form=form, about=about)
        if is_adopted:
            self.log_change(request, videos[0], _("Adopt an API id"))
        return self._tell(request, videos if is_adopted else [], videos, _("Adopt an API id"))

    @admin.action(description=gettext_lazy("Buy again…"), permissions=["buy"])
    def buy_again(self, request: HttpRequest, queryset: QuerySet[Video]) -> Answer:
        """POST unknown creates once more, after a warning."""
        warning = _(
            "Each of these was sent before, and may have been bought. Buying again may pay twice. "
            "If the provider's dashboard shows the video, adopt its id instead."
        )
        return self._confirmed(
            request, queryset, "buy_again", _("Buy again"), warning, Video.buy_again
        )

    @admin.action(description=gettext_lazy("Give up…"), permissions=["abandon"])
    def give_up(self, request: HttpRequest, queryset: QuerySet[Video]) -> Answer:
        """Stop waiting for unknown creates."""
        warning = _("What waits for these videos is told that it will not come; errbacks run.")
        return self._confirmed(request, queryset, "give_up", _("Give up"), warning, Video.give_up)

    @admin.action(description=gettext_lazy("Stop waiting…"), permissions=["abandon"])
    def stop_waiting(self, request: HttpRequest, queryset: QuerySet[Video]) -> Answer:
        """Drop the tasks that wait."""
        warning = _(
            "The tasks that wait for these videos are dropped: neither their chains nor their "
            "errbacks go on. The videos themselves are still followed."
        )
        return self._confirmed(
            request, queryset, "stop_waiting", _("Stop waiting"), warning, Video.stop_waiting
        )

    # How they go.

    def _confirmed(
        self,
        request: HttpRequest,
        queryset: QuerySet[Video],
        action: str,
        title: str,
        warning: str,
        act: Callable[[Video], object],
    ) -> Answer:
        if "confirmed" in request.POST:
            return self._each(request, queryset, title, act)
        videos = self._chosen(request, queryset)
        return self._ask(request, videos, action, title, warning=warning)

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Video],
        title: str,
        act: Callable[[Video], object],
    ) -> Answer:
        videos = self._chosen(request, queryset)
        done, failed = [], []
        for video in videos:
            try:
                if act(video):
                    done.append(video)
                    self.log_change(request, video, title)
            except Exception as error:
                if is_away(error, video.db):
                    raise
                failed.append(video)
                logger.warning("%s failed for video %s", title, video.pk, exc_info=error)
        if failed:
            text = ngettext(
                "%(action)s: %(n)d video could not be handled; the log tells why (%(names)s).",
                "%(action)s: %(n)d videos could not be handled; the log tells why (%(names)s).",
                len(failed),
            )
            names = ", ".join(str(video) for video in failed[:10])
            told = {"action": title, "n": len(failed), "names": names}
            self.message_user(request, text % told, messages.ERROR)
        return self._tell(request, done, [v for v in videos if v not in failed], title)

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Video]) -> list[Video]:
        videos = read(queryset[: MOST + 1])
        if len(videos) > MOST:
            text = _("An action takes %(most)d videos: the rest of your choice is left as it is.")
            self.message_user(request, text % {"most": MOST}, messages.WARNING)
        return videos[:MOST]

    def _tell(
        self, request: HttpRequest, done: list[Video], videos: list[Video], title: str
    ) -> Answer:
        values = {"action": title, "n": len(done)}
        if done:
            text = ngettext("%(action)s: %(n)d video.", "%(action)s: %(n)d videos.", len(done))
            self.message_user(request, text % values, messages.SUCCESS)
        if left := [video for video in videos if video not in done]:
            text = ngettext(
                "%(action)s: %(n)d video was left out (%(statuses)s).",
                "%(action)s: %(n)d videos were left out (%(statuses)s).",
                len(left),
            )
            statuses = dict.fromkeys(str(video.get_status_display()) for video in left)
            told = {**values, "n": len(left), "statuses": ", ".join(statuses)}
            self.message_user(request, text % told, messages.WARNING)
        return None

    def _ask(
        self, request: HttpRequest, videos: list[Video], action: str, title: str, **more: Any
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "videos": [{"row": video, "facts": facts(video)} for video in videos],
            "action": action,
            "back": request.POST.get("back", ""),
            **more,
        }
        return TemplateResponse(request, "admin/seedance_celery/video/confirm.html", context)


def _store(video: Video) -> object:
    return video.store() if fits("store", video) else ""


def fits(action: str, video: Video) -> bool:
    """Tell whether an action can do anything for a video as it is."""
    status = Video.Status
    if action == "poll_now":
        return video.is_polled or video.is_ended_by_us
    if action == "resume":
        return video.is_ended_by_us or video.status == status.LOST
    if action == "store":
        return video.status == status.COMPLETED and not video.file
    if action == "adopt":
        return video.status in ADOPTABLE
    if action in ("buy_again", "give_up"):
        is_open = action != "give_up" or not video.is_finished
        return video.status == status.CREATE_UNKNOWN and is_open
    # What may be pruned can be deleted, which the page offers anyway.
    return action == "stop_waiting" and _kept_tasks(video).unfinished().exists()


def _kept_tasks(video: Video) -> KeptTaskQuerySet:
    return KeptTask.objects.primary().filter(video=video)


ACTIONS = (
    *("poll_now", "resume", "store", "adopt"),
    *("buy_again", "give_up", "stop_waiting", "prune"),
)
