"""What the client returns, and what a create's error means: the public address of `api.replies`."""

from .api.errors import Outcome, create_outcome
from .api.replies import VideoTask, parse_created, parse_video

__all__ = ["Outcome", "VideoTask", "create_outcome", "parse_created", "parse_video"]
