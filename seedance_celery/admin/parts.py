"""Values of a row as people read them, of which a broken one costs itself alone."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from django.db import router
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext as _

from ..api.redaction import storable_text
from ..db.once import warn_once
from ..models import Video
from ..models.reading import is_away

__all__ = ["events", "json_text", "moment", "part", "part_of_page"]

logger = logging.getLogger(__name__)

MAX_DEPTH = 32
"""To what depth JSON is shown."""

_Part = TypeVar("_Part", bound=Callable[[Any], Any])


def part(show: _Part) -> _Part:
    """Let a column or field that cannot be shown cost itself alone, and not the page."""

    @functools.wraps(show)
    def shown_part(row: Any) -> Any:
        try:
            return show(row)
        except Exception as error:
            if is_away(error, row._state.db or "default"):
                raise
            kind, what = type(error).__name__, show.__name__
            message = "The admin cannot show the %s of %s %s (%s)"
            key = ("admin", type(row), row.pk, what)
            warn_once(logger, key, message, what, type(row).__name__, row.pk, kind)
            return _("cannot be shown (%(kind)s)") % {"kind": kind}

    return shown_part  # type: ignore[return-value]


def part_of_page(find: Callable[[], Any], name: str, otherwise: Any) -> Any:
    """Return a part of a page that many rows make up; one that cannot be read costs it alone."""
    try:
        return find()
    except Exception as error:
        if is_away(error, router.db_for_read(Video)):
            raise
        kind = type(error).__name__
        warn_once(logger, ("admin", name), "The admin has no %s (%s)", name, kind)
        return otherwise


def moment(time: datetime) -> str:
    """Return a time to the second, in the current time zone: a timeline is read by seconds."""
    try:
        here = localtime(time) if is_aware(time) else time
    except OverflowError:  # at the ends of the calendar another zone's time is no date
        here = time
    return f"{here:%Y-%m-%d %H:%M:%S}"


def events(history: Any) -> Iterator[tuple[str, str]]:
    """Return the pairs of time and event; what is no such pair is shown as it is."""
    for entry in reversed(history) if isinstance(history, list) else [history]:
        is_pair = isinstance(entry, list) and [type(each) for each in entry] == [str, str]
        yield (_read_moment(entry[0]), _event(entry[1])) if is_pair else ("?", json_text(entry))


def _read_moment(text: str) -> str:
    try:
        time = parse_datetime(text)
    except ValueError:  # well formed, and no date
        return text
    return moment(time) if time else text


def _event(event: str) -> str:
    # Beside the row's own "created at" the history's word would be read as the same thing.
    return _("accepted by the API") if event == "created" else event


def json_text(value: Any) -> str:
    """Return JSON as people read it; what is nested too deep for that is cut."""
    text = json.dumps(_shallow(value, MAX_DEPTH), indent=2, ensure_ascii=False)
    return storable_text(text, None)


def _shallow(value: Any, depth: int) -> Any:
    if not isinstance(value, (dict, list)):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, list):
        return [_shallow(each, depth - 1) for each in value]
    return {name: _shallow(each, depth - 1) for name, each in value.items()}
