"""TCP connections that have not become a WebSocket: they need send nothing, so only their number can be limited."""

from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from server.limits.addresses import network_of


class Peers:
    """How many each address has open on this node. Proxies are not counted: theirs are everybody's."""

    def __init__(self, max_per_address: int, proxies: Iterable[str] = ()) -> None:
        """`proxies`: addresses and networks."""
        self._max_per_address = max_per_address
        self._proxies = tuple(map(ip_network, proxies))
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._open.total()

    def enter(self, host: str) -> str | None:
        """One more; what to `leave` with. None: it is not counted. Raises Crowded."""
        if self._is_proxy(host):
            return None
        address = network_of(host)
        if self._open[address] >= self._max_per_address:
            raise Crowded(address)
        self._open[address] += 1
        return address

    def leave(self, address: str) -> None:
        """One less; whoever has none takes no memory."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def _is_proxy(self, host: str) -> bool:
        if not self._proxies:
            return False
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


class Crowded(Exception):
    """An address has as many open as it may."""
