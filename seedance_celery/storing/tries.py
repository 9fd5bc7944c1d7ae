"""What the tries to fetch a video's file came to so far, and what follows from that (pure).

Two faults look like others and are told apart by time alone. A link that brings no file may be one
whose file is not there yet, as some hosts take minutes to publish it. A download that breaks off
may be a bad connection, or a file that is cut short where it comes from: then it ends at the same
byte each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from ..api.signed_urls import expires_at

__all__ = ["Tries"]

READY_WITHIN = timedelta(minutes=5)
"""How long a link may bring no file before that is believed: slow hosts take 150 s."""
CUTS = 4
"""Tries that end at the same byte, before that is believed to be all that comes."""
CUT_FOR = timedelta(minutes=3)
"""How long they must have ended there: a file may still be on its way to its host."""
MOST_SIZES = 100
"""How many times the size of the file its downloads may cost in all."""
FORGOTTEN_AFTER = timedelta(hours=1)
"""When the last try is so long ago, the next one is the first of its own."""


@dataclass(frozen=True, slots=True)
class Tries:
    """The tries for one file. Times are the database's, sizes in bytes."""

    at: datetime | None = None
    """When the last one ended."""
    due_at: datetime | None = None
    """When the next one may begin, whichever task makes it."""
    since: datetime | None = None
    """When the first one ended."""
    absent_since: datetime | None = None
    """Since when the link has brought no file; None while it brings bytes of one."""
    link_since: datetime | None = None
    """When the API gave another link than the one that the video ended with."""
    is_reread: bool = False
    """Whether the API was asked for a newer link than this one already."""
    cut_at: int = 0
    """The byte at which the last download that broke off ended."""
    cut_since: datetime | None = None
    cuts: int = 0
    """How many downloads in a row ended there."""
    spent: int = 0
    """Bytes received in all."""
    largest: int = 0
    """The most that the file was seen, or said, to have."""

    @classmethod
    def read(cls, kept: object, now: datetime) -> Tries:
        """Return what a row keeps; an empty one where it keeps nothing that is recent."""
        if not isinstance(kept, Mapping):
            return cls()
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = kept.get(field.name)
            if isinstance(value, str):
                values[field.name] = datetime.fromisoformat(value)
            elif value is not None:
                values[field.name] = value
        tries = cls(**values)
        return tries if tries.at and now - tries.at < FORGOTTEN_AFTER else cls()

    def as_json(self) -> dict[str, Any]:
        """Return what a row keeps of it."""
        values = {name: value for name, value in asdict(self).items() if value}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in values.items()
        }

    def absent(self, now: datetime) -> Tries:
        """Return these tries and one whose link brought no file."""
        since = self.absent_since or now
        return replace(self, at=now, since=self.since or now, absent_since=since)

    def broken_off(self, now: datetime, size: int, received: int, told: int | None) -> Tries:
        """Return these tries and one that broke off after `size` bytes, none included.

        `received` counts the bytes that came again, too, and `told` is the host's word for the
        file's size.
        """
        tries = replace(
            self,
            at=now,
            since=self.since or now,
            spent=self.spent + received,
            largest=max(self.largest, size, told or 0),
        )
        if not size:
            return tries
        is_equal = size == self.cut_at
        return replace(
            tries,
            absent_since=None,
            cut_at=size,
            cut_since=self.cut_since if is_equal else now,
            cuts=self.cuts + 1 if is_equal else 1,
        )

    def again_in(self, seconds: float) -> Tries:
        """Return these tries with the next one in so many seconds."""
        return replace(self, due_at=self.at + timedelta(seconds=seconds)) if self.at else self

    def wait(self, now: datetime) -> float | None:
        """Return the seconds until the next try, a second or more; None where it may begin."""
        left = (self.due_at - now).total_seconds() if self.due_at else 0.0
        return left if left >= 1 else None

    @property
    def absent_for(self) -> float:
        """For how many seconds the link has brought no file."""
        return (self.at - self.absent_since).total_seconds() if self.at and self.absent_since else 0

    def renewed(self, now: datetime) -> Tries:
        """Return these tries with a newer link of the API's."""
        fresh = replace(self.given_up(), at=now, due_at=None, absent_since=None)
        return replace(fresh, link_since=now, is_reread=True)

    def given_up(self) -> Tries:
        """Return these tries as they count for one that follows all the same.

        A single further download that ends as the others did is enough then.
        """
        return replace(self, cuts=min(self.cuts, CUTS - 1), spent=0)

    def is_renewed(self, now: datetime) -> bool:
        """Tell whether the link is one of the API's newer ones, and too new to have expired."""
        return self.link_since is not None and now - self.link_since < FORGOTTEN_AFTER

    def may_come(self, url: str, finished_at: datetime | None, now: datetime) -> bool:
        """Tell whether the file behind a link that brings none may only not be there yet.

        It may in the first minutes of the link, and before the link's own expiry: in both cases
        for some minutes.
        """
        end, first = expires_at(url), self.absent_since or now
        if end is not None and end <= now:
            return False
        begun = self.link_since or finished_at or first
        is_young = first - begun < READY_WITHIN
        return (is_young or end is not None) and now - first < READY_WITHIN

    @property
    def verdict(self) -> str:
        """Why no further download would bring more; "" while one might."""
        cut_for = self.at - self.cut_since if self.at and self.cut_since else timedelta()
        if self.cuts >= CUTS and cut_for >= CUT_FOR:
            return f"the file ends at byte {self.cut_at} each time, {self.cuts} times in a row"
        if self.spent > MOST_SIZES * max(self.largest, 1):
            return f"the download broke off again and again, after {self.spent} bytes in all"
        return ""

    def again_asked(self, now: datetime) -> Tries:
        """Return these tries where the API is asked for a newer link, which is a part of them."""
        return replace(self, at=now)
