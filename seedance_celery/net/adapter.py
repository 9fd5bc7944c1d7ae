"""The API behind a `requests` session: what instruments sessions sees each call.

A session takes its transport from an adapter. This one adds what a purchase needs and `requests`'
own cannot tell: whether a request left this machine whole, and a limit on the exchange as a whole.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from http.client import responses
from http.cookiejar import DefaultCookiePolicy
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from .connection import Address, Limits
from .transport import Reply, Request, Transport

__all__ = ["ApiAdapter", "ApiRequest", "ApiResponse", "ApiSession"]


class Headers(CaseInsensitiveDict[str]):
    """Headers whose repr has the names only: one of them is the key."""

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"


class ApiRequest(PreparedRequest):
    """A request that is prepared by being made: `url` and `headers` are sent as they are.

    `api_id` is the video that it is about, "" at a create. Of a 2xx reply only the status and
    the headers are read where `reads_success` is False.
    """

    def __init__(
        self,
        method: str,
        url: str,
        limits: Limits,
        headers: Mapping[str, str],
        body: Iterator[bytes] | None = None,
        *,
        api_id: str = "",
        reads_success: bool = True,
    ) -> None:
        super().__init__()
        self.method = method
        self.url = url
        self.headers = Headers(headers)
        self.body = body  # type: ignore[assignment]  # the stubs know no iterator
        self.limits = limits
        self.api_id = api_id
        self.reads_success = reads_success


class ApiResponse(Response):
    """A reply, with its headers by lower-case name. Its body has been read."""

    is_whole = True
    """False where the body broke off or was over 1 MiB."""


class ApiAdapter(BaseAdapter):
    """The way to one address. Safe under threads, greenlets and after a fork."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.transport = Transport(address)

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> ApiResponse:
        """Send an `ApiRequest` and return the reply, of any status.

        The limits are the request's, the proxy and the roots the address's: the session's options
        (`timeout`, `verify`, `proxies` and the like) are not read. Raises `ConnectFailed` where
        the request did not go out whole and `ReplyLost` where it did and no reply came.
        """
        if not isinstance(request, ApiRequest):
            raise TypeError("This adapter sends an ApiRequest only.")
        reply = self.transport.exchange(
            Request(
                str(request.method),
                request.path_url,
                request.limits,
                request.headers,
                request.body,  # type: ignore[arg-type]  # the stubs know no iterator
                request.api_id,
                request.reads_success,
            )
        )
        return self._response(request, reply)

    def close(self) -> None:
        """Close the kept connections. The adapter can be used again."""
        self.transport.close()

    def _response(self, request: ApiRequest, reply: Reply) -> ApiResponse:
        response = ApiResponse()
        response.status_code = reply.status
        response.reason = responses.get(reply.status, "")
        response.headers = CaseInsensitiveDict(reply.headers)
        response.url = str(request.url)
        response.request = request
        response.connection = self  # type: ignore[assignment]  # of the stubs' HTTPAdapter
        # Not http.client's response: a session reads cookies from that.
        response.raw = io.BytesIO(reply.body)
        response.is_whole = reply.is_whole
        return response


class ApiSession(Session):
    """A session that reaches one base URL, with nothing of the environment and no cookies."""

    def __init__(self, base_url: str, address: Address) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.adapters.clear()
        # With the slash, "https://api.example" is no prefix of "https://api.example.org".
        self.mount(f"{base_url}/", ApiAdapter(address))

    def get_redirect_target(self, resp: Response) -> str | None:
        """Return None: no redirect is followed, as the key would go with it.

        `allow_redirects=False` still has the `Location` parsed, and one that is no address raises
        then, although the request was sent.
        """
        return None
