"""Connections that have said nothing yet are counted by address."""

import pytest

from server.limits.peers import Crowded, Peers


@pytest.mark.parametrize(("one", "same"), [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8::2")])
def test_an_address_has_so_many_and_no_more_until_one_leaves(one: str, same: str) -> None:
    peers = Peers(2)
    address, _ = peers.enter(one), peers.enter(same)
    with pytest.raises(Crowded):
        peers.enter(one)
    assert peers.enter("192.0.2.9") is not None
    assert address is not None
    peers.leave(address)
    assert peers.enter(same) == address


def test_who_has_left_takes_no_memory() -> None:
    peers = Peers(1)
    for number in range(100):
        address = peers.enter(f"192.0.2.{number}")
        assert address is not None
        peers.leave(address)
    assert len(peers) == 0
    assert not peers._open


@pytest.mark.parametrize("host", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_a_proxy_may_have_any_number(host: str) -> None:
    peers = Peers(1, ["10.0.0.0/8", "::ffff:a00:0/104"])
    assert [peers.enter(host) for _ in range(3)] == [None] * 3
    assert peers.enter("192.0.2.1") == "192.0.2.1"
