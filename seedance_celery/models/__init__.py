"""The rows: one a video, one a kept task, one an account that is in trouble."""

from .account import AccountState
from .kept import KeptTask
from .video import Video

__all__ = ["AccountState", "KeptTask", "Video"]
