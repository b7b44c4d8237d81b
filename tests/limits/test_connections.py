"""Open connections are counted, and so is what they send."""

import pytest

from server.limits.connections import Admission, ConnectionCounts
from server.limits.too_many import TooMany
from server.settings import Settings


def counts(**options: int) -> ConnectionCounts:
    return ConnectionCounts(Settings(**options))  # type: ignore[arg-type]


def test_a_user_has_so_many_connections_from_wherever() -> None:
    connections = counts(max_connections_per_user=2)
    first = connections.enter(1, "192.0.2.1")
    connections.enter(1, "192.0.2.2")
    with pytest.raises(TooMany, match=r"\(max_connections_per_user\)$"):
        connections.enter(1, "192.0.2.3")
    connections.enter(2, "192.0.2.3")
    first.leave()
    connections.enter(1, "192.0.2.3")


def test_an_address_has_so_many_connections_whosever_they_are() -> None:
    connections = counts(max_connections_per_address=2)
    first = connections.enter(1, "192.0.2.1")
    connections.enter(2, "192.0.2.1")
    with pytest.raises(TooMany, match=r"\(max_connections_per_address\)$"):
        connections.enter(3, "192.0.2.1")
    connections.enter(3, "192.0.2.2")
    first.leave()
    connections.enter(3, "192.0.2.1")


def test_a_refusal_takes_no_place() -> None:
    connections = counts(max_connections_per_user=5, max_connections_per_address=1)
    connections.enter(1, "192.0.2.1")
    for _ in range(10):
        with pytest.raises(TooMany):
            connections.enter(1, "192.0.2.1")
    assert len(connections) == 1
    for number in range(2, 6):
        connections.enter(1, f"192.0.2.{number}")


def test_leaving_twice_gives_one_place_back() -> None:
    connections = counts(max_connections_per_user=2)
    first = connections.enter(1, "192.0.2.1")
    connections.enter(1, "192.0.2.1")
    first.leave()
    first.leave()
    connections.enter(1, "192.0.2.1")
    with pytest.raises(TooMany):
        connections.enter(1, "192.0.2.1")


def send_for_a_second(*admissions: Admission) -> float:
    """A message each millisecond by each; the longest wait that was asked for."""
    return max(
        admission.spend(1, 100 + millisecond / 1000)
        for millisecond in range(1000)
        for admission in admissions
    )


def test_one_connection_that_sends_too_much_waits_alone() -> None:
    connections = counts(
        max_messages_per_second_per_connection=100, max_messages_per_second_per_user=1_000_000
    )
    fast, slow = (connections.enter(1, "192.0.2.1") for _ in range(2))
    assert send_for_a_second(fast) == pytest.approx(7, abs=0.1)
    assert slow.spend(1, 101) == 0.0


def test_a_users_connections_together_may_send_no_more_than_the_user() -> None:
    connections = counts(max_messages_per_second_per_user=1000)
    own = [connections.enter(1, "192.0.2.1") for _ in range(4)]
    assert send_for_a_second(*own) == pytest.approx(1, abs=0.1)
    assert connections.enter(2, "192.0.2.1").spend(1, 101) == 0.0


def test_leaving_and_coming_back_clears_no_debt() -> None:
    connections = counts(max_messages_per_second_per_user=1)
    admission = connections.enter(1, "192.0.2.1")
    admission.spend(100, 0.0)
    admission.leave()
    assert connections.enter(1, "192.0.2.1").spend(0, 0.0) > 90
