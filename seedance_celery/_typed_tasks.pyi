"""The tasks as type checkers see them.

`s()` takes its first argument or leaves it to the task before in a chain.
"""

from typing import Any, TypeAlias, TypeVar

from celery.canvas import Signature
from celery.contrib.django.task import DjangoTask
from celery.result import AsyncResult
from typing_extensions import Unpack

from .task_types import (
    CreateOptions,
    CreateReply,
    PollOptions,
    PollResult,
    StoreResult,
    VideoRef,
)

R = TypeVar("R")

_First: TypeAlias = tuple[()] | tuple[R] | list[R]

class CreateArguments(CreateOptions, total=False):
    prompt: str

class PollArguments(PollOptions, total=False):
    video: VideoRef

class CreateVideoTask(DjangoTask[..., CreateReply]):
    def __call__(self, prompt: str, **options: Unpack[CreateOptions]) -> CreateReply: ...
    def s(self, prompt: str = ..., **options: Unpack[CreateOptions]) -> Signature[CreateReply]: ...
    def si(self, prompt: str, **options: Unpack[CreateOptions]) -> Signature[CreateReply]: ...
    def delay(self, prompt: str, **options: Unpack[CreateOptions]) -> AsyncResult[CreateReply]: ...
    def delay_on_commit(  # type: ignore[override]
        self, prompt: str, **options: Unpack[CreateOptions]
    ) -> None: ...
    def apply_async(  # type: ignore[override]
        self,
        args: _First[str] | None = ...,
        kwargs: CreateArguments | None = ...,
        **options: Any,
    ) -> AsyncResult[CreateReply]: ...

class PollVideoTask(DjangoTask[..., PollResult]):
    def __call__(self, video: VideoRef, **options: Unpack[PollOptions]) -> PollResult: ...
    def s(self, video: VideoRef = ..., **options: Unpack[PollOptions]) -> Signature[PollResult]: ...
    def si(self, video: VideoRef, **options: Unpack[PollOptions]) -> Signature[PollResult]: ...
    def delay(self, video: VideoRef, **options: Unpack[PollOptions]) -> AsyncResult[PollResult]: ...
    def delay_on_commit(  # type: ignore[override]
        self, video: VideoRef, **options: Unpack[PollOptions]
    ) -> None: ...
    def apply_async(  # type: ignore[override]
        self,
        args: _First[VideoRef] | None = ...,
        kwargs: PollArguments | None = ...,
        **options: Any,
    ) -> AsyncResult[PollResult]: ...

class StoreVideoTask(DjangoTask[..., StoreResult]):
    def __call__(self, video: VideoRef) -> StoreResult: ...
    def s(self, video: VideoRef = ...) -> Signature[StoreResult]: ...
    def si(self, video: VideoRef) -> Signature[StoreResult]: ...
    def delay(self, video: VideoRef) -> AsyncResult[StoreResult]: ...
    def delay_on_commit(self, video: VideoRef) -> None: ...  # type: ignore[override]
    def apply_async(  # type: ignore[override]
        self,
        args: _First[VideoRef] | None = ...,
        kwargs: PollArguments | None = ...,
        **options: Any,
    ) -> AsyncResult[StoreResult]: ...
