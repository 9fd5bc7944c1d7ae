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
from urllib.parse import SplitResult, quote, urlsplit

from requests import Response

from . import __version__
from .adapter import ApiRequest, ApiSession
from .addresses import is_loopback_host
from .arguments import checked_images, checked_seconds, plain
from .catalog import CATALOG, DEFAULT_MODEL, Model, validate_create
from .connection import Address, Limits
from .envelope import complaint_in, json_object
from .exceptions import ApiError, BrokenReply, InvalidRequest, KeyMissing, ReplyLost
from .protocol import MODERATION, VideoTask, is_api_id, parse_created, parse_video
from .redaction import Secret
from .transport import MAX_BODY, tls_context
from .upload import Image, ImageFile, Upload

__all__ = ["Client"]

DEFAULT_BASE_URL = "https://api.cometapi.com"
KEY_VARIABLE = "COMETAPI_KEY"
USER_AGENT = f"seedance-celery/{__version__}"


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
        """Buy one video and return it. The POST is sent once; `create_outcome` judges its error.

        `images` are open binary files, or (name, file, MIME type), read while they are sent.
        Raises `InvalidRequest` before anything is sent, or `ApiError` in one of its kinds.
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
            reply = self._send(self._post(fields, files, key))
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
        url = f"{self._url(api_id)}/content"
        try:
            reply = self._send(self._get(url, self._key(), api_id, reads_success=False))
        except ApiError:
            return ""
        told = complaint_in(json_object(reply.content)) if reply.status_code >= 400 else None
        return MODERATION if told and "VIOLATION" in told.message.upper() else ""

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
        if not key.text.isascii() or not key.text.isprintable() or " " in key.text:
            raise KeyMissing("The API key holds characters that no key has. Nothing was sent.")
        return key

    def _key_text(self) -> str:
        if self._api_key is None:
            return os.environ.get(KEY_VARIABLE, "").strip()
        return (_asked(self._api_key) if callable(self._api_key) else self._api_key).strip()


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


def _address(base_url: str, proxy: str, ca_file: str) -> tuple[Address, str]:
    parts = _server(base_url, "http", "https")
    if parts is None or "@" in parts.netloc or parts.query or parts.fragment:
        message = f"The base URL must be an address such as {DEFAULT_BASE_URL}."
        raise InvalidRequest(message, "base_url")
    host = parts.hostname or ""
    if parts.scheme == "http" and not is_loopback_host(host):
        message = "The base URL must start with https://: the key would travel in the clear."
        raise InvalidRequest(message, "base_url")
    if proxy != "" and _server(proxy, "http") is None:
        message = "The proxy must be an address such as http://proxy.example.com:3128."
        raise InvalidRequest(message, "proxy")
    tls = tls_context(ca_file) if parts.scheme == "https" else None
    prefix = quote(parts.path.rstrip("/").removesuffix("/v1"), safe="/%~")
    root = f"{parts.scheme}://{parts.netloc}{prefix}"
    return Address(host, parts.port or (443 if tls else 80), tls, proxy), root


def _server(url: Any, *schemes: str) -> SplitResult | None:
    """Return the parts of an address that can be connected to; None where it is none."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 and parts.scheme in schemes else None
    except ValueError:
        return None
    is_usable = host and host.isascii() and host.isprintable() and " " not in host
    return parts if is_usable else None


def _cut_off(status: int, body: bytes, api_id: str) -> ApiError:
    if len(body) >= MAX_BODY:
        message = f"The API sent more than {MAX_BODY} bytes for video {api_id}. Ask again later."
        return BrokenReply(message, api_id, status)
    message = f"The API's reply for video {api_id} broke off. Ask again later."
    return ReplyLost(message, api_id, status)
