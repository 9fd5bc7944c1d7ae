"""The gallery's rows in the admin."""

from __future__ import annotations

from django.contrib import admin

from .models import Film, FilmEvent, Refund


class FilmEventInline(admin.TabularInline):
    """What happened to the film."""

    model = FilmEvent
    extra = 0
    can_delete = False
    readonly_fields = ("text", "at")


@admin.register(Film)
class FilmAdmin(admin.ModelAdmin):
    """Films, newest first."""

    list_display = ("__str__", "owner", "stage", "progress", "created_at")
    list_filter = ("stage",)
    list_select_related = ("owner",)
    raw_id_fields = ("owner", "video")
    inlines = (FilmEventInline,)


@admin.register(Refund)
class RefundAdmin(admin.ModelAdmin):
    """Refunds that the errback has written."""

    list_display = ("film", "created_at")
    raw_id_fields = ("film",)
