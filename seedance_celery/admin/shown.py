"""What the pages of the admin show of a row: its columns and its read-only fields."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter
from typing import Any

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..api.redaction import redact, storable_text
from ..models import AccountState, KeptTask, Video
from ..status import is_known, shown
from ..status import player as playing
from .parts import events, json_text, moment, part
from .said import line, said, support_text

__all__ = [
    *("age", "bar", "deadline", "evidence", "facts", "file_kept", "for_support", "holds"),
    *("metadata", "name", "next_poll", "order", "player", "raw_answer", "raw_create"),
    *("time_left", "timeline", "times", "waiting"),
]

WAITING_SHOWN = 50

_TIMES = (
    *("created_at", "post_started_at", "asked_at", "answered_at"),
    *("finished_at", "announced_at", "overdue_at"),
)


# Columns of the list.


@admin.display(description=gettext_lazy("video"))
@part
def name(video: Video) -> SafeString:
    """Return the API's id, or ours; a long one is cut by the style sheet."""
    return format_html('<span class="seedance-name" title="{}">{}</span>', video, video)


@admin.display(description=gettext_lazy("progress"))
@part
def bar(video: Video) -> SafeString:
    """Return the progress of a row: a bar while it goes on, the words of its status after."""
    told = shown(video)
    if not is_known(video):
        told = {**told, "label": video.status or _("(no status)")}
    context = {"video": video, "shown": told}
    return render_to_string("admin/seedance_celery/video/bar.html", context)


@admin.display(description=gettext_lazy("age"), ordering="created_at")
@part
def age(video: Video) -> str:
    """Return how long ago a video was ordered."""
    return _span(video.created_at, video.now)


@admin.display(description=gettext_lazy("time left"))
@part
def time_left(video: Video) -> str:
    """Return how much longer a video takes."""
    return shown(video)["time_left"] or "-"


@admin.display(description=gettext_lazy("order"))
@part
def order(video: Video) -> SafeString:
    """Return what the price depends on: model, length and size."""
    facts = [_("%(n)s s") % {"n": video.seconds} if video.seconds else "", video.size]
    lines = [video.model or "-", " · ".join(filter(None, facts))]
    return format_html('<span class="seedance-order">{}<br>{}</span>', *lines)


@part
def facts(video: Video) -> str:
    """Return what tells a video from others, in one line."""
    time = moment(video.created_at)
    length = _("%(n)s s") % {"n": video.seconds} if video.seconds else ""
    status = str(video.get_status_display())
    return " · ".join(filter(None, [status, video.model, length, video.size, time]))


# Fields of the page.


@admin.display(description=gettext_lazy("video"))
@part
def player(video: Video) -> SafeString | str:
    """Return a player for what there is to play."""
    return render_to_string("seedance_celery/video.html", playing(video)) or "-"


@admin.display(description=gettext_lazy("next poll"))
@part
def next_poll(video: Video) -> str:
    """Return when the API is asked next."""
    return _distant(video.next_poll_at, video.now)


@admin.display(description=gettext_lazy("deadline"))
@part
def deadline(video: Video) -> str:
    """Return until when the video is waited for."""
    return _distant(video.deadline_at, video.now)


@admin.display(description=gettext_lazy("timeline"))
@part
def timeline(video: Video) -> SafeString | str:
    """Return what changed when, the newest first."""
    return _list("seedance-timeline", events(video.history))


@admin.display(description=gettext_lazy("tasks"))
@part
def waiting(video: Video) -> SafeString | str:
    """Return the tasks that wait or waited, by name and Celery id: never what they carry."""
    kept = video.kept_tasks.defer("signature").order_by("-created_at")[:WAITING_SHOWN]
    rows = [(f"{row.task} {row.celery_id}", _state(row)) for row in kept]
    return _list("seedance-waiting", rows, nothing=_("No task waits for this video."))


@admin.display(description=gettext_lazy("account's holds"))
@part
def holds(video: Video) -> SafeString | str:
    """Return what holds the video's account back."""
    state = AccountState.objects.filter(name=video.account).first()
    facts = _holds(state, video.now) if state else []
    return _list("seedance-holds", facts, nothing=_("The account is not held back."))


