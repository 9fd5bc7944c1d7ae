"""The admin, where people look at videos and do what only a person may decide."""

from __future__ import annotations

from django.contrib import admin

from ..models import AccountState, Video
from .accounts import AccountStateAdmin
from .videos import VideoAdmin

__all__ = ["AccountStateAdmin", "VideoAdmin"]

admin.site.register(Video, VideoAdmin)
admin.site.register(AccountState, AccountStateAdmin)
