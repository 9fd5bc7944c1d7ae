"""Keeping a task of someone's canvas, parking it, and continuing the canvas once.

Celery never holds the canvas of a task that was kept: between publishing a continuation and
running errbacks it has no hook, so a broker that is down, a time limit or a failing result backend
would run a refund and later the next step as well. The body continues the canvas itself, from the
row.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn, TypeAlias, TypeVar

from celery import Task, group
from celery.canvas import Signature
from celery.exceptions import Ignore, Reject
from django.db import Error, connections
from kombu.utils.json import dumps, loads

from .. import sending, waits
from ..conf import get_settings
from ..db import clock, locks
from ..db.leases import Heartbeat
from ..db.retries import insist
from ..exceptions import CanvasStopped
from ..models import KeptTask, Video
from . import results
from .uses import Use

__all__ = [
    "STUCK_FOR",
    "again",
    "conclude",
    "concluded",
    "enter",
    "find",
    "insert",
    "is_stripped",
    "park",
    "postpone",
    "record",
    "rest",
    "row_of",
    "text_of",
    "wait",
]

AnyTask: TypeAlias = "Task[Any, Any]"
T = TypeVar("T")

logger = logging.getLogger(__name__)

CONCLUDING = "seedance_concluding"
"""The attribute of a task's request that holds its row: what happens now is our doing."""
HEARTBEAT = "seedance_heartbeat"
"""The attribute of a task's request that keeps its row leased while Celery runs its errbacks."""
STRIPPED = "seedance_stripped"
"""The attribute of a task's request that says: its canvas is in the row now."""

DELAYED = "celery_delayed_delivery"

STUCK_FOR = 900.0
"""Seconds between two tries to send a next task that does not take what it is given."""


# Keeping.


def text_of(task: AnyTask, args: list[Any], kwargs: dict[str, Any]) -> str:
    """Return the running task with its canvas as text; "" where it would not come back the same."""
    request = task.request
    signature = dict(
        task.signature_from_request(request, tuple(args), kwargs, retries=request.retries)
    )
    signature["options"] = _undelayed(signature["options"])
    if sending.is_keepable(signature):
        return str(dumps(signature))
    logger.warning(
        "%s[%s] has a canvas that cannot be kept, with arguments that are no JSON or nested more "
        "than %s levels deep: it waits by retrying, and a crash can lose it. Give the later tasks "
        "ids instead of objects.",
        task.name,
        request.id,
        sending.MAX_LEVELS,
    )
    return ""


def _undelayed(options: dict[str, Any]) -> dict[str, Any]:
    # RabbitMQ's delayed delivery came through an exchange of its own, whose routing key is the
    # delay in bits and then the queue's.
    if not str(options.get("exchange") or "").startswith(DELAYED):
        return options
    queue = str(options["routing_key"]).split(".", 28)[-1]
    rest = {k: v for k, v in options.items() if k not in ("exchange", "routing_key")}
    return {**rest, "queue": queue}


def find(use: Use) -> KeptTask | None:
    """Return the row that was kept for a use of a task.

    Ends silently where the message was sent again for a row that was pruned since.
    """
    if not use.celery_id:
        return None
    rows = KeptTask.objects.primary().filter(key__in=use.keys)
    # A caller's argument may look like ours: it leads to no other task's row.
    found = {row.key: row for row in rows.filter(celery_id=use.celery_id, task=use.task)}
    if use.is_sent_again and not found:
        logger.info("%s[%s] came after its row was removed", use.task, use.celery_id)
        raise Ignore
    return next((found[key] for key in use.keys if key in found), None)


def row_of(kept: KeptTask) -> Video:
    """Return the video of a kept task as it is now, and not as a replica has it."""
    return Video.objects.primary().with_now().get(pk=kept.video_id)


def insert(
    use: Use, video: Video, text: str, timeout: float | None = None
) -> tuple[KeptTask, bool]:
    """Keep the running task for a video; return its row and whether it is new.

    A new row starts out leased to this process.
    """
    lease = clock.after(get_settings().resend_after)
    values = {
        "celery_id": use.celery_id,
        "task": use.task,
        "argument": use.argument,
        "video": video,
        "signature": text,
        "timeout_at": _own_timeout(video, timeout),
        "due_at": lease if text else None,
        "lease_until": lease,
    }
    rows = KeptTask.objects.using(video.db)
    return rows.get_or_create(key=use.key, defaults=values)


def _own_timeout(video: Video, timeout: float | None) -> datetime | None:
    if timeout is None:
        return None
    own = video.now + timedelta(seconds=timeout)
    return own if video.deadline_at is None or own < video.deadline_at else None


