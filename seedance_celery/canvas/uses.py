"""Telling two uses of a task from two copies of one message.

A Celery id does not tell them apart: Celery 5.7 gives the last task of a chain object the same id
each time the object is applied, and a caller may give one `task_id` twice. The rule is explained
for users in `docs/when-two-messages-are-one-task.md`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from kombu.utils.json import dumps

__all__ = ["Use", "mark", "use_of"]

_MARK = {"video_pk", "kept"}


@dataclasses.dataclass(frozen=True)
class Use:
    """What a message is one copy of. Copies of one message have equal uses."""

    task: str
    celery_id: str
    key: str
    """What the kept task of this use is found by; at most 255 characters, unique."""
    argument: str
    """A digest of what the task was called with."""
    is_sent_again: bool = False
    """Whether the package has sent the message itself, for a kept task, whose key it names."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that the kept task may have, the likeliest first.

        A task that the package made by itself, or that an earlier version has kept, is found by
        its Celery id alone.
        """
        return (self.key,) if self.is_sent_again else (self.key, self.celery_id)

    def has_argument(self, argument: str) -> bool:
        """Tell whether the message brings the argument that a task was kept with."""
        return self.is_sent_again or self.argument == argument


def mark(video_pk: Any, key: str) -> dict[str, str]:
    """Return the argument with which a kept task is sent again, so that it finds its row."""
    return {"video_pk": str(video_pk), "kept": key}


def use_of(task: Any) -> Use:
    """Return what the running task's message is one copy of."""
    request = task.request
    celery_id = str(request.id or "")
    argument = _digest([request.args, request.kwargs])
    key = _marked(request.args)
    if key is not None and celery_id:
        return Use(task.name, celery_id, key, argument, is_sent_again=True)
    return Use(task.name, celery_id, _key(task.name, request, argument), argument)


def _marked(args: Any) -> str | None:
    found = args[0] if args else None
    if not isinstance(found, Mapping) or set(found) != _MARK:
        return None
    return found["kept"] if isinstance(found["kept"], str) else None


def _key(name: str, request: Any, argument: str) -> str:
    # The first `self.retry` of a task without a parent makes it its own parent.
    parent_id = request.parent_id if request.parent_id != request.id else None
    is_root = request.root_id in (None, request.id)
    origin = None if is_root else request.root_id
    # With `task_protocol=1`, Celery sends the last step of a chain that replaces a part of a
    # chord twice under one id: once as that part, and once as nobody's.
    is_part = bool(request.chord)
    return _digest([name, request.id, origin, parent_id, is_part, argument if is_root else None])


def _digest(value: Any) -> str:
    try:
        text = dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        text = "no JSON"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
