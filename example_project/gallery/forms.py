"""The form that asks for a film."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django import forms
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile

from seedance_celery.catalog import CATALOG, DEFAULT_MODEL, RATIOS, Model, image_type
from seedance_celery.exceptions import InvalidRequest

from .models import Film
from .orders import ask_for_film, key_of

__all__ = ["FilmForm"]

MAX_IMAGES = 4
MAX_IMAGE_SIZE = 10 * 1024**2


def _words(name: str) -> str:
    return re.sub(r"(\d)-(\d)", r"\1.\2", name.removeprefix("doubao-")).replace("-", " ").title()


def _label(name: str, model: Model) -> str:
    low, high = model.seconds
    return f"{_words(name)} · {low} to {high} s" + (" · images" if model.images else "")


MODELS = [(name, _label(name, model)) for name, model in CATALOG.items()]


class ImagesInput(forms.ClearableFileInput):
    """A file input that takes several files, as Django's documentation has it."""

    allow_multiple_selected = True


class ImagesField(forms.FileField):
    """Reference images: JPEG, PNG or WebP by their content."""

    widget = ImagesInput(attrs={"accept": "image/jpeg,image/png,image/webp", "multiple": True})

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        """Return the uploaded images; refuse what is none."""
        files = data if isinstance(data, (list, tuple)) else [data] if data else []
        images = [super(ImagesField, self).clean(file, initial) for file in files]
        if len(images) > MAX_IMAGES:
            raise forms.ValidationError(f"At most {MAX_IMAGES} images.")
        for image in images:
            self._check(image)
        return images

    def _check(self, image: UploadedFile) -> None:
        if image.size is None or image.size > MAX_IMAGE_SIZE:
            raise forms.ValidationError(f"{image.name} is larger than 10 MB.")
        if not image_type(image.read(12)):
            raise forms.ValidationError(f"{image.name} is none of JPEG, PNG and WebP.")
        image.seek(0)


class FilmForm(forms.Form):
    """What `generate_video` takes. The package refuses what the API would refuse."""

    prompt = forms.CharField(
        max_length=2000,
        widget=forms.Textarea(
            attrs={"rows": 3, "placeholder": "A red kite over the sea at sunrise"}
        ),
    )
    model = forms.ChoiceField(choices=MODELS, initial=DEFAULT_MODEL)
    seconds = forms.IntegerField(label="Seconds", min_value=2, max_value=30, initial=5)
    size = forms.ChoiceField(
        label="Ratio",
        choices=[(ratio, ratio) for ratio in RATIOS],
        initial=RATIOS[0],
        widget=forms.RadioSelect,
    )
    images = ImagesField(label="Reference images", required=False)
    token = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    """Made with the page: sending the same page twice asks for one film."""

    def order(self, columns: dict[str, Any]) -> Film | None:
        """Ask for the film; None where it was refused, and `errors` say why."""
        data = self.cleaned_data
        names = [default_storage.save(_name_of(image), image) for image in data["images"]]
        film = None
        try:
            film = ask_for_film(
                data["prompt"],
                model=data["model"],
                seconds=data["seconds"],
                size=data["size"],
                images=names,
                idempotency_key=key_of(columns, data["token"]),
                columns=columns,
            )
        except InvalidRequest as error:
            self._show(error)
        # A page that is sent twice brings its images twice.
        used = set(film.images.values_list("file", flat=True)) if film else set()
        for name in set(names) - used:
            default_storage.delete(name)
        return film

    def _show(self, error: InvalidRequest) -> None:
        if error.field == "idempotency_key":
            # Somebody went back to a page that was sent, and asks for another film with it.
            self.data = {**self.data.dict(), "token": str(uuid.uuid4())}
            self.add_error(None, "This page has asked for a film before. Send it for another.")
            return
        # Its words name the model as the API does; people have chosen it by another name.
        model = self.cleaned_data["model"]
        text = str(error).replace(model, _words(model))
        self.add_error(error.field if error.field in self.fields else None, text)


def _name_of(image: UploadedFile) -> str:
    kind = image_type(image.read(12)).removeprefix("image/")
    image.seek(0)
    return f"references/{uuid.uuid4().hex}.{kind}"
