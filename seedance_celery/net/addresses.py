"""Which addresses a download may connect to.

The URL of a file comes from elsewhere: it must not lead into this machine or its network. A name
is resolved once, every address is judged, and the connection goes to a judged address: a name that
answers otherwise a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias, cast

from ..exceptions import AddressRefused

__all__ = ["Endpoint", "is_public", "resolve"]

Endpoint: TypeAlias = "tuple[socket.AddressFamily, tuple[str | int, ...]]"
"""A family and an address as `socket.connect` takes it."""

GLOBAL_UNICAST = ip_network("2000::/3")
NAT64 = ip_network("64:ff9b::/96")
COMPATIBLE = ip_network("::/96")
# Left out by `is_global` of some supported Python, or public on paper only.
REFUSED = tuple(
    ip_network(net)
    for net in (
        "168.63.129.16/32",  # Azure's metadata and DNS, from inside every Azure machine
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.88.99.0/24",  # 6to4 relays
        "3fff::/20",  # documentation
    )
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is one of the public Internet's.

    Private, loopback, link-local (cloud metadata), shared, multicast and reserved ones are not.
    An IPv6 address that carries an IPv4 address is judged by that.
    """
    if isinstance(address, IPv6Address):
        inner = _carried(address)
        if inner is not None:
            return is_public(inner)
        if address not in GLOBAL_UNICAST:
            return False
    if address.is_multicast or any(address in net for net in REFUSED):
        return False
    return address.is_global


def resolve(
    host: str, port: int, *, allow_loopback: bool = False, allow_private: bool = False
) -> Sequence[Endpoint]:
    """Resolve a host and return the endpoints that may be connected to, in the resolver's order.

    With `allow_private` that is all of them: for the API's own address, which the project chose.
    Raises `AddressRefused` where there are only others, OSError where the name has none.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise AddressRefused("The URL's host is not a valid name.") from None
    allowed = [
        (family, cast("tuple[str | int, ...]", address))
        for family, _, _, _, address in answers
        if allow_private or _is_allowed(str(address[0]), allow_loopback)
    ]
    if not allowed:
        raise AddressRefused(f"{host} leads to an address that is not public.", host)
    return allowed


def _is_allowed(text: str, allow_loopback: bool) -> bool:
    address = ip_address(text)
    if allow_loopback and address.is_loopback:
        return True
    return is_public(address)


def _carried(address: IPv6Address) -> IPv4Address | None:
    if address in NAT64 or address in COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
