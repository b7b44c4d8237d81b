"""What counts as one address."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

_HOST_BITS = 64
"""Of an IPv6 address: whoever has a connection has them all."""

_UNKNOWN = "unknown"
"""Of whoever does not come by TCP, or by way of a proxy that names nobody."""


def address_of(scope: Mapping[str, Any]) -> str:
    """The key that limits count a request or a handshake by."""
    client = scope.get("client")
    return network_of(client[0]) if client else _UNKNOWN


@lru_cache(maxsize=4096)
def network_of(host: str) -> str:
    """An IPv4 address, the /64 network of an IPv6 one, or one word for whatever is neither."""
    try:
        address = ip_address(host)
    except ValueError:
        return _UNKNOWN
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> _HOST_BITS << _HOST_BITS)}/{_HOST_BITS}"
