"""What a create must look like to be accepted, and what CometAPI answers when it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..api.catalog import DEFAULT_SECONDS, DEFAULT_SIZE, Model, image_type
from .reply import Reply, api_error
from .request import Form, Upload

__all__ = ["Order", "read_order", "refusal"]


_UNKNOWN_SEEDANCE = Model((1, 60), images=True)


@dataclass(frozen=True)
class Order:
    """A create that was read: its fields as text, and its images without their content."""

    prompt: str = field(repr=False)
    model: str
    seconds: str
    size: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    images: tuple[Upload, ...] = ()


def read_order(form: Form) -> Order:
    """Read a form; what is not there gets CometAPI's default."""
    fields = form.fields
    return Order(
        prompt=fields.get("prompt", ""),
        model=fields.get("model", ""),
        seconds=fields.get("seconds", str(DEFAULT_SECONDS)),
        size=fields.get("size", DEFAULT_SIZE),
        fields=fields,
        images=tuple(file for file in form.files if file.field == "input_reference"),
    )


def refusal(order: Order, models: Mapping[str, Model]) -> Reply | None:
    """Return the first refusal that `order` meets, or None when it is accepted."""
    return next(_refusals(order, models), None)


def _refusals(order: Order, models: Mapping[str, Model]) -> Iterator[Reply]:
    if not order.prompt.strip():
        yield _invalid("prompt is required", "prompt")
    if not order.model:
        yield _invalid("model is required", "model")
    limits = models.get(order.model)
    if limits is None and "seedance" not in order.model:
        message = f"no available channel for group default and model {order.model}"
        yield api_error(503, message, code="model_not_found")
    yield from _parameter_refusals(order, limits or _UNKNOWN_SEEDANCE)


def _parameter_refusals(order: Order, limits: Model) -> Iterator[Reply]:
    seconds = int(order.seconds) if re.fullmatch(r"[0-9]{1,4}", order.seconds) else -1
    shortest, longest = limits.seconds
    if not shortest <= seconds <= longest:
        message = f"the parameter duration must be an integer from {shortest} to {longest}"
        yield _invalid(message, "duration")
    if not re.fullmatch(r"[0-9]+[:x][0-9]+", order.size):
        yield _invalid("the parameter size is not valid", "size")
    if order.images and not limits.images:
        model = order.model.removeprefix("doubao-")
        message = f"the specified task_type r2v does not support model {model}"
        yield _invalid(message, "input_reference")
    if not all(image_type(image.start) for image in order.images):
        yield _invalid("the image must be a JPEG, PNG or WebP", "input_reference")


def _invalid(message: str, param: str) -> Reply:
    return api_error(400, message, code="InvalidParameter", param=param)