def enter(task: AnyTask, kept: KeptTask, video_pk: Any, *, is_new: bool) -> None:
    """Start to work on a kept task; end silently where it is done, or another copy's.

    `video_pk` is what the message is about: another one is followed as well, and said.
    """
    if kept.video_id != video_pk:
        logger.warning(
            "%s[%s] came for video %s, and waits for video %s already: the task before it ran "
            "twice. Both videos are followed, and its canvas goes on once, with the latter.",
            task.name,
            kept.celery_id,
            video_pk,
            kept.video_id,
        )
    if kept.finished_at:
        raise Ignore
    if not is_new and not kept.claim(get_settings().resend_after):
        # Another copy is at work. Where it may be this message's own, of a process that died, no
        # other message comes back for it: so this one waits.
        wait(task, kept)
    if kept.signature:
        _strip(task)


def _strip(task: AnyTask) -> None:
    request = task.request
    request.callbacks = request.chain = request.errbacks = request.chord = None
    setattr(request, STRIPPED, True)


def is_stripped(task: AnyTask) -> bool:
    """Tell whether the running task's canvas is in its row alone."""
    return bool(getattr(task.request, STRIPPED, False))


def again(task: AnyTask) -> NoReturn:
    """End this run because the database is away: nothing happened, and a later run goes on."""
    if is_stripped(task):
        raise Ignore
    retry(task)


# Waiting.


def park(kept: KeptTask, waiting: Any, due_at: datetime | None = None) -> bool:
    """Let a task wait in its row, while its video is among `waiting`; return whether it does.

    The row was committed before, and the video is locked while it is looked at and the task
    parks: the video ends, and releases what waits, before or after both. Ends silently where
    another copy has the task.
    """
    rows = waiting.primary()
    has_no_key = connections[rows.db].features.has_select_for_no_key_update
    # A video that somebody has locked for long does not keep this worker: the task comes back.
    with locks.short(rows.db, locks.PATIENCE):
        video = (
            rows.select_for_update(no_key=has_no_key)
            .filter(pk=kept.video_id)
            .values_list("pk")
            .first()
        )
        if video is not None and not kept.mine().update(due_at=due_at, lease_until=None):
            raise Ignore
    return video is not None


def wait(task: AnyTask, kept: KeptTask) -> NoReturn:
    """End this run of a task that was parked: by a retry where its canvas could not be kept."""
    if kept.signature:
        raise Ignore
    retry(task)


def retry(task: AnyTask, countdown: float | None = None) -> NoReturn:
    """Retry with the canvas in the message; where the broker is away, leave the message there."""
    countdown = countdown or waits.countdown(*get_settings().poll_countdown)
    try:
        options: Any = sending.delay(countdown)
        # A project's annotation may have set a limit, which is not about waiting.
        raise task.retry(max_retries=sys.maxsize, **options)
    except Reject as reject:
        raise Reject("the broker is away", requeue=True) from reject


def postpone(task: AnyTask, kept: KeptTask, seconds: float) -> NoReturn:
    """Come back to a task in so many seconds; end this run."""
    due_at = clock.after(seconds + get_settings().resend_after)
    if not kept.signature:
        retry(task, seconds)
    if kept.mine().update(due_at=due_at, lease_until=None):
        kept.send(seconds)
    raise Ignore


# Continuing.


def conclude(task: AnyTask, kept: KeptTask, find: Callable[[], T | CanvasStopped]) -> T:
    """Continue a canvas: return the outcome that `find` finds, or raise it where it is an error.

    An error is written down before anybody hears of it. A process may die among the errbacks
    while the video is resumed, or collected late, and completes: the next run goes on with them.
    """
    outcome = results.error_from_json(kept.error) if kept.error else find()
    changes = {}
    if isinstance(outcome, CanvasStopped):
        changes["error"] = results.error_as_json(outcome)
    if not kept.renew(get_settings().resend_after, **changes):
        raise Ignore
    setattr(task.request, CONCLUDING, kept)
    if isinstance(outcome, CanvasStopped):
        _fail(task, kept, outcome)
    try:
        return _succeed(task, kept, outcome)
    except (Ignore, Error):
        raise
    except Exception as error:  # noqa: BLE001  (a project's tasks, hooks and result backend)
        _stay(kept, error)


def _stay(kept: KeptTask, error: Exception) -> NoReturn:
    """Come back later to a task whose continuation raised as it was sent.

    The video is there and paid for: an errback would give its money back. So the task waits for
    whatever was away (a result backend), or for a deploy that mends the next task.
    """
    wait = STUCK_FOR if isinstance(error, TypeError) else get_settings().resend_after
    logger.exception(
        "%s cannot go on with video %s: what comes next could not be sent, and is tried again in "
        "%.0f s. Where it is that task's fault, correct it and deploy, or call "
        "video.stop_waiting().",
        kept,
        kept.video_id,
        wait,
    )
    kept.mine().update(lease_until=None, due_at=clock.after(wait))
    raise Ignore from error


def concluded(request: Any, celery_id: str | None) -> KeptTask | None:
    """Return the row of the task to which something just happened that is our doing.

    None where a time limit or a crash did it.
    """
    kept: KeptTask | None = getattr(request, CONCLUDING, None)
    return kept if kept is not None and kept.celery_id == celery_id else None


def _options(kept: KeptTask) -> dict[str, Any]:
    options = loads(kept.signature)["options"] if kept.signature else {}
    return {name: options.get(name) for name in ("link", "link_error", "chain", "chord")}


