"""What the package refuses before any request, as the `ValidationError` of a form."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from .buying.orders import check
from .exceptions import InvalidRequest

__all__ = ["check_order", "validation_errors"]


@contextmanager
def validation_errors(fields: Container[str] | None = None) -> Iterator[None]:
    """Turn an `InvalidRequest` of the block into a `ValidationError` that names its field.

    `fields` are the names that the form has: an error about another one is the whole form's.
    """
    try:
        yield
    except InvalidRequest as error:
        is_known = bool(error.field) and (fields is None or error.field in fields)
        raise ValidationError(
            {error.field if is_known else NON_FIELD_ERRORS: [str(error)]}
        ) from error


def check_order(
    prompt: str = "",
    *,
    model: str | None = None,
    seconds: int | None = None,
    size: str | None = None,
    images: Iterable[Any] = (),
    fields: Container[str] | None = None,
    **others: Any,
) -> None:
    """Raise the `ValidationError` of what `generate_video` would refuse; insert and send nothing.

    For a form's `clean()`: the options are `generate_video`'s, `others` are not looked at, and
    `fields` as for `validation_errors`. Open files among `images` are read from their beginning
    and left there.
    """
    with validation_errors(fields):
        check(prompt, model=model, seconds=seconds, size=size or None, images=images or ())
