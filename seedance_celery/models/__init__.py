"""The rows: one a video, one a kept task, one an account in trouble, one a batch poller."""

from .account import AccountState
from .kept import KeptTask
from .poller import Poller
from .upkeep import Upkeep
from .video import Video

__all__ = ["AccountState", "KeptTask", "Poller", "Upkeep", "Video"]