def _succeed(task: AnyTask, kept: KeptTask, result: T) -> T:
    if not kept.signature:
        return result
    canvas = _options(kept)
    if kept.published_at is None:
        steps = [partial(_apply, task, link) for link in _listed(canvas["link"])]
        if canvas["chain"]:
            steps.append(partial(_apply_chain, task, canvas["chain"]))
        _publish(kept, [partial(step, result) for step in steps])
    # The chord is Celery's to count: it knows a part that comes twice by its id.
    task.request.chord = canvas["chord"]
    return result


def _fail(task: AnyTask, kept: KeptTask, error: CanvasStopped) -> NoReturn:
    if not kept.signature:
        raise error
    if kept.raised_at is not None:
        publish_errbacks(task, kept)
        raise Ignore
    canvas = _options(kept)
    request = task.request
    request.chain = canvas["chain"]
    request.chord = canvas["chord"]
    inline, _ = _sorted(task, canvas["link_error"])
    request.errbacks = inline or None
    if inline:
        # A slow one must not let another copy run them meanwhile.
        lease = get_settings().resend_after
        heartbeat = Heartbeat(partial(kept.renew, lease), every=lease / 3)
        setattr(request, HEARTBEAT, heartbeat.start())
    raise error


def rest(request: Any) -> None:
    """Stop keeping the row leased: the errbacks of a task have run, or will not."""
    heartbeat: Heartbeat | None = getattr(request, HEARTBEAT, None)
    if heartbeat is not None:
        setattr(request, HEARTBEAT, None)
        heartbeat.stop()


def publish_errbacks(task: AnyTask, kept: KeptTask) -> None:
    """Send the errbacks that run as tasks, and finish the kept task."""
    _, sent = _sorted(task, _options(kept)["link_error"])
    request = task.request
    options: dict[str, Any] = {"parent_id": request.id, "root_id": request.root_id or request.id}
    options["retry_policy"] = sending.RETRY_POLICY
    steps = [
        partial(task.app.signature(errback).apply_async, (request.id,), **options)
        for errback in sent
    ]
    if kept.published_at is None:
        _publish(kept, steps)
    kept.mine().finish()


def _sorted(task: AnyTask, errbacks: Any) -> tuple[list[Any], list[Any]]:
    """Return the errbacks that Celery calls in the worker, and those that it sends as tasks."""
    inline: list[Any] = []
    sent: list[Any] = []
    for errback in _listed(errbacks):
        is_inline = sending.is_inline(task.app.signature(errback))
        (inline if is_inline else sent).append(errback)
    return inline, sent


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _apply(task: AnyTask, link: Any, result: Any) -> None:
    _go(task, task.app.signature(link), result)


def _apply_chain(task: AnyTask, chain: list[Any], result: Any) -> None:
    # Celery keeps the rest of a chain in reverse.
    _go(task, task.app.signature(chain[-1]), result, chain=list(chain[:-1]))


def _go(task: AnyTask, signature: Signature | group, result: Any, **options: Any) -> None:
    request = task.request
    info = request.delivery_info or {}
    if task.app.conf.task_inherit_parent_priority:
        options["priority"] = info.get("priority")
    options |= {"parent_id": request.id, "root_id": request.root_id or request.id}
    options |= {"retry_policy": sending.RETRY_POLICY, "argsrepr": _shown(result)}
    signature.apply_async((result,), **options)


def _shown(result: Any) -> str:
    """Return what events, logs and extended results show of the next task's arguments.

    The result holds a signed URL, and Celery would show all of it.
    """
    found = result if isinstance(result, dict) else {}
    shown = {name: found.get(name) for name in ("id", "status", "video_pk")}
    return f"({shown}, ...)"


def _publish(kept: KeptTask, steps: Iterable[Callable[[], object]]) -> None:
    """Take each step that is not taken yet. Where the broker is away the sweep comes back."""
    lease = get_settings().resend_after
    todo = list(steps)
    # A broker that hangs must not let another copy take the steps meanwhile.
    with Heartbeat(partial(kept.renew, lease), every=lease / 3):
        for number, step in enumerate(todo, start=1):
            if number <= kept.published:
                continue
            try:
                step()
            except sending.BROKER_ERRORS as error:
                logger.info("%s goes on later: the broker is away (%s)", kept, type(error).__name__)
                kept.mine().update(lease_until=None, due_at=clock.after(lease))
                raise Ignore from error
            record(kept, published=number)
    record(kept, published_at=clock.now())


def record(kept: KeptTask, **changes: Any) -> None:
    """Write down that a step was taken. It cannot be taken back, so a blip must not lose it.

    Ends this run silently where the task is no longer this process's: another one takes the steps
    that are left, or nobody waits for them any more.
    """
    lease = get_settings().resend_after
    renew = partial(kept.renew, lease, **changes)
    if not insist(renew, lease, KeptTask.objects.primary().db):
        logger.info("%s is left to another process, which has taken it over", kept)
        raise Ignore
