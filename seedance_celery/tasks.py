"""The Celery tasks. Each loads a row, lets one module take one step, and ends.

`create_video`, `poll_video` and `store_video` are for canvases; `refresh_video`, `submit_video`
and `sweep_videos` are sent by the package itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar, cast

from celery import shared_task
from celery.contrib.django.task import DjangoTask
from celery.exceptions import Ignore, Reject
from django.db import DataError, Error, transaction

from . import sending, waits
from .accounts import health, limits
from .api.arguments import checked_flag
from .buying import create
from .buying.orders import order
from .canvas import keeping, results
from .canvas.uses import Use, mark, use_of
from .conf import UnknownAccount, get_settings
from .db import clock, locks, pool, row_errors
from .db.leases import Heartbeat
from .db.row_errors import RowLockedError
from .exceptions import CanvasStopped, StoreFailed, VideoEnded
from .lifecycle import sweep
from .lifecycle.decisions import PATIENCE
from .lifecycle.targets import find_video, follow
from .models import KeptTask, Video
from .polling import batch, loop, timings
from .polling.poll import Next
from .storing import files
from .task_types import PollResult, StoreResult, VideoRef

__all__ = [
    "create_video",
    "poll_video",
    "refresh_video",
    "refresh_videos",
    "store_video",
    "sweep_videos",
]

logger = logging.getLogger(__name__)

Status = Video.Status

HOUR = 3600

T = TypeVar("T")


if TYPE_CHECKING:
    from ._typed_tasks import CreateVideoTask, PollVideoTask, StoreVideoTask

    _Task = DjangoTask[Any, Any]
    _Makes: TypeAlias = Callable[[Any], T]
    """A decorator whose function becomes a task with arguments that a type checker knows."""
else:
    _Task = DjangoTask


class SeedanceTask(_Task):
    """A task of this package: its arguments and results are in no log line and no event.

    It has time limits of its own, so that a project's global ones do not cut a download or a
    create short; everything it does is bounded by itself.
    """

    abstract = True
    acks_late = True
    reject_on_worker_lost = True
    acks_on_failure_or_timeout = True
    max_retries = None
    resultrepr_maxsize = 1
    time_limit: int | None = 8 * HOUR
    store_errors_even_if_ignored = False

    @property
    def soft_time_limit(self) -> int | None:  # type: ignore[override]
        # Celery 5.7 refuses to send a task whose soft limit is above its hard one.
        return self.time_limit

    def apply_async(  # type: ignore[override]
        self, args: Any = None, kwargs: Any = None, **options: Any
    ) -> Any:
        """Send the task on `QUEUE` unless the caller names one, without its arguments' text."""
        if not any(options.get(name) for name in ("queue", "exchange", "routing_key")):
            options["queue"] = sending.queue_for(self.name)
        options = {"argsrepr": "()", "kwargsrepr": "{}", **options}
        return super().apply_async(args, kwargs, **options)


# The poll loop.


@shared_task(
    bind=True,
    base=SeedanceTask,
    name=sending.REFRESH,
    acks_late=False,
    reject_on_worker_lost=False,
    ignore_result=True,
)
def refresh_video(self: Any, video_pk: str, token: int) -> None:
    """Do what a video needs next, and send the message after it: the poll loop."""
    if self.request.called_directly or self.request.is_eager:
        _run_inline(video_pk, token)
        return
    try:
        # A row that a view has locked for long must not keep this worker.
        with locks.brief():
            message = loop.act(video_pk, token)
        if message is not None and sending.in_batches():
            # The batch poller comes for it: no message waits.
            message.tell()
            return
    except (Error, OverflowError, ValueError) as error:
        if row_errors.is_about_row(error):
            row_errors.tell(f"Video {video_pk}", error)  # the sweep sends it again
            return
        # A deadlock, a lost connection: this step did not happen. Try it again with its token.
        why = "its row is locked" if isinstance(error, RowLockedError) else "the database is away"
        logger.info("Video %s: %s (%s)", video_pk, why, type(error).__name__)
        countdown = waits.countdown(*get_settings().poll_countdown)
        message = Next(token, countdown)
    if message is not None:
        _send_next(self, video_pk, message)


