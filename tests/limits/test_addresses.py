"""What counts as one address."""

import pytest

from server.limits.addresses import address_of, network_of


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::1", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not an address", "unknown"),
        ("", "unknown"),
        ("x" * 10_000, "unknown"),
    ],
)
def test_an_address_is_an_ipv4_address_or_an_ipv6_network(host: str, network: str) -> None:
    assert network_of(host) == network


def test_whoever_has_no_address_counts_as_unknown() -> None:
    assert address_of({"client": None}) == address_of({}) == "unknown"
    assert address_of({"client": ("203.0.113.9", 5)}) == "203.0.113.9"
