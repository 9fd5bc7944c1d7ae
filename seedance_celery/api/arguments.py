"""What callers hand in, checked at the door before a row or a file is touched (pure).

A view may pass the JSON of a request body straight on, so an argument can be anything that JSON
can hold, and more. Each check returns the value in its plain type, or raises `InvalidRequest` with
the name of the argument as `field`. No message repeats a value: some are private, some are long.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from itertools import chain
from typing import Any

from ..exceptions import InvalidRequest
from .redaction import storable_text

__all__ = [
    "LONGEST_ACCOUNT",
    "LONGEST_KEY",
    "MAX_IMAGES",
    "MAX_LEVELS",
    "MAX_METADATA",
    "MAX_NAME",
    "checked_account",
    "checked_flag",
    "checked_images",
    "checked_key",
    "checked_metadata",
    "checked_name",
    "checked_seconds",
    "is_file",
    "is_storable",
    "plain",
]

MAX_LEVELS = 30
"""Lists and dicts within each other in `metadata`: MariaDB refuses JSON of 32."""
MAX_METADATA = 1024 * 1024
"""Characters of `metadata` as JSON: a server's limit on one packet is a few megabytes."""
LONGEST_WAIT = 366 * 86400
"""Seconds for one request: more is a mistake, and too much for a socket's timeout."""
LONGEST_ACCOUNT = 64
LONGEST_KEY = 255
MAX_IMAGES = 100
"""Images of one order; the models take far fewer."""
MAX_NAME = 1024
"""Characters of a file's name in a storage: S3 takes no longer one."""

_DRIVE = re.compile(r"[A-Za-z]:")


def plain(value: Any) -> Any:
    """Return a text or a whole number in its plain type, and anything else as it is.

    The members of `TextChoices` and `IntEnum`, for example, are texts and numbers that some
    database adapters write in a way of their own.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__index__(value)
    return value


def checked_account(name: Any) -> str | None:
    """Return what may be the name of an account. Whether it is configured is not looked at."""
    if name is None:
        return None
    if not isinstance(name, str) or len(name) > LONGEST_ACCOUNT or not is_storable(name):
        message = f"account is a name of at most {LONGEST_ACCOUNT} characters."
        raise InvalidRequest(message, "account")
    return str(plain(name))


def checked_flag(value: Any, field: str) -> bool:
    """Return True or False; None, which leaves the option out, is False."""
    if value is None or isinstance(value, bool):
        return bool(value)
    raise InvalidRequest(f"{field} is True or False, not {type(value).__name__}.", field)


def checked_key(key: Any) -> str | None:
    """Return an idempotency key that every database keeps and compares alike."""
    if key is None:
        return None
    if isinstance(key, uuid.UUID):
        return str(key)
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY:
        message = f"idempotency_key is a string of 1 to {LONGEST_KEY} characters."
        raise InvalidRequest(message, "idempotency_key")
    # To MariaDB "k" and "k " are one key.
    if key != key.strip() or not is_storable(key):
        message = (
            "idempotency_key holds a NUL or a lone surrogate, or white space at an end. "
            "Take it out."
        )
        raise InvalidRequest(message, "idempotency_key")
    return str(plain(key))


def checked_metadata(metadata: Any) -> Any:
    """Return metadata as JSON gives it back; what not every database keeps is refused."""
    try:
        text = json.dumps(metadata, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"metadata is kept as JSON, which it is not ({type(error).__name__})."
        raise InvalidRequest(message, "metadata") from None
    if len(text) > MAX_METADATA:
        message = f"metadata has more than {MAX_METADATA} characters as JSON. Keep it elsewhere."
        raise InvalidRequest(message, "metadata")
    if not is_storable(metadata):
        message = (
            f"metadata holds a NUL or a lone surrogate, or more than {MAX_LEVELS} levels of lists "
            f"and dicts: not every database keeps these. Take them out."
        )
        raise InvalidRequest(message, "metadata")
    return json.loads(text)


def is_storable(value: Any, levels: int = MAX_LEVELS) -> bool:
    """Tell whether every database keeps a JSON value."""
    if isinstance(value, str):
        return storable_text(value, len(value)) == value
    if not isinstance(value, (dict, list, tuple)):
        return True
    parts = chain(value, value.values()) if isinstance(value, dict) else value
    return levels > 0 and all(is_storable(part, levels - 1) for part in parts)


def is_file(value: Any) -> bool:
    """Tell whether a value can be read as a file can."""
    try:
        return hasattr(value, "read")
    except Exception:  # noqa: BLE001  (a model's file that is gone raises what its storage likes)
        return True


def checked_images(images: Any) -> list[Any]:
    """Return the images of an order as a list. What each of them is remains to be checked."""
    is_many = isinstance(images, Iterable) and not isinstance(images, (str, bytes, dict))
    if not is_many or is_file(images):
        message = "images is a list of names in the storage (or of open files), not one name."
        raise InvalidRequest(message, "images")
    found: list[Any] = []
    for image in images:
        if len(found) == MAX_IMAGES:
            raise InvalidRequest(f"There are more than {MAX_IMAGES} images.", "images")
        found.append(image)
    return found


def checked_seconds(value: Any, field: str) -> float:
    """Return a number of seconds that can be waited for."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value <= LONGEST_WAIT:
        message = f"{field} is a number of seconds above 0 and up to {LONGEST_WAIT}."
        raise InvalidRequest(message, field)
    return float(value)


def checked_name(name: Any) -> str:
    """Return the name of an image in the storage: a path that stays inside of it."""
    if not isinstance(name, str):
        kind = type(name).__name__
        message = f"An image is a name in the storage (or an open file), not a {kind}."
        raise InvalidRequest(message, "images")
    if not 0 < len(name) <= MAX_NAME or not name.strip() or not is_storable(name):
        message = f"An image's name in the storage is a text of 1 to {MAX_NAME} characters."
        raise InvalidRequest(message, "images")
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or _DRIVE.match(name):
        message = "An image's name leads out of the storage. Give it relative, without '..'."
        raise InvalidRequest(message, "images")
    return str(plain(name))