def _send_next(task: Any, video_pk: str, message: Next) -> None:
    try:
        wait = sending.delay(message.countdown) or {"countdown": 0}
        task.retry(args=(video_pk, message.token), throw=False, **wait)
    except Reject:
        # The broker is away. The row says when it was due, and the sweep sends it.
        logger.info("Video %s waits for the sweep: the broker is away", video_pk)
        raise Ignore from None
    finally:
        message.tell()


def _run_inline(video_pk: str, token: int) -> None:
    message = loop.act(video_pk, token)
    while message is not None:
        message.tell()
        clock.sleep(message.countdown)
        message = loop.act(video_pk, message.token)


@shared_task(
    base=SeedanceTask,
    name=sending.BATCH,
    acks_late=False,
    reject_on_worker_lost=False,
    ignore_result=True,
)
def refresh_videos(account: str, number: int, token: int) -> None:
    """Ask for the due videos of an account, and come again: the batch poller."""
    batch.act(account, number, token)


# Tasks for canvases.

_FOR_CANVASES: dict[str, Any] = {"bind": True, "base": SeedanceTask, "throws": (CanvasStopped,)}


@cast("_Makes[PollVideoTask]", shared_task(name=sending.POLL, **_FOR_CANVASES))
def poll_video(
    self: Any,
    video: VideoRef,
    *,
    account: str | None = None,
    timeout: float | None = None,
    propagate: bool = True,
) -> PollResult:
    """Wait for a video, and return it once it is completed.

    `video` is the API's id, a create's reply (`video_pk`, `id` or `task_id`), or the pk of a row
    as a UUID. `timeout` is in seconds: after it this task raises `VideoTimedOut`, and the video is
    followed on until its own. Raises the `VideoEnded` of any other end, so that errbacks run; with
    `propagate=False` returns it as well. Raises `TypeError` or `ValueError` at once for what names
    no video.
    """
    checked_flag(propagate, "propagate")
    with _database_errors(self):
        use = use_of(self)
        kept = keeping.find(use)
        if kept is not None:
            # A copy that comes again moves no deadline.
            video_pk = _followed(video, account, kept, use)
            keeping.enter(self, kept, video_pk, is_new=False)
            return keeping.conclude(self, kept, partial(_awaited_end, self, kept, propagate))
        row = follow(video, account, timeout, resumes=True)
        if _is_alone(self):
            if not row.is_finished:
                health.require_key(row.account)
            return _returned(_end_of(loop.run(row), propagate))
        text = keeping.text_of(self, [mark(row.pk, use.key)], {"propagate": propagate})
        kept, is_new = keeping.insert(use, row, text, timeout)
        keeping.enter(self, kept, row.pk, is_new=is_new)
        return keeping.conclude(self, kept, partial(_awaited_end, self, kept, propagate))


def _followed(video: VideoRef, account: str | None, kept: KeptTask, use: Use) -> Any:
    """Return the pk of the video that a message names; of one that cannot be told, the kept."""
    if use.has_argument(kept.argument):
        return kept.video_id
    try:
        return follow(video, account).pk
    except UnknownAccount:
        # The settings of this worker may be older, or newer, than the task.
        return kept.video_id


def _awaited_end(task: Any, kept: KeptTask, propagate: bool) -> PollResult | VideoEnded:
    """Return the result or the error of a video that has ended; else park the task."""
    due_at = kept.timeout_at
    if due_at is not None:
        video = keeping.row_of(kept)
        late = video.now - due_at
        if not video.is_finished and late.total_seconds() >= 0:
            # As with the video's deadline: judged on an answer, or an hour later without one.
            if late >= PATIENCE or (video.answered_at and video.answered_at >= due_at):
                return results.timed_out(video)
            due_at = video.now + timedelta(seconds=get_settings().resend_after)
    while True:
        if keeping.park(kept, Video.objects.unfinished(), due_at):
            keeping.wait(task, kept)
        video = keeping.row_of(kept)
        if video.is_finished:  # else it was resumed between the two
            return _end_of(video, propagate)


