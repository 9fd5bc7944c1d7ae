"""What is asked for, as a row: checked, and there once whoever asks twice."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from ..api.arguments import checked_flag, checked_key, checked_metadata, plain
from ..api.catalog import validate_create
from ..conf import get_settings
from ..db import clock
from ..exceptions import InvalidRequest
from ..models import UsedKey, Video, image_copies
from ..models.actions import checked_timeout
from ..models.used_key import used_key

__all__ = ["check", "order"]

logger = logging.getLogger(__name__)


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
    takes_files: bool = False,
) -> tuple[Video, bool]:
    """Insert a row for a video to buy; return it and whether it is new.

    `images` are names in the storage, and open files as well where the caller `takes_files`: their
    copies stay where the row is new. Raises `InvalidRequest` (naming the field) for what the API
    would refuse, for what not every database keeps, and for an idempotency key of another order;
    `UnknownAccount` for an account that is not configured. The same create key, or the same order
    with the same idempotency key on an account, returns the row that is there.
    """
    settings = get_settings()
    prompt, model, seconds, size = map(plain, (prompt, model, seconds, size))
    model = None if model == "" else model
    used_model = settings.default_model if model is None else model
    values = {
        "account": settings.account(account).name,
        "model": used_model,
        "prompt": prompt,
        "seconds": seconds,
        "size": size or "",
        "metadata": checked_metadata(metadata),
        "timeout": checked_timeout(timeout) or settings.timeout,
        "store_wanted": checked_flag(store, "store"),
        "create_key": create_key,
        "idempotency_key": checked_key(idempotency_key),
        "created_at": clock.now(),
        "overdue_at": clock.after(settings.resend_after),
    }
    # No file is opened or copied for an order that is refused anyway.
    validate_create(prompt, used_model, seconds, size, models=settings.models)
    with image_copies.stored(images, takes_files=takes_files) as stored:
        has_key = values["idempotency_key"] is not None
        read = [image.read(whole=has_key) for image in stored]
        heads = [head for head, _ in read]
        validate_create(prompt, used_model, seconds, size, heads, models=settings.models)
        values["images"] = [image.as_row() for image in stored]
        if has_key:
            hashes = [content for _, content in read]
            values["order_digest"] = _digest(prompt, model, seconds, size, hashes)
        video, is_new = _inserted(values)
    if not is_new:
        image_copies.remove(values["images"])
    return video, is_new


def _digest(
    prompt: str, model: str | None, seconds: int | None, size: str | None, hashes: Sequence[str]
) -> str:
    """Return a hash of what is bought, as the caller gave it, each image by its content.

    What was left out stays left out, so that a deploy with another default changes nothing.
    """
    asked = [prompt, model, seconds, size, list(hashes)]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


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
    return found, False


def _existing(values: dict[str, Any]) -> Video | None:
    """Return the row of the same order; raise `InvalidRequest` where its key is another order's."""
    rows = Video.objects.primary().with_now()
    celery_id, key = values["create_key"], values["idempotency_key"]
    found = rows.filter(create_key=celery_id).first() if celery_id else None
    if found is not None or not key:
        return found
    found = rows.filter(account=values["account"], idempotency_key=key).first()
    if found is not None:
        _require_same(found, values)
        return found
    # Only now: while its row was looked for, a key may have been moved here by its removal.
    used = used_key(values["account"], key)
    if used is not None:
        raise InvalidRequest(_told_of_used(used), "idempotency_key")
    return None


def _require_same(found: Video, values: dict[str, Any]) -> None:
    """Raise `InvalidRequest` where a key was used for another order, which may be another user's.

    A row from before orders had a digest is compared by what is in it, and only a warning tells.
    """
    if found.order_digest and found.order_digest != values["order_digest"]:
        message = (
            "This idempotency_key was used for another order on this account. Make a new key for "
            'each order, and bind it to the user, such as f"{user.pk}:{form_id}".'
        )
        raise InvalidRequest(message, "idempotency_key")
    compared = () if found.order_digest else ("prompt", "model", "seconds", "size")
    if any(getattr(found, name) != values[name] for name in compared):
        words = "Video %s: another order came with its idempotency_key, and was not bought"
        logger.warning(words, found)


def _told_of_used(used: UsedKey) -> str:
    bought = f"bought video {used.api_id}" if used.api_id else "was used for an order"
    return (
        f"This idempotency_key {bought} (row {used.video_pk}), whose row was removed on "
        f"{used.removed_at:%Y-%m-%d}. Make a new key to buy another video."
    )


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
    heads = image_copies.heads_of(images)
    model = settings.default_model if model is None or model == "" else model
    validate_create(prompt, model, seconds, size, heads, models=settings.models)
