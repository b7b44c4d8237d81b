"""Each limit of the gate counts what it says, for whom it says."""

import threading
from collections.abc import Callable

import pytest

from server.limits.gate import Gate
from server.limits.too_many import TooMany
from server.settings import Settings
from tests.limits.clock import Clock

SETTINGS = Settings(
    max_handshakes_per_minute_per_address=3,
    max_joins_per_minute_per_user=3,
    max_requests_per_minute_per_address=3,
    max_requests_per_minute_per_user=3,
    max_failures_per_minute_per_address=2,
)

CHECKS: dict[str, Callable[[Gate, int], None]] = {
    "max_handshakes_per_minute_per_address": lambda gate, who: gate.check_handshake(f"192.0.2.{who}"),
    "max_joins_per_minute_per_user": Gate.check_join,
    "max_requests_per_minute_per_address": lambda gate, who: gate.check_request(f"192.0.2.{who}"),
    "max_requests_per_minute_per_user": Gate.check_user,
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate(SETTINGS, clock)


@pytest.mark.parametrize("name", CHECKS)
def test_one_more_than_the_limit_is_refused_until_the_minute_ends(
    gate: Gate, clock: Clock, name: str
) -> None:
    check = CHECKS[name]
    for _ in range(3):
        check(gate, 1)
    clock.seconds += 20
    with pytest.raises(TooMany, match=rf"^more than 3 .+ in a minute \({name}\)$") as refused:
        check(gate, 1)
    assert refused.value.limit_name == name
    assert refused.value.wait_seconds == pytest.approx(40)
    clock.seconds += refused.value.wait_seconds
    check(gate, 1)


@pytest.mark.parametrize("name", CHECKS)
def test_others_are_not_held_up(gate: Gate, name: str) -> None:
    for _ in range(3):
        CHECKS[name](gate, 1)
    CHECKS[name](gate, 2)
    with pytest.raises(TooMany):
        CHECKS[name](gate, 1)


def test_an_address_has_had_too_many_refused_tokens_until_the_minute_ends(gate: Gate, clock: Clock) -> None:
    assert [gate.note_refused("192.0.2.1") for _ in range(3)] == [False, False, True]
    clock.seconds += 20
    refusal = gate.refused_too_often("192.0.2.1")
    assert refusal.limit_name == "max_failures_per_minute_per_address"
    assert refusal.wait_seconds == pytest.approx(40)
    gate.check_request("192.0.2.1")
    gate.check_handshake("192.0.2.1")
    assert not gate.note_refused("192.0.2.2")
    clock.seconds += 40
    assert not gate.note_refused("192.0.2.1")


def test_looking_at_a_hundred_thousand_addresses_needs_no_thread(gate: Gate) -> None:
    before = threading.active_count()
    for number in range(100_000):
        gate.check_handshake(f"2001:db8:{number:x}::/64")
    assert threading.active_count() == before
