"""Which video a task is about: from an id, a create's reply, or the pk of a row."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from .. import signals, waits
from ..api.arguments import checked_account
from ..conf import get_settings
from ..db import clock
from ..exceptions import InvalidRequest
from ..models import Video
from ..models.actions import checked_api_id, checked_timeout

__all__ = ["find_video", "follow"]


def follow(
    target: Any,
    account: str | None = None,
    timeout: float | None = None,
    *,
    resumes: bool = False,
) -> Video:
    """Return the row of a video; make one, with a poll loop, where there is none.

    With `resumes` a video that completed without a usable link is asked for again, unless
    `target` is a reply of ours: that is a canvas that comes late, and not somebody who asks anew.
    Raises `TypeError` for what cannot name a video, `ValueError` for an empty or unknown id.
    """
    checked_timeout(timeout)
    account = checked_account(account)
    pk, api_id, named = _parse(target)
    if pk is not None:
        is_asked = resumes and not isinstance(target, Mapping)
        return _followed(_by_pk(pk), timeout, resumes=is_asked)
    account = account or named or _account_of(api_id)
    get_settings().account(account)
    values = _new_row(timeout, is_reply=isinstance(target, Mapping))
    with transaction.atomic(using=Video.objects.primary().db):
        video, is_new = Video.objects.primary().get_or_create(
            account=account, api_id=api_id, defaults=values
        )
        video = video.current()
        video.created = is_new
        if is_new:
            wait = (video.next_poll_at - video.now).total_seconds() if video.next_poll_at else 0
            video.call(max(0.0, wait))
            signals.tell(signals.video_created, video)
    return video if is_new else _followed(video, timeout, resumes=resumes)


def find_video(target: Any) -> Video:
    """Return the row that a result of ours, a pk or an API's id names; `ValueError` if none."""
    pk, api_id, account = _parse(target)
    if pk is not None:
        return _by_pk(pk)
    rows = Video.objects.primary().with_now().filter(api_id=api_id)
    video = rows.filter(Q(account=account) if account else Q()).first()
    if video is None:
        raise InvalidRequest(f"There is no row for the API id {api_id}.", "video")
    return video


_BEFORE = "In a chain: does the task before this one return the create's reply, or its id?"


def _parse(target: Any) -> tuple[Any, str, str | None]:
    """Return the pk, or the API's id and the account that goes with it."""
    if isinstance(target, uuid.UUID):
        return target, "", None
    if isinstance(target, Video):
        return target.pk, "", None
    if isinstance(target, str):
        return None, checked_api_id(target), None
    if isinstance(target, Mapping):
        return _parse_mapping(target)
    raise TypeError(
        f"A video is an API id, a create's reply or a row's pk, not {type(target).__name__}. "
        f"{_BEFORE}"
    )


def _parse_mapping(target: Mapping[str, Any]) -> tuple[Any, str, str | None]:
    if target.get("video_pk"):
        return _parse_pk(target["video_pk"]), "", None
    for name in ("id", "task_id"):
        if target.get(name):
            return None, checked_api_id(target[name]), checked_account(target.get("account"))
    raise InvalidRequest(
        f"A {type(target).__name__} without video_pk, id or task_id names no video. {_BEFORE}",
        "video",
    )


def _parse_pk(pk: Any) -> uuid.UUID:
    try:
        return pk if isinstance(pk, uuid.UUID) else uuid.UUID(pk)
    except (AttributeError, TypeError, ValueError):
        message = "video_pk is the primary key of a row: a UUID, or the text of one."
        raise InvalidRequest(message, "video") from None


def _by_pk(pk: uuid.UUID) -> Video:
    try:
        return Video.objects.primary().with_now().get(pk=pk)
    except Video.DoesNotExist:
        raise InvalidRequest(f"There is no video with the pk {pk}.", "video") from None


def _account_of(api_id: str) -> str:
    names = list(
        Video.objects.primary().filter(api_id=api_id).values_list("account", flat=True)[:2]
    )
    return names[0] if len(names) == 1 else "default"


def _new_row(timeout: float | None, *, is_reply: bool) -> dict[str, Any]:
    settings = get_settings()
    timeout = timeout or settings.timeout
    # A create has just replied: its video is not done yet. An id alone may be hours old.
    wait = waits.countdown(*settings.poll_countdown) if is_reply else 0.0
    return {
        "status": Video.Status.QUEUED,
        "timeout": timeout,
        "created_at": clock.now(),
        "deadline_at": clock.after(timeout),
        "next_poll_at": clock.after(wait),
        "overdue_at": clock.after(wait + settings.resend_after),
        "poll_token": 1,
    }


def _followed(video: Video, timeout: float | None, *, resumes: bool) -> Video:
    # An end that is not announced yet is still under way: its receivers come first.
    if resumes and video.lacks_link and video.announced_at and video.resume(timeout):
        return video.current()
    return _extended(video, timeout)


def _extended(video: Video, timeout: float | None) -> Video:
    """Let a video's deadline be the latest that any waiting task asked for."""
    if timeout is None or video.deadline_at is None:
        return video
    deadline_at = video.now + timedelta(seconds=timeout)
    rows = Video.objects.primary().polled().filter(pk=video.pk, deadline_at__lt=deadline_at)
    if rows.update(deadline_at=deadline_at):
        video.deadline_at = deadline_at
    return video
