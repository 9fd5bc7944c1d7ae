"""Which signals were fired."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from django.dispatch import Signal

from .. import signals
from ..models import Video

__all__ = ["Fired", "Listener"]

SIGNALS = {name: value for name, value in vars(signals).items() if isinstance(value, Signal)}


@dataclasses.dataclass(frozen=True)
class Fired:
    """A signal that was fired: its name, its video (None for an account's) and the rest."""

    name: str
    video: Video | None
    details: dict[str, Any]

    def __str__(self) -> str:
        about = self.video.api_id or self.video.pk if self.video else self.details.get("account")
        return f"{self.name} ({about})"


class Listener:
    """Receives every signal of the package; `fired` has them, oldest first."""

    def __init__(self) -> None:
        self.fired: list[Fired] = []

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Receive until the block ends."""
        with contextlib.ExitStack() as stack:
            for name, signal in SIGNALS.items():
                self._connect(name, signal, stack)
            yield

    def _connect(self, name: str, signal: Signal, stack: contextlib.ExitStack) -> None:
        def receiver(sender: Any, video: Video | None = None, **details: Any) -> None:
            details.pop("signal", None)
            self.fired.append(Fired(name, video, details))

        signal.connect(receiver, weak=False)
        stack.callback(signal.disconnect, receiver)

    def of(self, name: str) -> list[Fired]:
        """Return what was fired of one signal; raises `ValueError` for a name that is none."""
        if name not in SIGNALS:
            near = get_close_matches(name, SIGNALS, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ValueError(f"There is no signal {name}.{hint}")
        return [fired for fired in self.fired if fired.name == name]
