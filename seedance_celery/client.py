"""Retrieve and create videos at CometAPI, from any Python: neither Django nor Celery is needed.

client = Client()  # the key is in COMETAPI_KEY
task = client.create("A kite over the sea", seconds=5)
task = client.retrieve(task.id)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

from requests import Response

from .api.arguments import checked_images, checked_seconds, plain
from .api.base_url import (
    DEFAULT_BASE_URL,
    KEY_VARIABLE,
    USER_AGENT,
    checked_base_url,
    split_address,
)
from .api.catalog import CATALOG, DEFAULT_MODEL, Model, validate_create
from .api.create_errors import unknown_where_bought
from .api.envelopes import complaint_in, json_object
from .api.redaction import Secret
from .api.replies import MODERATION, VideoTask, is_api_id, parse_created, parse_video
from .exceptions import ApiError, BrokenReply, InvalidRequest, KeyMissing, ReplyLost
from .net.adapter import ApiRequest, ApiSession, Headers
from .net.connection import Address, Limits
from .net.multipart import Image, ImageFile, Upload
from .net.transport import MAX_BODY, tls_context

__all__ = ["Client"]


class Client:
    """One key at one address. Safe to share between threads, greenlets and forked processes.

    Times are in seconds. `timeout` is (connect, read): to connect, and without a byte. `total`
    bounds a retrieve as a whole (the sum of `timeout` by default) and `create_timeout` a create,
    its upload included; only the resolving of the host's name is left to the system's limits.

    `api_key` is the key or a callable that returns it, asked at each request; None reads
    COMETAPI_KEY then. `models` is the table that creates are checked against. `proxy` is the
    address of an HTTP proxy (`http://[user:password@]host:port`) and `ca_file` a bundle of root
    certificates to trust instead of certifi's; proxies, `.netrc` and the like of the environment
    are not read. Each request is one `requests.Session.send`, for what instruments that. Raises
    `InvalidRequest` for a base URL that cannot be one, or is neither HTTPS nor this machine's.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str] | None = None,
        base_url: str = DEFAULT_BASE_URL,
        timeout: tuple[float, float] = (5.0, 30.0),
        *,
        total: float | None = None,
        create_timeout: float = 120.0,
        models: Mapping[str, Model] = CATALOG,
        proxy: str = "",
        ca_file: str = "",
    ) -> None:
        _check_kinds(api_key, models, ca_file)
        self._api_key = api_key
        self._connect, self._read = _pair(timeout)
        whole = self._connect + self._read
        self._total = whole if total is None else checked_seconds(total, "total")
        self._create_timeout = checked_seconds(create_timeout, "create_timeout")
        self._models = models
        address, root = _address(base_url, proxy, ca_file)
        self._videos_url = f"{root}/v1/videos"
        self._session = ApiSession(root, address)

    def retrieve(self, api_id: str) -> VideoTask:
        """Return the video of this id.

        Raises `ApiError` in one of its kinds, or `InvalidRequest` for what cannot be an id.
        """
        key = self._key()
        reply = self._send(self._get(self._url(api_id), key, api_id))
        status, body = reply.status_code, reply.content
        # A stand-in for the session's reply, in a user's tests, is whole.
        if not getattr(reply, "is_whole", True) and 200 <= status < 300:
            raise _cut_off(status, body, api_id)
        return parse_video(status, reply.headers, body, api_id=api_id, now=time.time(), hide=[key])

    def create(
        self,
        prompt: str,
        *,
        model: str = DEFAULT_MODEL,
        seconds: int | None = None,
        size: str | None = None,
        images: Iterable[Image] = (),
    ) -> VideoTask:
        """Buy one video and return it. The POST is sent once.

        `OutcomeUnknown` says that the video may have been bought, and paid for: the reply was lost,
        was no video or was a 5xx, or something interrupted the call. Catch it apart from all other
        errors, look at the provider's dashboard, and never repeat the create by program. After any
        other error nothing was bought: a `TransientError` (`ConnectFailed`, `RateLimited`) may be
        sent again later, another `ApiError` needs a person or other arguments, and at an
        `InvalidRequest` nothing was sent. What is no `Exception` (Ctrl-C, a greenlet's timeout)
        passes as it is, and leaves the outcome unknown as well.

        `images` are open binary files, or (name, file, MIME type), read while they are sent.
        """
        prompt, model, seconds, size = map(plain, (prompt, model, seconds, size))
        with ExitStack() as copies:
            given = enumerate(checked_images(images), 1)
            opened = (ImageFile(image, number) for number, image in given)
            files = [copies.enter_context(closing(file)) for file in opened]
            heads = [file.head for file in files]
            validate_create(prompt, model, seconds, size, heads, models=self._models)
            scalars = {"prompt": prompt, "model": model, "seconds": seconds, "size": size}
            fields = {name: str(value) for name, value in scalars.items() if value is not None}
            key = self._key()
            request = self._post(fields, files, key)
            with unknown_where_bought():
                reply = self._send(request)
                return parse_created(
                    reply.status_code,
                    reply.headers,
                    reply.content,
                    now=time.time(),
                    hide=[Secret(prompt), key],
                )

    def failure_reason(self, api_id: str) -> str:
        """Return "moderation" where the API says so of a failed video, "" where it says nothing.

        Best effort, for after `failed` or `error`: users have seen that `…/content` answers with
        "current status: VIOLATION" then. A 2xx body is not read. Raises no `ApiError`.
        """
        url = self.content_url(api_id)
        try:
            reply = self._send(self._get(url, self._key(), api_id, reads_success=False))
        except ApiError:
            return ""
        told = complaint_in(json_object(reply.content)) if reply.status_code >= 400 else None
        return MODERATION if told and "VIOLATION" in told.message.upper() else ""

    def content_url(self, api_id: str) -> str:
        """Return where the API serves the file of a model that has no links: it takes the key."""
        return f"{self._url(api_id)}/content"

    def content_headers(self) -> Mapping[str, str]:
        """Return the headers that carry the key to `content_url`; they belong to no other address.

        Their repr shows no value. Raises `KeyMissing` where there is no key.
        """
        return Headers({"Authorization": f"Bearer {self._key().text}"})

    def close(self) -> None:
        """Close the kept connections. The client can be used again."""
        self._session.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, request: ApiRequest) -> Response:
        return self._session.send(request, allow_redirects=False)

    def _url(self, api_id: str) -> str:
        if not is_api_id(api_id):
            raise InvalidRequest("This cannot be a video's id at the API.", "api_id")
        return f"{self._videos_url}/{quote(api_id, safe='')}"

    def _get(self, url: str, key: Secret, api_id: str, *, reads_success: bool = True) -> ApiRequest:
        limits = Limits(self._connect, self._read, time.monotonic() + self._total)
        return ApiRequest(
            "GET", url, limits, _headers(key), api_id=api_id, reads_success=reads_success
        )

    def _post(
        self, fields: Mapping[str, str], files: Iterable[ImageFile], key: Secret
    ) -> ApiRequest:
        # A slow reply to a create is worth waiting for: giving up early is what makes it unknown.
        whole = self._create_timeout
        limits = Limits(self._connect, whole, time.monotonic() + whole)
        upload = Upload(fields, files, limits.deadline)
        headers = {
            **_headers(key),
            "Content-Type": upload.content_type,
            "Content-Length": str(upload.length),
        }
        return ApiRequest("POST", self._videos_url, limits, headers, upload.chunks())

    def _key(self) -> Secret:
        key = Secret(self._key_text())
        if not key.text:
            raise KeyMissing(f"There is no API key. Set {KEY_VARIABLE}, or pass api_key.")
        if fault := _fault_of(key.text):
            raise KeyMissing(f"The API key {fault}. Nothing was sent.")
        return key

    def _key_text(self) -> str:
        if self._api_key is None:
            return os.environ.get(KEY_VARIABLE, "").strip()
        return (_asked(self._api_key) if callable(self._api_key) else self._api_key).strip()


