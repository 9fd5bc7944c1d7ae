"""The keys that are, or were, in trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from ..models import AccountState
from .parts import moment, part

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[AccountState]
else:
    _ModelAdmin = admin.ModelAdmin

__all__ = ["AccountStateAdmin"]


def _time(name: str) -> Any:
    """Return a column for a time, which survives the ends of the calendar."""

    def show(state: AccountState) -> str:
        time = getattr(state, name)
        return "-" if time is None else moment(time)

    show.__name__ = name
    field: Any = AccountState._meta.get_field(name)
    return admin.display(description=field.verbose_name, ordering=name)(part(show))


refused_at, hold_until = _time("refused_at"), _time("hold_until")
probe_until, creates_hold_until = _time("probe_until"), _time("creates_hold_until")


class AccountStateAdmin(_ModelAdmin):
    """Read-only: what workers know about keys changes by answers of the API alone."""

    list_display = ("name", refused_at, "refused_reason", hold_until, "strikes")
    fields = (
        *("name", refused_at, "refused_reason", hold_until, probe_until, "strikes"),
        *(creates_hold_until, "creates_day", "creates"),
    )
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AccountState | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AccountState | None = None) -> bool:
        return False