def _end_of(video: Video, propagate: bool) -> PollResult | VideoEnded:
    if video.status == Status.COMPLETED or not propagate:
        return results.poll_result(video)
    return results.error_of(video)


@cast("_Makes[CreateVideoTask]", shared_task(name=sending.CREATE, **_FOR_CANVASES))
def create_video(
    self: Any,
    prompt: str,
    *,
    model: str | None = None,
    seconds: int | None = None,
    size: str | None = None,
    images: Sequence[str] = (),
    account: str | None = None,
    idempotency_key: str | None = None,
    metadata: Any = None,
) -> dict[str, Any]:
    """Buy one video; return the API's reply, with `account` and `video_pk` added.

    `seconds` is the video's length, `size` a ratio ("16:9") or pixels ("1280x720"), `images` are
    names in the storage. A second call with the same `idempotency_key` waits for the first one's
    reply and returns it. Raises `InvalidRequest` before any request, also for an
    `idempotency_key` of another order (another prompt, model, length, size or image content) and
    for one whose row was removed within `KEEP_KEYS`; `CreateRejected` where the API refuses,
    `CreateUnknown` where the reply was lost and a person gave up.
    """
    options: dict[str, Any] = {"model": model, "seconds": seconds, "size": size, "images": images}
    options |= {"account": account, "idempotency_key": idempotency_key, "metadata": metadata}
    with _database_errors(self):
        use = use_of(self)
        kept = keeping.find(use)
        if kept is None and _is_alone(self):
            health.require_key(account)
            _require_commit()
            return _returned(_buy_here(order(prompt, **options)[0]))
        is_new = kept is None
        if kept is None:
            with transaction.atomic(using=Video.objects.primary().db):
                row, _ = order(prompt, **options, create_key=use.key)
                text = keeping.text_of(self, [mark(row.pk, use.key)], {})
                kept, is_new = keeping.insert(use, row, text)
        _warn_of_another_order(kept, use)
        keeping.enter(self, kept, kept.video_id, is_new=is_new)
        return keeping.conclude(self, kept, partial(_bought, self, kept))


def _warn_of_another_order(kept: KeptTask, use: Use) -> None:
    if kept.argument and not use.has_argument(kept.argument):
        logger.warning(
            "%s[%s] came again with another order: the task before it ran twice. Video %s is "
            "bought for the first order, and nothing for this one.",
            use.task,
            use.celery_id,
            kept.video_id,
        )


def _require_commit() -> None:
    if pool.is_in_transaction(transaction.get_connection(Video.objects.primary().db)):
        raise transaction.TransactionManagementError(
            "create_video() inside an atomic block would buy a video whose row a rollback loses. "
            "Call it after the block, or send it to a worker (delay), or use generate_video()."
        )


def _bought(task: Any, kept: KeptTask) -> dict[str, Any] | VideoEnded:
    """Return the reply to a create, or the error of its end; else park the task."""
    video = keeping.row_of(kept)
    with _holding(kept):
        wait = create.submit(video)
    if wait is not None:
        _come_back(task, kept, video.account, wait)
    while True:
        if keeping.park(kept, Video.objects.unfinished().filter(api_id=None)):
            keeping.wait(task, kept)
        video = keeping.row_of(kept)
        if video.api_id is not None or video.is_finished:  # else it is bought again
            return _reply_of(video)


def _come_back(task: Any, kept: KeptTask, account: str, wait: create.Wait) -> NoReturn:
    """End this run of a create that cannot be sent now."""
    after = clock.after(get_settings().resend_after + limits.FALLBACK)
    if wait.in_line and keeping.park(kept, limits.in_line(account), after):
        # The place may have become free while this was being parked.
        limits.call_next(account)
        keeping.wait(task, kept)
    keeping.postpone(task, kept, wait.seconds)


