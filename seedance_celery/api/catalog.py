"""The Seedance models that CometAPI documents, and the checks before a create (pure).

Models come and go: `extended` adds to the table, and what the table does not know passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..exceptions import InvalidRequest

__all__ = [
    "CATALOG",
    "DEFAULT_MODEL",
    "DEFAULT_SECONDS",
    "DEFAULT_SIZE",
    "IMAGE_HEAD",
    "MAX_MODEL_ID",
    "MAX_PROMPT",
    "RATIOS",
    "Model",
    "extended",
    "image_type",
    "validate_create",
]

DEFAULT_MODEL = "doubao-seedance-2-0"
DEFAULT_SECONDS = 5
"""What the API takes where `seconds` is not sent."""
DEFAULT_SIZE = "16:9"
"""What the API takes where `size` is not sent."""
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
IMAGE_HEAD = 12
"""Bytes from an image's beginning that tell its type."""
MAX_PROMPT = 100_000
"""Characters of a prompt: more is a mistake, and too much for one statement of some databases."""
MAX_MODEL_ID = 100
MAX_SECONDS = 86400
"""A day: more is a mistake in the unit."""
MAX_SIZE = 32
"""Characters of a size: a row keeps it."""

_EXACT_SIZE = re.compile(r"[1-9]\d{1,4}x[1-9]\d{1,4}", re.ASCII)

# CometAPI documents these exact sizes, in this order of ratios: 16:9 4:3 1:1 3:4 9:16 21:9.
_SIZES_1_0 = (
    *("864x480", "736x544", "640x640", "544x736", "480x864", "960x416"),
    *("1248x704", "1120x832", "960x960", "832x1120", "704x1248", "1504x640"),
    *("1920x1088", "1664x1248", "1440x1440", "1248x1664", "1088x1920", "2176x928"),
)
_SIZES_TO_720P = (
    *("864x496", "752x560", "640x640", "560x752", "496x864", "992x432"),
    *("1280x720", "1112x834", "960x960", "834x1112", "720x1280", "1470x630"),
)
_SIZES = (
    *_SIZES_TO_720P,
    *("1920x1080", "1664x1248", "1440x1440", "1248x1664", "1080x1920", "2206x946"),
)


@dataclass(frozen=True, slots=True)
class Model:
    """What one model takes."""

    seconds: tuple[int, int]
    """The shortest and the longest video, in whole seconds."""
    images: bool = False
    """Whether it takes reference images (JPEG, PNG or WebP)."""
    sizes: tuple[str, ...] = _SIZES
    """Exact sizes to offer; others pass, too."""
    max_images: int | None = None
    """The most images of one create, where a limit is known; CometAPI documents none."""
    content: bool = False
    """Whether its videos have no link and are loaded from `/v1/videos/{id}/content` by the key."""


CATALOG: Mapping[str, Model] = MappingProxyType(
    {
        "doubao-seedance-2-0": Model((4, 15), images=True),
        "doubao-seedance-2-0-fast": Model((4, 15), images=True, sizes=_SIZES_TO_720P),
        "doubao-seedance-2-0-mini": Model((4, 15), images=True),
        "doubao-seedance-1-5-pro": Model((4, 12)),
        "doubao-seedance-1-0-pro": Model((2, 10), sizes=_SIZES_1_0),
        "seedance-2-5": Model((4, 30), images=True),
    }
)
"""The models of CometAPI's create page, by id."""


def extended(setting: Mapping[str, Any]) -> dict[str, Model]:
    """Return the table with the models of a setting added or replaced.

    A model is a dict such as `{"seconds": (4, 15), "images": True}`; `sizes`, `max_images` and
    `content` may be given, too. Raises ValueError that says what to write.
    """
    return {**CATALOG, **{name: _model(name, limits) for name, limits in setting.items()}}


def _model(name: Any, limits: Any) -> Model:
    _require(isinstance(name, str) and name.strip(), f"has a model id that is not a text: {name!r}")
    example = '{"seconds": (4, 15), "images": True}'
    _require(isinstance(limits, Mapping), f"{name!r} must be a dict such as {example}")
    unknown = set(limits) - {"seconds", "images", "sizes", "max_images", "content"}
    _require(not unknown, f"{name!r} has unknown limits: {', '.join(sorted(map(str, unknown)))}")
    return Model(
        seconds=_seconds_range(name, limits.get("seconds")),
        images=_flag(name, "images", limits),
        content=_flag(name, "content", limits),
        sizes=_sizes(name, limits.get("sizes", _SIZES)),
        max_images=_max_images(name, limits.get("max_images")),
    )


