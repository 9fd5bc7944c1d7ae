"""Deleting videos in the admin: the action *Prune…* and Django's own page for one video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.db import DataError, IntegrityError
from django.db.models import ProtectedError, QuerySet
from django.db.models.deletion import Collector
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..lifecycle.deletion import (
    Deleted,
    ForbiddenError,
    MayNot,
    Refusal,
    along,
    delete,
    delete_each,
    survey,
)
from ..models import Video

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Video]
else:
    _ModelAdmin = object

__all__ = ["Deletions", "may_not"]

Answer = HttpResponse | None


def may_not(site: admin.AdminSite, request: HttpRequest) -> MayNot:
    """Return what finds the models whose rows a user may not delete.

    As on Django's own delete page, the admin of a model decides, and for each row; rows of models
    that have no admin are nobody's to forbid.
    """

    def find(collector: Collector) -> Iterator[str]:
        for model, rows in along(collector):
            if site.is_registered(model):
                allows = site.get_model_admin(model).has_delete_permission
                if not all(allows(request, row) for row in rows):
                    yield str(model._meta.verbose_name)

    return find


class Deletions(_ModelAdmin):
    """What a `ModelAdmin` of videos needs to delete some of them."""

    _chosen: Callable[..., list[Video]]
    _tell: Callable[..., Answer]
    _ask: Callable[..., HttpResponse]

    @admin.action(description=gettext_lazy("Prune…"), permissions=["delete"])
    def prune(self, request: HttpRequest, queryset: QuerySet[Video]) -> Answer:
        """Remove the rows of videos that nothing needs any more."""
        title = _("Prune")
        videos = self._chosen(request, queryset)
        forbids = may_not(self.admin_site, request)
        if "confirmed" not in request.POST:
            warning = _(
                "The rows are removed. A video that has not ended, or that a task waits for or "
                "waited for within the last week, stays."
            )
            found = survey(videos, may_not=forbids)
            more = {"along": told_along(found), "stays": _stays(found, videos)}
            return self._ask(request, videos, "prune", title, warning=warning, **more)
        deleted = delete_each(videos, may_not=forbids)
        keys = set(deleted.videos)
        gone = [video for video in videos if video.pk in keys]
        if gone:
            self.log_deletions(request, gone)  # type: ignore[arg-type]  # a list will do
        self._tell_of_refusals(request, deleted.refused)
        refused = {refusal.video.pk for refusal in deleted.refused}
        answer = self._tell(request, gone, [v for v in videos if v.pk not in refused], title)
        if deleted.along:
            text = _("With them went: %(rows)s.") % {"rows": ", ".join(_counted(deleted))}
            self.message_user(request, text, messages.SUCCESS)
        return answer

    def _tell_of_refusals(self, request: HttpRequest, refused: list[Refusal]) -> None:
        protected = [refusal for refusal in refused if refusal.is_protected]
        if protected:
            text = ngettext(
                "%(n)d video was kept: something refers to it.",
                "%(n)d videos were kept: something refers to them.",
                len(protected),
            )
            text = f"{text % {'n': len(protected)}} ({_by(protected)})"
            self.message_user(request, text, messages.WARNING)
        others = [refusal for refusal in refused if not refusal.is_protected]
        if others:
            text = ngettext(
                "%(n)d video could not be deleted: %(reasons)s",
                "%(n)d videos could not be deleted: %(reasons)s",
                len(others),
            )
            reasons = "; ".join(dict.fromkeys(map(_why, others)))
            text = text % {"n": len(others), "reasons": reasons}
            self.message_user(request, text, messages.WARNING)

    # Django's own page.

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Return what Django's delete page shows: counts and some names, however much goes."""
        videos: list[Video] = list(objs)
        found = survey(videos, may_not=may_not(self.admin_site, request))
        shown: list[Any] = [self._link(video) for video in videos]
        names = told_along(found)
        counts = {str(Video._meta.verbose_name_plural): len(videos)}
        counts |= {str(m._meta.verbose_name_plural): n for m, n in found.along.items()}
        lacking = {refusal.by for refusal in found.refused if refusal.is_forbidden}
        protected = [refusal.by for refusal in found.refused if not refusal.is_forbidden]
        return [*shown, names] if names else shown, counts, lacking, protected

    def _link(self, video: Video) -> str:
        page = f"{self.admin_site.name}:seedance_celery_video_change"
        url = reverse(page, args=[quote(video.pk)])
        kind = capfirst(str(Video._meta.verbose_name))
        return format_html('{}: <a href="{}">{}</a>', kind, url, video)

    def delete_model(self, request: HttpRequest, obj: Video) -> None:
        """Delete one video. Raises if it, or what goes with it, has changed since the page."""
        deleted = delete([obj], may_not=may_not(self.admin_site, request))
        if not deleted.videos:
            raise ProtectedError("The video is needed again, or someone has locked it.", {obj})

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show Django's page; a deletion that the database refuses is told, and is no error."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except (IntegrityError, DataError, ForbiddenError) as error:
            text = _("The video could not be deleted: %(why)s") % {"why": error.args[0]}
            self.message_user(request, text, messages.ERROR)
            page = f"{self.admin_site.name}:seedance_celery_video_change"
            return HttpResponseRedirect(reverse(page, args=[object_id]))


def told_along(found: Deleted) -> list[str]:
    """Return a line for each model whose rows go along: how many, and the first by name."""
    lines = []
    for count, names in zip(_counted(found), found.named.values(), strict=False):
        more = ", …" if sum(found.along.values()) > len(names) else ""
        lines.append(f"{count} ({', '.join(names)}{more})")
    return lines


def _counted(found: Deleted) -> list[str]:
    kinds = [(n, model._meta) for model, n in found.along.items()]
    return [f"{n} {meta.verbose_name if n == 1 else meta.verbose_name_plural}" for n, meta in kinds]


def _stays(found: Deleted, videos: list[Video]) -> list[str]:
    """Return a line for each video that stays: which, and why."""
    refused = {refusal.video.pk: _why(refusal) for refusal in found.refused}
    going = set(found.videos)
    needed = _("it has not ended, or a task needs it")
    left = [video for video in videos if video.pk not in going]
    return [f"{video}: {refused.get(video.pk, needed)}" for video in left]


def _why(refusal: Refusal) -> str:
    if refusal.is_forbidden:
        return _("you may not delete what goes with it (%(kinds)s)") % {"kinds": refusal.by}
    if refusal.is_protected:
        return _("something refers to it (%(rows)s)") % {"rows": refusal.by}
    return refusal.by


def _by(refused: list[Refusal]) -> str:
    names = dict.fromkeys(refusal.by for refusal in refused[:10])
    return ", ".join(names) + (", …" if len(refused) > 10 else "")
