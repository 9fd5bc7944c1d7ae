"""What the acceptance buys, what that costs, and with which keys."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..api.base_url import DEFAULT_BASE_URL

__all__ = ["PRICES", "Access", "Plan"]

PRICES = {
    "doubao-seedance-2-0": 0.063,
    "doubao-seedance-2-0-fast": 0.0504,
    "seedance-2-5": 0.103,
}
"""US dollars for each second of output at 480p, as CometAPI's pages told them in 2026."""

PROMPT = "A paper boat on a calm pond in the morning light"


@dataclass(frozen=True)
class Access:
    """Where the API is, and what opens it. `access_token` is the account's; it may be empty."""

    key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    access_token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Plan:
    """One video of the cheapest kind whose price is known."""

    model: str = "doubao-seedance-2-0-fast"
    seconds: int = 4
    size: str = "864x496"
    prompt: str = field(default=PROMPT, repr=False)
    timeout: float = 1800.0
    """Seconds from the create on, after which the video is left to itself."""
    interval: float = 10.0
    """Seconds between two polls."""
    failed_id: str = ""
    """The id of an earlier video of this key that failed, if the person knows one."""
    follow_id: str = ""
    """The id of a video that was bought already: nothing is bought then."""

    @property
    def cost(self) -> str:
        """Return what the video will cost, in words."""
        price = PRICES.get(self.model)
        if price is None:
            return "a price that this package does not know"
        return f"about {price * self.seconds:.2f} US dollars at 480p (prices of 2026)"

    @property
    def announcement(self) -> str:
        """Return what will be done, for the person who decides."""
        if self.follow_id:
            return f"Video {self.follow_id} is followed to its end. Nothing is bought."
        return (
            f"This buys ONE video ({self.model}, {self.seconds} s, {self.size}) from the API. "
            f"It costs {self.cost}. The video is not kept unless --film names a file."
        )