@admin.display(description=gettext_lazy("file"))
@part
def file_kept(video: Video) -> str:
    """Return the name in the storage, and the size."""
    if not video.file:
        return "-"
    size = f" ({filesizeformat(video.file_size)})" if video.file_size is not None else ""
    return f"{video.file.name}{size}"


@admin.display(description=gettext_lazy("times"))
@part
def times(video: Video) -> SafeString | str:
    """Return the times that the row has, in the order in which they were."""
    found = [(name, getattr(video, name)) for name in _TIMES]
    rows = [(moment(time), _label(name)) for name, time in found if time is not None]
    return _list("seedance-times", sorted(rows, key=itemgetter(0)))


@admin.display(description=gettext_lazy("metadata"))
@part
def metadata(video: Video) -> SafeString | str:
    """Return what the project keeps on the row."""
    if video.metadata is None:
        return "-"
    return format_html('<pre class="seedance-raw">{}</pre>', json_text(video.metadata))


@admin.display(description=gettext_lazy("last answer"))
@part
def raw_answer(video: Video) -> SafeString | str:
    """Return the API's last answer, redacted; where no link was found, with what may be one."""
    return _raw(video.raw, keep_links=video.lacks_link)


@admin.display(description=gettext_lazy("create's reply"))
@part
def raw_create(video: Video) -> SafeString | str:
    """Return the reply to the create, redacted."""
    return _raw(video.create_reply)


@admin.display(description=gettext_lazy("words"))
def evidence(video: Video) -> SafeString | str:
    """Return what the API said when something went wrong."""
    return said(video.evidence)


@admin.display(description=gettext_lazy("copy for support"))
def for_support(video: Video) -> SafeString:
    """Return a text to send to the API's support: no prompt, no key and no signed link."""
    return format_html('<pre class="seedance-raw">{}</pre>', support_text(video))


# How they are put.


def _span(since: datetime, until: datetime) -> str:
    seconds = max(0, round((until - since).total_seconds()))
    return _("%(n)s s") % {"n": seconds} if seconds < 60 else timesince(since, until, depth=1)


def _distant(time: datetime | None, now: datetime) -> str:
    if time is None:
        return "-"
    text = _("in %(span)s") if time >= now else _("%(span)s ago")
    return f"{moment(time)} ({text % {'span': _span(*sorted((time, now)))}})"


def _label(field: str) -> str:
    return str(Video._meta.get_field(field).verbose_name)  # type: ignore[union-attr]


def _list(kind: str, rows: Iterable[tuple[Any, Any]], *, nothing: str = "-") -> SafeString | str:
    safe = ((storable_text(str(a), None), storable_text(str(b), None)) for a, b in rows)
    items = format_html_join("", "<li><span>{}</span> {}</li>", safe)
    return format_html('<ol class="{}">{}</ol>', kind, items) if items else nothing


def _state(kept: KeptTask) -> str:
    if kept.finished_at:
        return _("done on %(time)s") % {"time": moment(kept.finished_at)}
    if kept.due_at:
        return _("to be sent on %(time)s") % {"time": moment(kept.due_at)}
    return _("waits for the end of the video")


def _holds(state: AccountState, now: datetime) -> list[tuple[str, str]]:
    facts = [
        (_("held back until"), _later(state.hold_until, now)),
        (_("key refused since"), state.refused_at),
        (_("no creates until"), _later(state.creates_hold_until, now)),
    ]
    told = [(words, moment(time)) for words, time in facts if time]
    if state.evidence:
        told.append((_("the API said"), line(state.evidence)))
    return [*told, (_("reason"), state.refused_reason)] if state.refused_reason else told


def _later(time: datetime | None, now: datetime) -> datetime | None:
    return time if time is not None and time > now else None


def _raw(value: Any, *, keep_links: bool = False) -> SafeString | str:
    if value is None:
        return "-"
    text = json_text(redact(value, keep_links=keep_links))
    return format_html('<pre class="seedance-raw">{}</pre>', text)
