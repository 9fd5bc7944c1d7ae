"""Find the link to a finished video in an answer, and tell what is wrong with one (pure).

CometAPI documents `video_url`. Its gateway and other models on the same routes put the link
elsewhere, so all known places are read, in one order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = ["MAX_URL", "Link", "all_links", "find_link", "read_link"]

MAX_URL = 16 * 1024
"""Characters of a link that can be used: some carry whole tokens in their query."""
MAX_LINKS = 20

TOO_LONG = f"it is longer than {MAX_URL} characters"
NOT_HTTP = "it is no http or https address"
GARBAGE = "it is no address"

PLACES: tuple[tuple[str, ...], ...] = (
    ("video_url",),
    ("metadata", "url"),
    ("result_url",),
    ("data", "content", "video_url"),
    ("url",),
    ("content", "video_url"),
)
"""Where a link can stand in an object, the documented place first."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link that can be used, or why the one that was sent cannot; both empty where none was."""

    url: str = ""
    fault: str = ""


def find_link(layers: Sequence[dict[str, Any]]) -> Link:
    """Return the first usable link in the known places of each layer, else the first faulty one."""
    links = [read_link(_value_at(layer, place)) for place in PLACES for layer in layers]
    # In the older envelope a success carries the link in `fail_reason`, which may hold words, too.
    texts = (layer.get("fail_reason") for layer in layers)
    links += [read_link(text) for text in texts if isinstance(text, str) and "://" in text]
    usable = (link for link in links if link.url)
    faulty = (link for link in links if link.fault)
    return next(usable, None) or next(faulty, None) or Link()


def _value_at(value: Any, place: Sequence[str]) -> Any:
    for name in place:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def read_link(value: Any) -> Link:
    """Return the link that a field holds: a text, or an object or list with one in it.

    Blanks are quoted, line breaks taken out, and nothing else is changed: the query is signed.
    """
    if isinstance(value, dict):
        value = value.get("url")
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, str):
        return Link(fault=GARBAGE) if value else Link()
    text = value.strip()
    if not text:
        return Link()
    if len(text) > MAX_URL:
        return Link(fault=TOO_LONG)
    if not text[:8].lower().startswith(("http://", "https://")):
        return Link(fault=NOT_HTTP)
    return _checked(text)


def _checked(text: str) -> Link:
    try:
        url = _without_blanks(text)
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and "%" not in parts.netloc.rpartition("@")[2]
    except ValueError:  # an unfinished IPv6 address, half a surrogate pair
        return Link(fault=GARBAGE)
    if not is_address or not url.isprintable():
        return Link(fault=GARBAGE)
    return Link(url) if len(url) <= MAX_URL else Link(fault=TOO_LONG)


def _without_blanks(text: str) -> str:
    text = text.translate(_LINE_BREAKS)
    # Without half a surrogate pair, which raises a ValueError here.
    text.encode()
    if text.isascii() and " " not in text:
        return text
    return "".join(quote(char, safe="") if _is_blank(char) else char for char in text)


_LINE_BREAKS = dict.fromkeys(map(ord, "\t\r\n"))


def _is_blank(char: str) -> bool:
    return char == " " or (not char.isascii() and not char.isprintable())


def all_links(value: Any, depth: int = 16) -> list[str]:
    """Return the addresses anywhere in JSON data, up to 20: where none was found in its place."""
    found = dict.fromkeys(url for url in _addresses(value, depth) if len(url) <= MAX_URL)
    return list(found)[:MAX_LINKS]


def _addresses(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str) and value.lstrip()[:8].lower().startswith(("http://", "https://")):
        yield value.strip()
    inner = value.values() if isinstance(value, dict) else value
    if depth > 1 and isinstance(value, (dict, list)):
        for item in inner:
            yield from _addresses(item, depth - 1)
