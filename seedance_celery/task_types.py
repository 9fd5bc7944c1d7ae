"""What the tasks take and return, for type checkers.

The dicts are JSON-ready, as they travel in messages.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

__all__ = [
    "CreateOptions",
    "CreateReply",
    "PollOptions",
    "PollResult",
    "StoreResult",
    "VideoRef",
]

VideoRef: TypeAlias = "str | uuid.UUID | Mapping[str, object]"
"""The API's id, the pk of a row, or a dict with `video_pk`, `id` or `task_id`."""


class _Bought(TypedDict):
    id: str
    """The API's id."""
    status: str
    account: str
    video_pk: str
    """The row's primary key, as text."""


class CreateReply(_Bought, total=False):
    """What `create_video` returns: the API's reply, whatever else is in it, and the row's pk."""

    task_id: str
    """The API's id once more."""
    object: str
    model: str
    progress: int
    created_at: int
    """Unix seconds."""


class PollResult(TypedDict):
    """What `poll_video` returns: JSON-ready."""

    id: str
    """The API's id."""
    status: str
    progress: int
    """0 to 100."""
    model: str
    video_url: str
    """The signed URL; it dies within hours."""
    created_at: int | None
    """Unix seconds, as the API gave them."""
    completed_at: int | None
    account: str
    video_pk: str
    """The row's primary key, as text."""


class StoreResult(PollResult):
    """What `store_video` returns."""

    file: str
    """The name in the storage."""
    file_size: int
    """Bytes."""
    sha256: str


class CreateOptions(TypedDict, total=False):
    """The options of `create_video`."""

    model: str | None
    seconds: int | None
    """The video's length."""
    size: str | None
    """A ratio ("16:9") or pixels ("1280x720")."""
    images: Sequence[str]
    """Names in the storage."""
    account: str | None
    idempotency_key: str | None
    metadata: Any
    """The caller's: kept on the row, never sent."""


class PollOptions(TypedDict, total=False):
    """The options of `poll_video`."""

    account: str | None
    timeout: float | None
    """Seconds."""
    propagate: bool
    """Whether an end that is not `completed` raises."""
