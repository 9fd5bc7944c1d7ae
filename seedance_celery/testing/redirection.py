"""Has `SEEDANCE` lead to a kit, whatever a test makes of it meanwhile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.test import override_settings

from ..api.base_url import KEY_VARIABLE
from ..conf import get_settings

__all__ = ["KEY", "Redirection"]

KEY = "sk-simulator"


class Redirection:
    """Replaces each key and address in `SEEDANCE` that does not lead to `url`.

    What a test addresses to `url` itself keeps the key that the test gives it.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @contextlib.contextmanager
    def installed(self, options: Mapping[str, Any]) -> Iterator[None]:
        """Use the project's `SEEDANCE` with these `options`, redirected, until the block ends."""
        before = getattr(django_settings, "SEEDANCE", {})
        own = dict(before)
        # A developer's own countdown of a second would make a test of many polls.
        own.pop("POLL_COUNTDOWN", None)
        wanted = self.of({**self.of(own), **options})
        with override_settings(SEEDANCE=wanted):
            holder = cast("Any", django_settings)._wrapped
            # A kit around this one has just had it lead to itself.
            holder.SEEDANCE = wanted
            setting_changed.connect(self._on_change, weak=False)
            get_settings()  # read now, and not again where a change sends no signal
            try:
                yield
            finally:
                setting_changed.disconnect(self._on_change)
                # A fixture that overrode something meanwhile may end after the kit, and brings
                # these settings back.
                holder.SEEDANCE = before

    def of(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return a `SEEDANCE` whose every account leads to the kit."""
        named = {
            name: self._account(name, options, own)
            for name, options in own.get("ACCOUNTS", {}).items()
        }
        has_default = not named or "API_KEY" in own or os.environ.get(KEY_VARIABLE)
        is_here = "API_KEY" in own and own.get("BASE_URL") == self.url
        key = {"API_KEY": KEY} if has_default and not is_here else {}
        return {**own, **key, "BASE_URL": self.url, "ACCOUNTS": named}

    def _account(
        self, name: str, options: Mapping[str, Any], shared: Mapping[str, Any]
    ) -> dict[str, Any]:
        if {**shared, **options}.get("BASE_URL") == self.url:
            return dict(options)
        # A name may have what a key must not have: a space, or letters that are not ASCII.
        key = f"{KEY}-{quote(name, safe='')}"
        return {**options, "API_KEY": key, "BASE_URL": self.url}

    def _on_change(self, *, setting: str, **kwargs: object) -> None:
        if setting == "SEEDANCE":
            django_settings.SEEDANCE = self.of(getattr(django_settings, "SEEDANCE", {}))
