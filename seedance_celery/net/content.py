"""The file of a video whose model gives no link: `/v1/videos/{id}/content`, with the key.

The key goes to the client's own base URL and nowhere else: where the API answers with a redirect,
the file is fetched from there without the key, and that address is judged like any other's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from ..api.errors import refusal
from ..api.redaction import Secret
from .download import Download, DownloadLimits
from .fetch import Body
from .file_replies import refusal as file_refusal

__all__ = ["ContentDownload"]

MAX_REFUSAL = 64 * 1024
"""Bytes of an error's body that are read."""


class KeyHolder(Protocol):
    """Whoever has the key and knows the API's address, as `Client` does."""

    def content_url(self, api_id: str, /) -> str:
        """Return where the API serves the file of a video."""

    def content_headers(self) -> Mapping[str, str]:
        """Return the headers that carry the key."""


class ContentDownload(Download):
    """A video's file from the API itself: a `Download` whose refusals by the API are `ApiError`s.

    Raises `InvalidRequest` for what cannot be an id and `KeyMissing` where there is no key.
    """

    def __init__(
        self,
        client: KeyHolder,
        api_id: str,
        limits: DownloadLimits | None = None,
        *,
        allow_loopback: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        url = client.content_url(api_id)
        super().__init__(url, limits, allow_loopback=allow_loopback, sleep=sleep)
        self._own_headers = client.content_headers()
        self._api_id = api_id

    def _refusal(self, body: Body) -> Exception:
        if body.is_redirected:
            return file_refusal(body)
        key = Secret((self._own_headers or {})["Authorization"].removeprefix("Bearer "))
        return refusal(
            body.status,
            body.headers(),
            body.start(MAX_REFUSAL),
            api_id=self._api_id,
            now=time.time(),
            hide=[key],
        )
