"""What a probe finds, and running one within its limit."""

from __future__ import annotations

import dataclasses
import enum
import threading
from collections.abc import Callable, Iterator

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections

__all__ = ["Finding", "Probe", "State", "bad", "good", "run", "skipped", "unsure"]


class State(str, enum.Enum):
    """How a part is: `failed` alone makes the exit status 1."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line: the part, how it is, what was seen, what to do."""

    part: str
    state: State
    message: str
    hint: str = ""


Found = tuple[State, str, str]


def good(message: str) -> Found:
    """Return what is as it should be."""
    return State.OK, message, ""


def unsure(message: str, hint: str) -> Found:
    """Return what works and deserves a look."""
    return State.WARNING, message, hint


def bad(message: str, hint: str) -> Found:
    """Return what does not work."""
    return State.FAILED, message, hint


def skipped(message: str, hint: str = "") -> Found:
    """Return what could not be looked at."""
    return State.SKIPPED, message, hint


@dataclasses.dataclass(frozen=True)
class Probe:
    """One part: how to look at it, and for how many seconds at most.

    Where a part that it `needs` has failed, there is nothing to look at.
    """

    part: str
    look: Callable[[], Iterator[Found]]
    limit: float
    needs: tuple[str, ...] = ()


def run(probe: Probe) -> list[Finding]:
    """Run a probe; whatever it raises or however long it takes, there is a finding."""
    found: list[Found] = []
    # A thread, as neither a database driver nor a storage is sure to give up by itself.
    thread = threading.Thread(target=_look, args=(probe, found), daemon=True)
    thread.start()
    thread.join(probe.limit)
    seen = list(found)
    if thread.is_alive():
        hint = "Look at the network between here and there."
        seen.append(bad(f"no answer within {probe.limit:g} s", hint))
    return [Finding(probe.part, *told) for told in seen]


def _look(probe: Probe, found: list[Found]) -> None:
    try:
        found.extend(probe.look())
    except ImproperlyConfigured:
        found.append(skipped("the settings cannot be read", "Look at the line of the settings."))
    except (DatabaseError, InterfaceError) as error:
        hint = "Look at the lines of the database and the migrations."
        found.append(bad(f"the database does not answer ({type(error).__name__})", hint))
    except Exception as error:  # noqa: BLE001  (a storage or a key's callable may raise anything)
        found.append(bad(f"{type(error).__name__} was raised", "Look at this part's settings."))
    finally:
        connections.close_all()