def _flag(name: str, limit: str, limits: Mapping[str, Any]) -> bool:
    value = limits.get(limit, False)
    _require(isinstance(value, bool), f"{name!r}: {limit} must be True or False")
    return bool(value)


def _require(is_right: object, message: str) -> None:
    if not is_right:
        raise ValueError(message)


def _seconds_range(name: str, value: Any) -> tuple[int, int]:
    is_pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_whole, value))
    message = f"{name!r}: seconds must be (shortest, longest), such as (4, 15)"
    _require(is_pair and 0 < value[0] <= value[1] <= MAX_SECONDS, message)
    return value[0], value[1]


def _sizes(name: str, value: Any) -> tuple[str, ...]:
    sizes = value if isinstance(value, (tuple, list)) else [value]
    is_right = all(isinstance(size, str) and _EXACT_SIZE.fullmatch(size) for size in sizes)
    _require(is_right, f'{name!r}: sizes must be a list such as ["1280x720"]')
    return tuple(sizes)


def _max_images(name: str, value: int | None) -> int | None:
    is_right = value is None or (_is_whole(value) and value > 0)
    _require(is_right, f"{name!r}: max_images must be a whole number above 0, or None")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def image_type(head: bytes) -> str:
    """Return the MIME type of an image by its first 12 bytes, "" if it is none that models take."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


def validate_create(
    prompt: str,
    model: str = DEFAULT_MODEL,
    seconds: int | None = None,
    size: str | None = None,
    images: Sequence[bytes] = (),
    *,
    models: Mapping[str, Model] = CATALOG,
) -> None:
    """Raise `InvalidRequest`, with the argument's name as `field`, for what the API would refuse.

    `images` are the first 12 bytes (or more) of each image. None for `seconds` and `size` leaves
    them to the API. Of a model that `models` does not know only the types are checked, and that a
    row could keep the values.
    """
    _check_text("prompt", prompt)
    if len(prompt) > MAX_PROMPT:
        raise InvalidRequest(f"A prompt has at most {MAX_PROMPT} characters.", "prompt")
    _check_text("model", model)
    if len(model) > MAX_MODEL_ID:
        raise InvalidRequest(f"A model id has at most {MAX_MODEL_ID} characters.", "model")
    limits = models.get(model)
    if seconds is not None:
        _check_seconds(model, seconds, limits)
    if size is not None:
        _check_size(size, limits)
    if limits is not None:
        _check_images(model, images, limits)


def _check_text(field: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"The {field} must be a text that is not blank.", field)
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidRequest(f"The {field} holds a character that cannot be sent.", field)


def _check_seconds(model: str, seconds: Any, limits: Model | None) -> None:
    if not _is_whole(seconds) or seconds < 1:
        raise InvalidRequest("The seconds must be a whole number above 0.", "seconds")
    low, high = limits.seconds if limits else (1, MAX_SECONDS)
    if not low <= seconds <= high:
        # A number of more than 4,300 digits has no text.
        given = f", not {seconds}" if seconds <= MAX_SECONDS else ""
        raise InvalidRequest(f"{model} takes {low} to {high} seconds{given}.", "seconds")


def _check_size(size: Any, limits: Model | None) -> None:
    _check_text("size", size)
    if len(size) > MAX_SIZE:
        raise InvalidRequest(f"A size has at most {MAX_SIZE} characters.", "size")
    if limits is not None and size not in RATIOS and not _EXACT_SIZE.fullmatch(size):
        ratios = ", ".join(RATIOS)
        raise InvalidRequest(f"The size must be one of {ratios}, or like 1280x720.", "size")


def _check_images(model: str, images: Sequence[bytes], limits: Model) -> None:
    if images and not limits.images:
        raise InvalidRequest(f"{model} takes no images.", "images")
    if limits.max_images is not None and len(images) > limits.max_images:
        raise InvalidRequest(f"{model} takes at most {limits.max_images} images.", "images")
    for number, head in enumerate(images, 1):
        if not image_type(head):
            message = f"Image {number} is none of JPEG, PNG and WebP by its content."
            raise InvalidRequest(message, "images")
