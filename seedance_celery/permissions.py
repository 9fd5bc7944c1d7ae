"""Who may see a video outside the admin: the default for the setting `VIEW_PERMISSION`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.utils.module_loading import import_string

from .conf import get_settings
from .models import Video
from .models.reading import is_away

__all__ = ["may_view", "permission", "staff_only"]


logger = logging.getLogger(__name__)


def staff_only(request: HttpRequest, video: Video) -> bool:
    """Let active members of the staff see every video: the default."""
    user = getattr(request, "user", None)
    return user is not None and user.is_active and user.is_staff


def may_view(request: HttpRequest, video: Video) -> bool:
    """Ask the project whether the sender of a request may see a video.

    Only `True` is a yes: what returns a queryset, a coroutine or a user by mistake shows nothing.
    An error is a no for this video, and is logged: the other videos of a page are shown.
    """
    decide = permission()
    try:
        return decide(request, video) is True
    except (PermissionDenied, Http404):
        return False
    except Exception as error:
        if is_away(error, video.db):
            raise
        logger.exception("VIEW_PERMISSION failed for video %s, which is not shown", video.pk)
        return False


def permission() -> Callable[..., Any]:
    """Return the function that decides."""
    named = get_settings().view_permission
    found: Callable[..., Any] = import_string(named) if isinstance(named, str) else named
    return found
