"""The address of the API: one rule for `Client` and for `SEEDANCE`."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from .. import __version__

DEFAULT_BASE_URL = "https://api.cometapi.com"
KEY_VARIABLE = "COMETAPI_KEY"
"""The environment variable that holds the key where none is given."""
USER_AGENT = f"seedance-celery/{__version__}"
"""How every request names itself."""


def checked_base_url(value: object) -> str:
    """Return the address without the `/v1` or `/v1/videos` that the client adds itself.

    Raises ValueError with what the address must be. The message repeats no part of the address.
    """
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {type(value).__name__}")  # noqa: TRY004
    text = value.strip()
    parts = split_address(text, "http", "https")
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("must have no white space and only ASCII characters in it")
    if parts is None:
        raise ValueError(f"must be an address such as {DEFAULT_BASE_URL}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must have no user, no query and no fragment")
    if parts.scheme != "https" and not is_loopback(text):
        raise ValueError("must start with https:// (the key would travel in the clear)")
    return re.sub(r"/v1(/videos)?$", "", text.rstrip("/"))


def split_address(url: str, *schemes: str) -> SplitResult | None:
    """Return the parts of an address that can be connected to, or None where there is none."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 and parts.scheme in schemes else None
    except ValueError:
        return None
    is_usable = host and host.isascii() and host.isprintable() and " " not in host
    return parts if is_usable else None


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine, as the simulator's does."""
    parts = split_address(url, "http", "https")
    return parts is not None and is_loopback_host(parts.hostname or "")


def is_loopback_host(host: str) -> bool:
    """Tell whether a URL's host is this machine. No name is resolved."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