def _fault_of(key: str) -> str:
    """Return what is wrong with the form of a key, in words that do not show it; "" if nothing."""
    if key.lower().startswith("bearer "):
        return 'begins with "Bearer": leave that word out'
    if not key.isascii():
        return "holds a character that is not ASCII: was it copied from formatted text?"
    if "\n" in key or "\r" in key:
        return "holds a line break: is there more than one key in it?"
    if " " in key or "\t" in key:
        return "holds a blank: is there more than the key in it?"
    return "" if key.isprintable() else "holds a control character"


def _asked(source: Callable[[], str]) -> str:
    try:
        key: object = source()
    except Exception as error:  # a secret manager may raise anything
        name = type(error).__name__
        raise KeyMissing(f"Asking for the API key failed ({name}). Nothing was sent.") from error
    return key if isinstance(key, str) else ""


def _headers(key: Secret) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {key.text}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": USER_AGENT,
    }


def _check_kinds(api_key: Any, models: Any, ca_file: Any) -> None:
    """Raise `InvalidRequest` for what could only fail at the first request."""
    if not (api_key is None or isinstance(api_key, str) or callable(api_key)):
        raise InvalidRequest("api_key is a text, or a callable that returns one.", "api_key")
    if not isinstance(models, Mapping):
        raise InvalidRequest("models is a table such as catalog.CATALOG.", "models")
    if not isinstance(ca_file, (str, os.PathLike)) or "\0" in str(ca_file):
        raise InvalidRequest("ca_file is the path of a file.", "ca_file")


def _pair(timeout: Any) -> tuple[float, float]:
    if not isinstance(timeout, (tuple, list)) or len(timeout) != 2:
        raise InvalidRequest("timeout is (connect, read), in seconds.", "timeout")
    return checked_seconds(timeout[0], "timeout"), checked_seconds(timeout[1], "timeout")


def _address(base_url: str, proxy: Any, ca_file: str) -> tuple[Address, str]:
    """Return where to connect to, and the root of the API's URLs."""
    try:
        root = checked_base_url(base_url)
    except ValueError as error:
        raise InvalidRequest(f"The base URL {error}.", "base_url") from None
    is_proxy = isinstance(proxy, str) and (not proxy or split_address(proxy, "http"))
    if not is_proxy:
        message = "The proxy must be an address such as http://proxy.example.com:3128."
        raise InvalidRequest(message, "proxy")
    parts = urlsplit(root)
    tls = tls_context(ca_file) if parts.scheme == "https" else None
    root = f"{parts.scheme}://{parts.netloc}{quote(parts.path, safe='/%~')}"
    return Address(parts.hostname or "", parts.port or (443 if tls else 80), tls, proxy), root


def _cut_off(status: int, body: bytes, api_id: str) -> ApiError:
    if len(body) >= MAX_BODY:
        message = f"The API sent more than {MAX_BODY} bytes for video {api_id}. Ask again later."
        return BrokenReply(message, api_id, status)
    message = f"The API's reply for video {api_id} broke off. Ask again later."
    return ReplyLost(message, api_id, status)
