"""The rows and their guarded updates: videos, kept tasks, accounts in trouble, batch pollers."""

from .account import AccountState
from .kept import KeptTask
from .poller import Poller
from .upkeep import Upkeep
from .used_key import UsedKey
from .video import Video

__all__ = ["AccountState", "KeptTask", "Poller", "Upkeep", "UsedKey", "Video"]
