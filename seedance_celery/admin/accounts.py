"""The keys that are, or were, in trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from ..models import AccountState

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[AccountState]
else:
    _ModelAdmin = admin.ModelAdmin

__all__ = ["AccountStateAdmin"]


class AccountStateAdmin(_ModelAdmin):
    """Read-only: what workers know about keys changes by answers of the API alone."""

    list_display = ("name", "refused_at", "refused_reason", "hold_until", "strikes")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AccountState | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AccountState | None = None) -> bool:
        return False
