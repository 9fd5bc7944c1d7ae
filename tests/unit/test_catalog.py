"""The model table, and the checks before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from seedance_celery.api.catalog import (
    CATALOG,
    DEFAULT_MODEL,
    RATIOS,
    extended,
    image_type,
    validate_create,
)
from seedance_celery.exceptions import InvalidRequest, SeedanceError

JPEG = b"\xff\xd8\xff\xe0" + bytes(8)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(4)
WEBP = b"RIFF\x10\0\0\0WEBP"


def field_of(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        validate_create(*args, **kwargs)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SeedanceError)
    return caught.value.field


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [
        ("doubao-seedance-2-0", 4, 15),
        ("doubao-seedance-2-0-fast", 4, 15),
        ("doubao-seedance-2-0-mini", 4, 15),
        ("doubao-seedance-1-5-pro", 4, 12),
        ("doubao-seedance-1-0-pro", 2, 10),
        ("seedance-2-5", 4, 30),
    ],
)
def test_seconds_range_of_each_model(model: str, low: int, high: int) -> None:
    validate_create("x", model, low)
    validate_create("x", model, high)
    assert field_of("x", model, low - 1) == "seconds"
    assert field_of("x", model, high + 1) == "seconds"


@pytest.mark.parametrize("seconds", [0, -1, True, 5.0, "5", [5]])
def test_seconds_of_another_kind_are_refused_for_every_model(seconds: Any) -> None:
    assert field_of("x", DEFAULT_MODEL, seconds) == "seconds"
    assert field_of("x", "someone-elses-model", seconds) == "seconds"


@pytest.mark.parametrize("prompt", ["", "  \n", None, 5, "a\0b", "a\ud800"])
def test_prompt_that_cannot_be_sent_is_refused_and_not_echoed(prompt: Any) -> None:
    assert field_of(prompt) == "prompt"


@pytest.mark.parametrize("model", ["", " ", None, "m" * 101])
def test_model_that_cannot_be_one_is_refused(model: Any) -> None:
    assert field_of("x", model) == "model"


@pytest.mark.parametrize("size", [*RATIOS, "1280x720", "123x4567", None])
def test_ratios_and_exact_sizes_pass_documented_or_not(size: str | None) -> None:
    validate_create("x", size=size)


@pytest.mark.parametrize(
    "size", ["", "big", "16x9", "0x720", "1280X720", "1280x", '"16:9"', "9:21"]
)
def test_size_in_no_known_form_is_refused(size: str) -> None:
    assert field_of("x", size=size) == "size"


def test_size_and_seconds_that_no_row_could_keep_are_refused_for_every_model() -> None:
    assert field_of("x", "someone-elses-model", 86_401) == "seconds"
    assert field_of("x", "someone-elses-model", size="1" * 33) == "size"


def test_unknown_model_passes_with_any_size_seconds_and_images() -> None:
    validate_create("x", "someone-elses-model", 120, "1080p", [b"GIF89a", PNG])


@pytest.mark.parametrize("image", [JPEG, PNG, WEBP])
def test_images_of_the_three_types_pass(image: bytes) -> None:
    validate_create("x", images=[image, image])


@pytest.mark.parametrize("image", [b"", b"GIF89a......", b"<svg/>", b"RIFF....AVI ", PNG[:7]])
def test_image_of_another_content_is_refused(image: bytes) -> None:
    assert field_of("x", images=[PNG, image]) == "images"


@pytest.mark.parametrize("model", ["doubao-seedance-1-5-pro", "doubao-seedance-1-0-pro"])
def test_images_for_a_model_without_images_are_refused(model: str) -> None:
    assert field_of("x", model, images=[PNG]) == "images"


def test_image_type_is_told_by_content() -> None:
    kinds = [image_type(head) for head in (JPEG, PNG, WEBP, b"BM")]
    assert kinds == ["image/jpeg", "image/png", "image/webp", ""]


def test_message_never_holds_the_prompt() -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate_create("secret kite", seconds=99)
    assert "kite" not in repr(caught.value.args)


def test_setting_adds_and_replaces_models() -> None:
    models = extended(
        {
            "my-model": {"seconds": [1, 60], "images": True, "max_images": 1},
            DEFAULT_MODEL: {"seconds": (4, 20), "sizes": ["640x640"]},
        }
    )
    assert set(CATALOG) < set(models)
    validate_create("x", "my-model", 60, models=models)
    assert field_of("x", "my-model", 61, models=models) == "seconds"
    assert field_of("x", "my-model", images=[PNG, PNG], models=models) == "images"
    validate_create("x", seconds=20, models=models)
    assert models[DEFAULT_MODEL].sizes == ("640x640",)
    assert CATALOG[DEFAULT_MODEL].seconds == (4, 15)


@pytest.mark.parametrize(
    "setting",
    [
        {"": {"seconds": (1, 2)}},
        {5: {"seconds": (1, 2)}},
        {"m": None},
        {"m": {}},
        {"m": {"seconds": 5}},
        {"m": {"seconds": (5, 4)}},
        {"m": {"seconds": (0, 4)}},
        {"m": {"seconds": (1.5, 4)}},
        {"m": {"seconds": (1, 86_401)}},
        {"m": {"seconds": (True, 4)}},
        {"m": {"seconds": (1, 2), "images": 1}},
        {"m": {"seconds": (1, 2), "sizes": "640x640x"}},
        {"m": {"seconds": (1, 2), "sizes": ["16:9"]}},
        {"m": {"seconds": (1, 2), "max_images": 0}},
        {"m": {"seconds": (1, 2), "second": 3}},
    ],
)
def test_wrong_setting_is_refused_by_model(setting: Mapping[Any, Any]) -> None:
    with pytest.raises(ValueError, match=repr(next(iter(setting)))):
        extended(setting)


def test_every_offered_size_passes() -> None:
    for name, model in CATALOG.items():
        for size in model.sizes:
            validate_create("x", name, size=size)
