"""What a person is told of a video, in the same words on every page and in JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypedDict, TypeVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from .api.envelopes import without_request_ids
from .api.redaction import redact_text
from .api.replies import MODERATION
from .api.signed_urls import expires_at
from .conf import get_settings
from .db.once import warn_once
from .models import Video
from .models.reading import is_away
from .polling.estimates import Estimate, estimate, shown_progress

__all__ = [
    *("ShownEstimate", "ShownVideo", "file_url", "is_known", "is_storing", "playable_url"),
    *("player", "shown", "unplayable"),
]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

Status = Video.Status

UNWELL_AFTER = 3
"""Polls in a row without an answer before a person is told."""
SHORTEST, LONGEST = 2, 30
"""Seconds between two looks at a video that has not ended."""
LATE = 300
"""Seconds between two looks at a video that is asked for late, and may still be collected."""
SETTLING = timedelta(minutes=1)
"""How long after its end a video that is to be kept may have no task for it yet."""
LINK_LIFE = timedelta(hours=24)
"""How long a signed URL is trusted that does not say itself; upstream links live 24 h."""

_LABELS = {
    Status.CREATING: gettext_lazy("Being sent"),
    Status.QUEUED: gettext_lazy("In the queue"),
    Status.IN_PROGRESS: gettext_lazy("Rendering"),
    Status.COMPLETED: pgettext_lazy("video", "Ready"),
    Status.FAILED: gettext_lazy("The provider could not make this video"),
    Status.ERROR: gettext_lazy("Something went wrong at the provider"),
    Status.REJECTED: gettext_lazy("Not accepted: nothing was bought"),
    Status.CREATE_UNKNOWN: gettext_lazy("Not certain whether it was bought: someone has to look"),
    Status.TIMED_OUT: gettext_lazy("Takes too long: if it still comes, it will be here"),
    Status.LOST: gettext_lazy("The provider does not know this video"),
}
_UNKNOWN = gettext_lazy("In a state that this page does not know yet")
_MODERATED = gettext_lazy("Its moderation refused the prompt, an image or the result.")
_REASONS = {MODERATION: _MODERATED, "violation": _MODERATED}
_NO_LINK = gettext_lazy("It is made, but there is no link to it yet: if one comes, it will be here")
_UNWELL = gettext_lazy("The provider is not answering well. Nothing is lost: we keep asking.")
_STORE_FAILED = gettext_lazy("The file could not be kept.")


class ShownEstimate(TypedDict):
    """Time left, in seconds: for half of the videos like this one, and for nine in ten."""

    median_seconds_left: int
    p90_seconds_left: int


class ShownVideo(TypedDict, total=False):
    """One video, JSON-ready. Holds no prompt, no key and, unless asked for, no signature."""

    id: str
    """The row's primary key."""
    status: str
    label: str
    """The status in words, translated."""
    progress: int | None
    """0 to 100; None where there is nothing to wait for."""
    is_estimate: bool
    """Whether `progress` is told from the time that has passed, not by the API."""
    estimate: ShownEstimate | None
    time_left: str
    """The estimate in words, translated."""
    poll_after: int | None
    """Seconds until another look is worth it; None where nothing more comes."""
    is_finished: bool
    reason: str
    """Why it ended so, in the provider's words where there are any."""
    notice: str
    """What a person should know meanwhile, translated."""
    stored: str | None
    """`storing`, `stored` or `failed`; None where nothing is kept."""
    file_url: str | None
    """Where the kept file is."""
    video_url: str
    """The signed URL, only where the project allows it."""


def shown(video: Video, *, signed_url: bool = False) -> ShownVideo:
    """Return what a person is told of a video that was read with `with_now()`."""
    nothing: tuple[int | None, bool] = (None, False)
    later: int | None = LONGEST
    progress, is_estimate = _fact(_progress, video, nothing)
    left = _fact(estimate, video, None)
    facts: ShownVideo = {
        "id": str(video.pk),
        "status": video.status,
        "label": _fact(_label, video, str(_UNKNOWN)),
        "progress": progress,
        "is_estimate": is_estimate,
        "estimate": _estimate(left),
        "time_left": _time_left(left),
        "poll_after": _fact(poll_after, video, later),
        "is_finished": video.is_finished,
        "reason": _fact(_reason, video, ""),
        "notice": _fact(_notice, video, ""),
        "stored": _fact(_stored, video, None),
        "file_url": file_url(video),
    }
    if signed_url and video.status == Status.COMPLETED:
        facts["video_url"] = video.video_url
    return facts


def _fact(find: Callable[[Video], _T], video: Video, otherwise: _T) -> _T:
    """Return one fact of a video. What a broken row cannot tell costs that fact alone."""
    try:
        return find(video)
    except Exception as error:
        if is_away(error, video.db):
            raise
        kind = type(error).__name__
        message = "Video %s: %s cannot be told (%s)"
        name = find.__name__.strip("_")
        warn_once(logger, ("status", video.pk, name), message, video.pk, name, kind)
        return otherwise


def is_known(video: Video) -> bool:
    """Tell whether this version knows the status. One that was rolled back may have left others."""
    return video.status in Status.values


