"""Who may see a video outside the admin: the default for the setting `VIEW_PERMISSION`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.utils.module_loading import import_string

from .conf import get_settings
from .models import Video

__all__ = ["may_view", "permission", "staff_only"]


def staff_only(request: HttpRequest, video: Video) -> bool:
    """Let active members of the staff see every video: the default."""
    user = getattr(request, "user", None)
    return user is not None and user.is_active and user.is_staff


def may_view(request: HttpRequest, video: Video) -> bool:
    """Ask the project whether the sender of a request may see a video.

    Only `True` is a yes: what returns a queryset, a coroutine or a user by mistake shows nothing.
    """
    return permission()(request, video) is True


def permission() -> Callable[..., Any]:
    """Return the function that decides."""
    named = get_settings().view_permission
    found: Callable[..., Any] = import_string(named) if isinstance(named, str) else named
    return found