def _reply_of(video: Video) -> dict[str, Any] | VideoEnded:
    return results.error_of(video) if video.api_id is None else results.reply_of(video)


def _buy_here(video: Video) -> dict[str, Any] | VideoEnded:
    while video.api_id is None and not video.is_finished:
        wait = create.submit(video)
        clock.sleep(wait.seconds if wait else loop.PEEK)
        video = video.current()
        loop.give_up_overdue(video)
    return _reply_of(video)


@shared_task(bind=True, base=SeedanceTask, name=sending.SUBMIT, ignore_result=True)
def submit_video(self: Any, video_pk: str) -> None:
    """Buy the video of a row that `generate_video` inserted. Sent by the package."""
    with _database_errors(self):
        kept = keeping.find(use_of(self))
        if kept is None:
            return
        keeping.enter(self, kept, kept.video_id, is_new=False)
        video = keeping.row_of(kept)
        with _holding(kept):
            wait = create.submit(video)
        if wait is not None:
            _come_back(self, kept, video.account, wait)
        kept.mine().finish()


@cast("_Makes[StoreVideoTask]", shared_task(name=sending.STORE, **_FOR_CANVASES))
def store_video(self: Any, video: VideoRef) -> StoreResult:
    """Keep the file of a completed video in the storage.

    `video` is what `poll_video` returns (or an id, or a pk). Returns the same dict with `file`
    (its name in the storage), `file_size` (bytes) and `sha256`. Raises `StoreFailed`.
    """
    with _database_errors(self):
        use = use_of(self)
        kept = keeping.find(use)
        is_new = kept is None
        if kept is not None and use.has_argument(kept.argument):
            video_pk = kept.video_id
        else:
            row = find_video(video)
            video_pk = row.pk
        if kept is None:
            if _is_alone(self):
                return _returned(_store_here(row))
            text = keeping.text_of(self, [mark(row.pk, use.key)], {})
            kept, is_new = keeping.insert(use, row, text)
        keeping.enter(self, kept, video_pk, is_new=is_new)
        return keeping.conclude(self, kept, partial(_stored, self, kept))


def _stored(task: Any, kept: KeptTask) -> StoreResult | StoreFailed:
    with _holding(kept):
        outcome = files.keep_file(keeping.row_of(kept))
    if isinstance(outcome, float):
        keeping.postpone(task, kept, outcome)
    return outcome


def _store_here(video: Video) -> StoreResult | StoreFailed:
    outcome = files.keep_file(video)
    while isinstance(outcome, float):
        clock.sleep(outcome)
        outcome = files.keep_file(video.current())
    return outcome


# The sweep.


@shared_task(
    base=SeedanceTask,
    name=sending.SWEEP,
    acks_late=False,
    reject_on_worker_lost=False,
    ignore_result=True,
)
def sweep_videos() -> None:
    """Send again what went missing. Workers send this themselves; beat may, too."""
    pool.close_old()
    try:
        sweep.sweep()
        timings.refresh()
    except Error as error:
        logger.info("The sweep comes back later: the database is away (%s)", type(error).__name__)


# Shared by the tasks above.


def _is_alone(task: Any) -> bool:
    """Tell whether there is no broker to wait in: eager mode, or a direct call."""
    return bool(task.request.called_directly or task.request.is_eager)


def _holding(kept: KeptTask) -> Heartbeat:
    """Keep the right to a kept task while something slow runs."""
    lease = get_settings().resend_after
    return Heartbeat(partial(kept.renew, lease), every=lease / 3)


def _returned(outcome: T | Exception) -> T:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@contextmanager
def _database_errors(task: Any) -> Iterator[None]:
    try:
        yield
    except Error as error:
        if _is_alone(task) or (isinstance(error, DataError) and not keeping.is_stripped(task)):
            raise  # what the database can never take is no reason to come back
        logger.info(
            "%s[%s] comes back later (%s)", task.name, task.request.id, type(error).__name__
        )
        keeping.again(task)
