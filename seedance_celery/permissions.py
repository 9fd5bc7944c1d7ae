"""Who may see a video outside the admin: what `SEEDANCE["VIEW_PERMISSION"]` names."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.module_loading import import_string

from .conf import get_settings
from .models import Video

__all__ = ["may_view", "staff_only"]


def staff_only(request: HttpRequest, video: Video) -> bool:
    """Let active members of the staff see every video: the default."""
    user = getattr(request, "user", None)
    return user is not None and user.is_active and user.is_staff


def may_view(request: HttpRequest, video: Video) -> bool:
    """Ask the project whether the sender of a request may see a video.

    Only `True` is a yes: what returns a queryset, a coroutine or a user by mistake shows nothing.
    """
    permission = get_settings().view_permission
    if isinstance(permission, str):
        permission = import_string(permission)
    return permission(request, video) is True
