"""Readers of single settings (pure): a raw value in, the clean one out.

Each raises ValueError with what the value must be; no message repeats a key or an address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from django.utils.module_loading import import_string

from ..api import catalog
from ..api.arguments import LONGEST_ACCOUNT

__all__ = [
    "KeyPath",
    "accounts",
    "ages",
    "countdown",
    "dotted_path",
    "flag",
    "folder",
    "interval",
    "key",
    "model_id",
    "models",
    "name",
    "one_of",
    "pair",
    "seconds",
    "whole",
]

YEAR = 366 * 86400.0
"""The longest time that a setting may name, in seconds: beyond it is a mistake in the unit."""
SHORTEST_INTERVAL = 0.1


class KeyPath:
    """A key named by a dotted path: to the key itself, or to a callable that returns it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def target(self) -> Any:
        """Return what the path leads to; raises ImportError where there is nothing."""
        return import_string(self.path)

    def __call__(self) -> str:
        """Return the key as it is now; "" where what the path leads to is no text."""
        found = self.target()
        key = found() if callable(found) else found
        return key if isinstance(key, str) else ""


def _require(is_right: object, message: str) -> None:
    if not is_right:
        raise ValueError(message)


def _text(value: Any) -> str:
    _require(isinstance(value, str), f"must be a string, not {type(value).__name__}")
    return str(value)


def seconds(low: float, high: float = YEAR) -> Callable[[Any], float]:
    """Return the reader of a number of seconds from `low` to `high`."""

    def read(value: Any) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        _require(is_number, f"must be a number of seconds, not {type(value).__name__}")
        _require(low <= value <= high, f"must be from {low:.10g} to {high:.10g}, not {value:.10g}")
        return float(value)

    return read


def interval(value: Any) -> float:
    """Read a number of seconds that 0 turns off."""
    every = seconds(0)(value)
    _require(not 0 < every < SHORTEST_INTERVAL, f"must be 0 or at least {SHORTEST_INTERVAL:g}")
    return every


def whole(low: int) -> Callable[[Any], int]:
    """Return the reader of a whole number that is not below `low`."""

    def read(value: Any) -> int:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        _require(is_whole, f"must be a whole number, not {type(value).__name__}")
        _require(value >= low, f"must be at least {low}, not {value}")
        return int(value)

    return read


def pair(low: float) -> Callable[[Any], tuple[float, float]]:
    """Return the reader of two numbers of seconds, neither below `low`."""

    def read(value: Any) -> tuple[float, float]:
        is_pair = isinstance(value, (tuple, list)) and len(value) == 2
        _require(is_pair, "must be a pair of numbers of seconds")
        return seconds(low)(value[0]), seconds(low)(value[1])

    return read


def countdown(value: Any) -> tuple[float, float]:
    """Read the shortest and the longest countdown."""
    low, high = pair(0.01)(value)
    _require(low <= high, f"must be (shortest, longest), not ({low:g}, {high:g})")
    return low, high


def ages(value: Any) -> tuple[float, ...]:
    """Read rising numbers of seconds."""
    _require(isinstance(value, (tuple, list)), "must be a list of numbers of seconds")
    found = tuple(seconds(1)(age) for age in value)
    _require(list(found) == sorted(set(found)), "must rise from each number to the next")
    return found


def one_of(*words: str) -> Callable[[Any], str]:
    """Return the reader of one of some words."""

    def read(value: Any) -> str:
        choice = " or ".join(map(repr, words))
        _require(_text(value) in words, f"must be {choice}, not {value!r:.40}")
        return str(value)

    return read


def flag(value: Any) -> bool:
    """Read True or False."""
    _require(isinstance(value, bool), f"must be True or False, not {type(value).__name__}")
    return bool(value)


def name(value: Any) -> str:
    """Read a name: text that is not blank."""
    _require(_text(value).strip(), "must not be blank")
    return str(value)


def model_id(value: Any) -> str:
    """Read the id of a model."""
    longest = catalog.MAX_MODEL_ID
    _require(len(name(value)) <= longest, f"must have at most {longest} characters")
    return str(value)


def key(value: Any) -> str | Callable[[], str]:
    """Read a key, a callable that returns one, or the dotted path of either."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    text = _text(value)
    if _is_dotted_path(text):
        return KeyPath(text)
    is_clean = text.isascii() and (text.isprintable() and " " not in text)
    _require(is_clean, "must have no white space and only ASCII characters in it")
    return text


def _is_dotted_path(text: str) -> bool:
    # CometAPI's keys ("sk-…") have a hyphen and no dot, so the two cannot be confused.
    return "." in text and all(part.isidentifier() for part in text.split("."))


def dotted_path(value: Any) -> str | Callable[..., Any]:
    """Read a callable, or the dotted path of one."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    _require(_is_dotted_path(_text(value)), "must be a callable or its dotted path")
    return str(value)


def folder(value: Any) -> str | Callable[..., str]:
    """Read a folder in a storage, or a callable that names a file."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    parts = _text(value).replace("\\", "/").split("/")
    is_inside = ".." not in parts and not value.startswith(("/", "\\"))
    _require(is_inside, "must be a folder inside the storage")
    return str(value)


def models(value: Any) -> Mapping[str, catalog.Model]:
    """Read models to add to the table."""
    _require(isinstance(value, Mapping), "must be a dict from a model's id to its limits")
    return MappingProxyType(catalog.extended(value))


def accounts(value: Any) -> Mapping[str, Mapping[str, Any]]:
    """Read a dict of dicts; what is in them has readers of its own."""
    _require(isinstance(value, Mapping), "must be a dict from a name to a dict")
    for account, options in value.items():
        is_name = isinstance(account, str) and 0 < len(account.strip()) <= LONGEST_ACCOUNT
        _require(is_name, f"has a name that is not 1 to {LONGEST_ACCOUNT} characters of text")
        _require(isinstance(options, Mapping), f"has no dict for {account!r}")
    return value  # type: ignore[no-any-return]
