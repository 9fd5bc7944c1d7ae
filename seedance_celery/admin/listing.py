"""What keeps the list fast with a million rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import MAXYEAR, MINYEAR, datetime
from datetime import timezone as dt_timezone
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dates import MONTHS
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from ..conf import get_settings
from ..models import Video

if TYPE_CHECKING:
    _Paginator = Paginator[Video]
else:
    _Paginator = Paginator

__all__ = [
    *("AccountFilter", "BoundedPaginator", "ModelFilter"),
    *("drill_down", "find", "is_possible"),
]

EARLIEST, LATEST = (datetime(year, 1, 1, tzinfo=dt_timezone.utc) for year in (MINYEAR + 1, MAXYEAR))

_LOWEST = (("year", 2000), ("month", 1), ("day", 1))

MOST_ROWS = 10_000
"""How many rows the pages of one list reach; filters and dates lead to the others."""


YEARS = 30
"""How far back the years to choose from go without a gap."""


class BoundedPaginator(_Paginator):
    """Counts up to `MOST_ROWS` rows and no further."""

    @cached_property
    def count(self) -> int:
        """The number of rows that pages lead to."""
        rows: QuerySet[Video] | list[Video] = self.object_list  # type: ignore[assignment]
        if isinstance(rows, list):
            return len(rows)
        # The key alone: what the rows bring along would be worked out for each of them.
        return rows.order_by().values("pk")[:MOST_ROWS].count()


class _SettingFilter(admin.SimpleListFilter):
    """A filter by what the settings know: looking for the values would read the whole table."""

    def known(self) -> Iterable[str]:
        """Return the values to choose from."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(self.known())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Video]) -> QuerySet[Video]:
        value = self.value()
        name = str(self.parameter_name)
        return queryset.filter(**{name: value}) if value else queryset


class AccountFilter(_SettingFilter):
    """By account."""

    title = _("account")
    parameter_name = "account"

    def known(self) -> Iterable[str]:
        return get_settings().accounts


class ModelFilter(_SettingFilter):
    """By model."""

    title = _("model")
    parameter_name = "model"

    def known(self) -> Iterable[str]:
        return get_settings().models


def find(rows: QuerySet[Video], text: str) -> QuerySet[Video]:
    """Return the videos with an id: the API's, or our own."""
    text = text.strip()
    if not text:
        return rows
    try:
        return rows.filter(Q(pk=uuid.UUID(text)) | Q(api_id=text))
    except ValueError:
        return rows.filter(api_id=text)


def is_possible(params: Mapping[str, Any]) -> bool:
    """Tell whether there may be rows of the dates asked for; Django's own list raises for some."""
    try:
        year, month, day = (int(params.get(f"created_at__{part}", low)) for part, low in _LOWEST)
        datetime(year, month, day)  # noqa: DTZ001  (a date of the calendar)
    except ValueError:
        return False
    # What begins or ends beyond the calendar, in some time zone.
    return MINYEAR < year < MAXYEAR


def drill_down(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the years, months or days to choose from, as `{"text", "params"}`.

    From the first and the last row alone: Django's own drill-down reads every row for it.
    The dates asked for are possible ones.
    """
    year, month = (int(params.get(f"created_at__{part}", 0)) for part in ("year", "month"))
    if params.get("created_at__day"):
        return [_choice(str(_("All days")), year=year, month=month)]
    if month:
        return [_choice(str(year), year=year), *_days(year, month)]
    return [_choice(str(_("All years"))), *_months(year)] if year else _years()


def _choice(text: str, **parts: int) -> dict[str, Any]:
    return {"text": text, "params": {f"created_at__{name}": part for name, part in parts.items()}}


def _years() -> list[dict[str, Any]]:
    rows = Video.objects.order_by("created_at").values_list("created_at", flat=True)
    # Some drivers raise for a date that is beyond the calendar.
    rows = rows.filter(created_at__gte=EARLIEST, created_at__lte=LATEST)
    first, last = rows.first(), rows.last()
    if first is None or last is None:
        return []
    first_year, last_year, this = _local(first), _local(last), timezone.now().year
    # A broken date must not bring thousands of years along, but leads to its row.
    years = range(max(first_year, this - YEARS), min(last_year, this + 1) + 1)
    found = {year for year in (first_year, *years, last_year) if MINYEAR < year < MAXYEAR}
    return [_choice(str(year), year=year) for year in sorted(found)]


def _local(moment: datetime) -> int:
    try:
        return timezone.localtime(moment).year if timezone.is_aware(moment) else moment.year
    except OverflowError:  # at the ends of the calendar another zone's time is no date
        return moment.year


def _months(year: int) -> list[dict[str, Any]]:
    return [_choice(str(name), year=year, month=number) for number, name in MONTHS.items()]


def _days(year: int, month: int) -> list[dict[str, Any]]:
    begin = datetime(year, month, 1)  # noqa: DTZ001  (a date of the calendar)
    end = datetime(year + month // 12, month % 12 + 1, 1)  # noqa: DTZ001
    days = range(1, (end - begin).days + 1)
    return [_choice(str(day), year=year, month=month, day=day) for day in days]
