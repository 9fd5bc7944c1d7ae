"""What the pages of the admin show of a row, as HTML."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from ..models import AccountState, Video
from ..redaction import redact
from ..status import playable_url, shown

__all__ = ["age", "bar", "holds", "name", "order", "player", "raw", "timeline", "waiting"]

WAITING_SHOWN = 50


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else date_format(localtime(moment), "DATETIME_FORMAT")


def name(video: Video) -> SafeString:
    """Return the API's id, or ours; a long one is cut by the style sheet."""
    return format_html('<span class="seedance-name" title="{}">{}</span>', video, video)


def bar(video: Video) -> SafeString:
    """Return the progress of a row: a bar while it goes on, the words of its status after."""
    context = {"video": video, "shown": shown(video)}
    return render_to_string("admin/seedance_celery/video/bar.html", context)


def age(video: Video) -> str:
    """Return how long ago a video was ordered."""
    return timesince(video.created_at, video.now, depth=1)


def order(video: Video) -> SafeString:
    """Return what the price depends on: model, length and size."""
    facts = [_("%(n)s s") % {"n": video.seconds} if video.seconds else "", video.size]
    lines = [video.model or "-", " · ".join(filter(None, facts))]
    return format_html('<span class="seedance-order">{}<br>{}</span>', *lines)


def player(video: Video) -> SafeString | str:
    """Return a player for what there is to play."""
    if not playable_url(video):
        return "-"
    context = {"playable_url": playable_url(video), "expired": _("The link has expired.")}
    return render_to_string("seedance_celery/video.html", context)


def timeline(video: Video) -> SafeString | str:
    """Return what changed when, the newest first."""
    events = [(_moment(time), event) for time, event in reversed(video.history)]
    return _list("seedance-timeline", events)


def _moment(text: str) -> str:
    moment = parse_datetime(text)
    return _time(moment) if moment else text


def _list(kind: str, rows: Iterable[tuple[Any, Any]]) -> SafeString | str:
    items = format_html_join("", "<li><span>{}</span> {}</li>", rows)
    return format_html('<ol class="{}">{}</ol>', kind, items) if items else "-"


def waiting(video: Video) -> SafeString | str:
    """Return the tasks that wait or waited, by name and Celery id: never what they carry."""
    kept = video.kept_tasks.defer("signature").order_by("-created_at")[:WAITING_SHOWN]
    rows = [(f"{row.task} {row.celery_id}", _state(row)) for row in kept]
    return _list("seedance-waiting", rows)


def _state(kept: Any) -> str:
    if kept.finished_at:
        return _("done on %(time)s") % {"time": _time(kept.finished_at)}
    if kept.due_at:
        return _("to be sent on %(time)s") % {"time": _time(kept.due_at)}
    return _("waits for the end of the video")


def holds(video: Video) -> SafeString | str:
    """Return what holds the video's account back."""
    state = AccountState.objects.filter(name=video.account).first()
    if state is None:
        return "-"
    until = state.hold_until
    facts = [
        (_("held back until"), _time(until)) if until and until > video.now else None,
        (_("key refused since"), _time(state.refused_at)) if state.refused_at else None,
        (_("reason"), state.refused_reason) if state.refused_reason else None,
        _creates_held(state, video.now),
    ]
    return _list("seedance-holds", [fact for fact in facts if fact])


def _creates_held(state: AccountState, now: datetime) -> tuple[str, str] | None:
    until = state.creates_hold_until
    is_held = until is not None and until > now
    return (_("no creates until"), _time(until)) if is_held else None


def raw(value: Any) -> SafeString | str:
    """Return an answer of the API without keys, tokens and signatures."""
    if value is None:
        return "-"
    text = json.dumps(redact(value), indent=2, ensure_ascii=False)
    return format_html('<pre class="seedance-raw">{}</pre>', text)
