"""Rows from views: nothing is sent before the transaction commits.

What cannot be sent then, because the broker is away, is the sweep's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from celery.canvas import Signature
from celery.exceptions import Ignore
from django.db import transaction

from . import sending
from .api.arguments import checked_flag
from .buying.orders import order
from .canvas import keeping
from .canvas.uses import mark
from .conf import get_settings
from .db import clock
from .exceptions import InvalidRequest
from .lifecycle import endings
from .lifecycle.targets import find_video, follow
from .models import KeptTask, Video
from .models.actions import checked_timeout

__all__ = ["generate_video", "track_video", "wait_for_video"]

PEEK = 0.5
"""Seconds between two looks at a row that is waited for."""


def generate_video(
    prompt: str,
    *,
    model: str | None = None,
    seconds: int | None = None,
    size: str | None = None,
    images: Iterable[Any] = (),
    account: str | None = None,
    idempotency_key: str | None = None,
    metadata: Any = None,
    timeout: float | None = None,
    link: Any = None,
    link_error: Any = None,
    store: bool | None = None,
) -> Video:
    """Insert a video that a worker buys, follows and announces; return its row at once.

    The options are `create_video`'s, but `images` may also be open files. `timeout` is in seconds
    from the create's reply. `link` is called with what `poll_video` returns, or with what
    `store_video` returns where `store` is true; `link_error` on any other end. A second call with
    the same `idempotency_key` returns the first row and sends nothing, its `link` included;
    `video.created` says which of the two it is. Raises `InvalidRequest` before anything is
    inserted, also for an `idempotency_key` of another order (another prompt, model, length, size
    or image content), and for one whose row was removed within `KEEP_KEYS`.
    """
    canvas = _canvas(link, link_error, store=store)
    with transaction.atomic(using=Video.objects.primary().db):
        video, is_new = order(
            prompt,
            model=model,
            seconds=seconds,
            size=size,
            images=images,
            account=account,
            idempotency_key=idempotency_key,
            metadata=metadata,
            timeout=timeout,
            store=store,
            takes_files=True,
        )
        video.created = is_new
        if is_new:
            _park(video, canvas, is_new=True)
            video.keep(sending.SUBMIT, str(video.pk))
    return video


def track_video(
    api_id: str,
    *,
    account: str | None = None,
    timeout: float | None = None,
    link: Any = None,
    link_error: Any = None,
    store: bool | None = None,
) -> Video:
    """Follow a video that something else bought; return its row at once.

    `link`, `link_error` and `store` as for `generate_video`; `timeout` in seconds from now. A
    video that is followed already is one row and one poll loop; `video.created` says whether this
    call inserted it. One that completed without a usable link is asked for again.
    """
    canvas = _canvas(link, link_error, store=store)
    with transaction.atomic(using=Video.objects.primary().db):
        video = follow(api_id, account, timeout, resumes=True)
        if store:
            endings.want_file(video, send=canvas is None)
        _park(video, canvas, is_new=False)
    return video


def wait_for_video(video: Video | str | uuid.UUID, timeout: float | None = None) -> Video:
    """Block until a video has ended, by looking at its row; return it.

    Raises `TimeoutError` after `timeout` seconds (default: never), and
    `django.db.transaction.TransactionManagementError` inside an atomic block, which would never
    see the end.
    """
    timeout = checked_timeout(timeout, lowest=0)
    row = find_video(video)
    if transaction.get_connection(row.db).in_atomic_block:
        raise transaction.TransactionManagementError(
            "wait_for_video() inside an atomic block can never end: the worker does not see the "
            "video before the transaction commits. Call it after the block."
        )
    ends_at = None if timeout is None else time.monotonic() + timeout
    while not row.is_finished:
        if ends_at is not None and time.monotonic() >= ends_at:
            raise TimeoutError(f"Video {row} is still {row.status} after {timeout:g} s.")
        clock.sleep(PEEK)
        row = row.current()
    return row


def _canvas(link: Any, link_error: Any, *, store: Any) -> dict[str, Any] | None:
    """Return the options of the `poll_video` that waits; None where nothing waits."""
    store = checked_flag(store, "store")
    links, errbacks = _signatures(link, "link"), _signatures(link_error, "link_error")
    if not links and not errbacks:
        return None
    if not store:
        return {"link": links, "link_error": errbacks}
    step = Signature(sending.STORE, options={"link": links, "link_error": errbacks})
    return {"link": [step], "link_error": errbacks}


_GIVEN = {
    "link": "It is given the result of poll_video, then its own arguments.",
    "link_error": "It is given (request, exc, traceback), then its own arguments.",
}


def _signatures(value: Any, name: str) -> list[Any]:
    values = list(value) if isinstance(value, (list, tuple)) else [value] * (value is not None)
    for signature in values:
        if not isinstance(signature, Signature):
            message = f"{name} is a signature (task.s(…)), not {type(signature).__name__}."
            raise InvalidRequest(message, name)
        if not sending.is_keepable(signature):
            message = f"{name} cannot wait in a row: its arguments are no JSON, or too deep."
            raise InvalidRequest(message, name)
        misfit = sending.misfit(signature, 1 if name == "link" else None)
        if misfit:
            message = f"{name}: {signature.task} cannot be called so: {misfit}. {_GIVEN[name]}"
            raise InvalidRequest(message, name)
    return values


def _park(video: Video, canvas: dict[str, Any] | None, *, is_new: bool) -> None:
    """Insert the task that waits for a video, as if it had been sent and had parked.

    `is_new` says that nobody else can have seen the video yet.
    """
    if canvas is None:
        return
    celery_id = str(uuid.uuid4())
    text = sending.signature_text(
        sending.POLL, [mark(video.pk, celery_id)], task_id=celery_id, **canvas
    )
    kept = KeptTask(celery_id=celery_id, task=sending.POLL, video=video, signature=text)
    if not is_new:
        # It may end before this is committed, and would not see this task then.
        kept.due_at = video.now + timedelta(seconds=get_settings().resend_after)
        transaction.on_commit(partial(_look_again, kept), using=video.db, robust=True)
    kept.save(using=video.db)


def _look_again(kept: KeptTask) -> None:
    with suppress(Ignore):
        if not keeping.park(kept, Video.objects.unfinished()):
            kept.send()
