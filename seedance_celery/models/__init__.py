"""The rows: one a video, a kept task, an account in trouble, a batch poller, a used key."""

from .account import AccountState
from .kept import KeptTask
from .poller import Poller
from .upkeep import Upkeep
from .used_key import UsedKey
from .video import Video

__all__ = ["AccountState", "KeptTask", "Poller", "Upkeep", "UsedKey", "Video"]
