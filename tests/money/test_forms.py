"""What the package refuses, as a form shows it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError

from seedance_celery.forms import check_order, validation_errors
from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


class OrderForm(forms.Form):
    prompt = forms.CharField()
    seconds = forms.IntegerField()
    title = forms.CharField(required=False)

    def clean(self) -> Any:
        data = super().clean()
        check_order(**data, fields=self.fields)
        return data


def test_a_form_shows_the_error_at_its_field() -> None:
    form = OrderForm({"prompt": "A kite", "seconds": 99, "title": "Kite"})
    assert not form.is_valid()
    assert list(form.errors) == ["seconds"]
    assert OrderForm({"prompt": "A kite", "seconds": 5}).is_valid()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"prompt": " "}, "prompt"),
        ({"seconds": 1}, "seconds"),
        ({"size": "huge"}, "size"),
        ({"model": "doubao-seedance-1-0-pro", "images": [io.BytesIO(PNG)]}, "images"),
        ({"images": [io.BytesIO(b"GIF89a" + b"x" * 20)]}, "images"),
        ({"images": "kite.png"}, "images"),
    ],
)
def test_every_field_is_named(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_order(**{"prompt": "A kite", **options})
    assert list(caught.value.message_dict) == [field]


def test_a_field_that_the_form_has_not_is_an_error_of_the_whole() -> None:
    with pytest.raises(ValidationError) as caught:
        check_order("A kite", size="huge", fields={"prompt"})
    assert list(caught.value.message_dict) == ["__all__"]


def test_what_is_good_passes_and_files_are_left_at_their_beginning() -> None:
    image = io.BytesIO(PNG)
    image.read(5)
    check_order("A kite", seconds=5, size="16:9", images=[image], anything="else")
    assert image.tell() == 0


def test_what_a_call_refuses_is_turned_as_well(kit: Seedance) -> None:
    with pytest.raises(ValidationError) as caught, validation_errors():
        generate_video("A kite", idempotency_key="")
    assert list(caught.value.message_dict) == ["idempotency_key"]
    assert not Video.objects.exists()