def _progress(video: Video) -> tuple[int | None, bool]:
    if video.status in (Status.CREATING, *Video.POLLED, Status.COMPLETED):
        return shown_progress(video)
    return None, False


def _label(video: Video) -> str:
    if video.status == Status.CREATE_UNKNOWN and video.is_finished:
        return _("Given up: it is not known whether it was bought")
    if _stored(video) == "storing":
        return _("Ready, the file is being kept")
    if video.lacks_link:
        return str(_NO_LINK)
    if video.status == Status.CREATING and video.in_line_since is not None:
        return _("Waiting for its turn")
    if not is_known(video):
        message = "Video %s has a status that this version does not know: %r"
        warn_once(logger, ("status", video.pk, video.status), message, video.pk, video.status)
        return str(_UNKNOWN)
    return str(_LABELS[Status(video.status)])


def _estimate(left: Estimate | None) -> ShownEstimate | None:
    if left is None:
        return None
    return {
        "median_seconds_left": left.median_seconds_left,
        "p90_seconds_left": left.p90_seconds_left,
    }


def _time_left(left: Estimate | None) -> str:
    if left is None:
        return ""
    seconds = left.median_seconds_left
    if seconds < 90:
        text = ngettext("about %(n)d second left", "about %(n)d seconds left", seconds)
        return text % {"n": seconds}
    minutes = round(seconds / 60)
    return ngettext("about %(n)d minute left", "about %(n)d minutes left", minutes) % {"n": minutes}


def poll_after(video: Video) -> int | None:
    """Return the seconds until another look at a video is worth it; None where nothing comes."""
    if video.is_ended_by_us:
        return LATE if video.overdue_at else None
    if video.is_finished:
        return SHORTEST if _stored(video) == "storing" else None
    if video.status == Status.CREATE_UNKNOWN or not is_known(video):
        return LONGEST
    if video.next_poll_at is None:
        return SHORTEST
    # A second later than the worker asks: by then it has the answer.
    wait = (video.next_poll_at - video.now).total_seconds() + 1
    return max(SHORTEST, min(LONGEST, round(wait)))


def _reason(video: Video) -> str:
    if not video.is_finished or video.status == Status.COMPLETED:
        return ""
    if video.reason in _REASONS:
        return str(_REASONS[video.reason])
    # The API echoes prompts at times. A request id is of use to its support, not to a customer.
    return redact_text(without_request_ids(video.reason), hide=[video.prompt])


def _notice(video: Video) -> str:
    if _stored(video) == "failed":
        return str(_STORE_FAILED)
    is_waiting = video.is_polled or video.status == Status.CREATING
    is_unwell = is_waiting and (video.troubled or video.errors >= UNWELL_AFTER)
    return str(_UNWELL) if is_unwell else ""


def _stored(video: Video) -> str | None:
    if video.file:
        return "stored"
    if video.status != Status.COMPLETED:
        return None
    if video.store_error:
        return "failed"
    return "storing" if is_storing(video) else None


def is_storing(video: Video) -> bool:
    """Tell whether a file is on its way, of a video that was read with `with_now()`."""
    if video.status != Status.COMPLETED or video.file or video.store_error:
        return False
    if video.has_store:
        return True
    # The task for it comes just before the end is announced, and a canvas's own just after.
    is_wanted = video.store_wanted or get_settings().auto_store
    return is_wanted and (video.announced_at is None or video.now - video.announced_at < SETTLING)


def file_url(video: Video) -> str | None:
    """Return where the kept file is; None where there is none, or its storage has no URLs."""
    if not video.file:
        return None
    try:
        return str(video.file.url)
    except NotImplementedError:
        return None
    except Exception as error:  # noqa: BLE001  (a cloud's storage raises errors of its own)
        logger.warning("The file of video %s has no URL: %s", video, type(error).__name__)
        return None


def playable_url(video: Video) -> str:
    """Return where a video can be played: the kept file, else the signed URL, else "".

    While the file is being kept that is "": a page would load from elsewhere what it is about to
    have itself.
    """
    if video.status != Status.COMPLETED and not video.file:
        return ""
    if _stored(video) == "storing":
        return ""
    kept: Any = file_url(video)
    if kept:
        return str(kept)
    is_web = video.video_url.startswith(("https://", "http://"))
    return video.video_url if is_web else ""


def player(video: Video) -> dict[str, Any]:
    """Return what the template of the player needs, for a video that was read with `with_now()`."""
    is_kept = file_url(video) is not None
    return {
        "playable_url": _fact(playable_url, video, ""),
        "may_have_expired": not is_kept and _fact(_has_expired, video, True),
        "expired": unplayable(is_kept=is_kept),
    }


def unplayable(*, is_kept: bool) -> str:
    """Return what a player says where a browser cannot load the kept file, or the signed URL."""
    if is_kept:
        return _("The file of this video cannot be loaded.")
    return _("The link to this video has expired, or cannot be reached.")


def _has_expired(video: Video) -> bool:
    end: datetime | None = expires_at(video.video_url)
    if end is not None:
        return video.now > end
    # Subtracted, because the sum with a date near the end of the calendar is no date.
    return video.now - (video.finished_at or video.now) > LINK_LIFE
