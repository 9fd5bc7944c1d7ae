"""What is asked for, as a row: checked, and there once whoever asks twice."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable
from itertools import chain
from typing import Any

from django.core.files.storage import Storage, storages
from django.db import IntegrityError, transaction

from . import clock
from .catalog import IMAGE_HEAD, validate_create
from .conf import get_settings
from .exceptions import InvalidRequest
from .models import Video
from .models.actions import checked_timeout
from .redaction import storable_text

__all__ = ["check", "order"]

logger = logging.getLogger(__name__)

MAX_LEVELS = 30
"""Lists and dicts within each other in `metadata`: MariaDB refuses JSON of 32."""


def order(
    prompt: str,
    *,
    model: str | None = None,
    seconds: int | None = None,
    size: str | None = None,
    images: Iterable[Any] = (),
    account: str | None = None,
    idempotency_key: str | None = None,
    metadata: Any = None,
    timeout: float | None = None,
    create_key: str | None = None,
    store: bool | None = None,
) -> tuple[Video, bool]:
    """Insert a row for a video to buy; return it and whether it is new.

    Raises `InvalidRequest` (naming the field) for what the API would refuse and for what not every
    database keeps, `UnknownAccount` for an account that is not configured. The same create key, or
    the same idempotency key on an account, returns the row that is there.
    """
    settings = get_settings()
    name = settings.account(account).name
    model = model or settings.default_model
    names = _names(images)
    images = [name for name, _ in names]
    check(prompt, model=model, seconds=seconds, size=size, images=images)
    values = {
        "account": name,
        "model": model,
        "prompt": prompt,
        "seconds": seconds,
        "size": size or "",
        "images": names,
        "metadata": _jsonable(metadata),
        "timeout": checked_timeout(timeout) or settings.timeout,
        "store_wanted": bool(store),
        "create_key": create_key,
        "idempotency_key": _key(idempotency_key),
        "created_at": clock.now(),
        "overdue_at": clock.after(settings.resend_after),
    }
    return _inserted(values)


def _inserted(values: dict[str, Any]) -> tuple[Video, bool]:
    rows = Video.objects.primary()
    found = _existing(values)
    if found is None:
        try:
            with transaction.atomic(using=rows.db):
                return rows.create(**values).current(), True
        except IntegrityError:
            found = _existing(values)
            if found is None:
                raise
    _warn_of_another(found, values)
    return found, False


def _warn_of_another(found: Video, values: dict[str, Any]) -> None:
    """Tell of an order that its key keeps from being bought, though it is not the same one."""
    if any(getattr(found, name) != values[name] for name in ("prompt", "model", "seconds", "size")):
        words = "Video %s: another order came with its idempotency_key, and was not bought"
        logger.warning(words, found)


def _existing(values: dict[str, Any]) -> Video | None:
    rows = Video.objects.primary().with_now()
    found = None
    if values["create_key"]:
        found = rows.filter(create_key=values["create_key"]).first()
    if found is None and values["idempotency_key"]:
        key = {"account": values["account"], "idempotency_key": values["idempotency_key"]}
        found = rows.filter(**key).first()
    return found


def _names(images: Iterable[Any]) -> list[list[Any]]:
    """Return `[storage name, is ours to remove]` for each image."""
    _refuse_one_name(images)
    return [[image, False] if isinstance(image, str) else list(image) for image in images]


def _refuse_one_name(images: Any) -> None:
    if isinstance(images, (str, bytes)):
        raise InvalidRequest("images is a list of names in the storage, not one name.", "images")


def check(
    prompt: str,
    *,
    model: str | None = None,
    seconds: int | None = None,
    size: str | None = None,
    images: Iterable[Any] = (),
) -> None:
    """Raise `InvalidRequest` for what the API would refuse.

    `images` are names in the storage, or open files, which are left at their beginning.
    """
    settings = get_settings()
    _refuse_one_name(images)
    heads = [_head(storages[settings.storage], image) for image in images]
    model = model or settings.default_model
    validate_create(prompt, model, seconds, size, heads, models=settings.models)


def _head(storage: Storage, name: Any) -> bytes:
    if hasattr(name, "read"):
        return _head_of_file(name)
    try:
        with storage.open(name, "rb") as file:
            return bytes(file.read(IMAGE_HEAD))
    except (OSError, ValueError):  # a name with a NUL is a ValueError
        raise InvalidRequest(f"The storage has no image {name!r}.", "images") from None


def _head_of_file(file: Any) -> bytes:
    try:
        file.seek(0)
        head = bytes(file.read(IMAGE_HEAD))
        file.seek(0)
    except ValueError:
        raise InvalidRequest("An image is a closed file. Open it again.", "images") from None
    return head


def _jsonable(metadata: Any) -> Any:
    try:
        json.dumps(metadata, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"metadata is kept as JSON: {error}", "metadata") from None
    if not _is_storable(metadata):
        message = (
            f"metadata holds a NUL or a lone surrogate, or more than {MAX_LEVELS} levels of lists "
            f"and dicts: not every database keeps these. Take them out."
        )
        raise InvalidRequest(message, "metadata")
    return metadata


def _is_storable(value: Any, levels: int = MAX_LEVELS) -> bool:
    """Tell whether every database keeps a JSON value."""
    if isinstance(value, str):
        return storable_text(value, len(value)) == value
    if not isinstance(value, (dict, list, tuple)):
        return True
    parts = chain(value, value.values()) if isinstance(value, dict) else value
    return levels > 0 and all(_is_storable(part, levels - 1) for part in parts)


def _key(idempotency_key: Any) -> str | None:
    if idempotency_key is None:
        return None
    if isinstance(idempotency_key, uuid.UUID):
        return str(idempotency_key)
    if not isinstance(idempotency_key, str) or not 0 < len(idempotency_key) <= 255:
        message = "idempotency_key is a string of 1 to 255 characters."
        raise InvalidRequest(message, "idempotency_key")
    # To MariaDB "k" and "k " are one key.
    if idempotency_key != idempotency_key.strip() or not _is_storable(idempotency_key):
        message = (
            "idempotency_key holds a NUL or a lone surrogate, or white space at an end. "
            "Take it out."
        )
        raise InvalidRequest(message, "idempotency_key")
    return idempotency_key
