"""Whose word counts about whom; what the wire shows is in tests/wire/test_awareness.py."""

from dataclasses import dataclass

from server.protocol.awareness_codec import AwarenessEntry
from server.rooms.awareness import AwarenessTable


@dataclass(eq=False)
class Connection:
    user_id: int


def say(
    table: AwarenessTable[Connection], owner: Connection, *entries: AwarenessEntry, may_own: bool = True
) -> AwarenessEntry | None:
    return table.receive(owner, entries, may_own=lambda _: may_own, stamp=lambda state: state)


def test_a_connection_speaks_for_the_first_id_it_names_alone() -> None:
    table, alice = AwarenessTable[Connection](), Connection(1)
    assert say(table, alice, AwarenessEntry(7, 1, b"{}")) == AwarenessEntry(7, 1, b"{}")
    assert say(table, alice, AwarenessEntry(8, 1, b"{}")) is None
    assert table.states() == [AwarenessEntry(7, 1, b"{}")]
    assert table.dropped_entries == 1


def test_a_relay_of_a_tab_that_is_not_here_yet_does_not_take_its_id() -> None:
    table, alice, bob = AwarenessTable[Connection](), Connection(1), Connection(2)
    say(table, alice, AwarenessEntry(7, 1, b"{}"))
    say(table, alice, AwarenessEntry(8, 1, b"{}"))
    assert say(table, bob, AwarenessEntry(8, 1, b"{}")) == AwarenessEntry(8, 1, b"{}")


def test_an_id_is_claimed_by_no_relay_of_several_states() -> None:
    table, alice = AwarenessTable[Connection](), Connection(1)
    assert say(table, alice, AwarenessEntry(7, 1, b"{}"), AwarenessEntry(8, 1, b"{}")) is None
    assert table.states() == []


def test_an_id_that_the_user_may_not_have_is_not_claimed() -> None:
    table = AwarenessTable[Connection]()
    assert say(table, Connection(1), AwarenessEntry(7, 1, b"{}"), may_own=False) is None


def test_old_clocks_are_no_news() -> None:
    table, alice = AwarenessTable[Connection](), Connection(1)
    say(table, alice, AwarenessEntry(7, 5, b"{}"))
    assert say(table, alice, AwarenessEntry(7, 5, b'{"x":1}')) is None
    assert say(table, alice, AwarenessEntry(7, 4, b'{"x":1}')) is None
    assert say(table, alice, AwarenessEntry(7, 5, None)) == AwarenessEntry(7, 5, None)
    assert say(table, alice, AwarenessEntry(7, 6, b"{}")) == AwarenessEntry(7, 6, b"{}")


def test_nobody_takes_over_from_another_user_who_is_here() -> None:
    table, alice, mallory = AwarenessTable[Connection](), Connection(1), Connection(2)
    say(table, alice, AwarenessEntry(7, 1, b"{}"))
    assert say(table, mallory, AwarenessEntry(7, 9, b'{"forged":1}')) is None
    assert table.states() == [AwarenessEntry(7, 1, b"{}")]


def test_a_reconnect_takes_over_and_its_clocks_stay_ahead_of_what_was_shown() -> None:
    table, old, new = AwarenessTable[Connection](), Connection(1), Connection(1)
    say(table, old, AwarenessEntry(7, 9, b"{}"))
    assert say(table, new, AwarenessEntry(7, 3, b'{"x":1}')) == AwarenessEntry(7, 10, b'{"x":1}')
    assert say(table, new, AwarenessEntry(7, 4, b'{"x":2}')) == AwarenessEntry(7, 11, b'{"x":2}')
    assert table.leave(old, now_seconds=0) is None
    assert table.leave(new, now_seconds=0) == AwarenessEntry(7, 11, None)


def test_an_id_wrongly_taken_from_a_live_connection_goes_back_with_its_next_clocks() -> None:
    table, tab, other_tab = AwarenessTable[Connection](), Connection(1), Connection(1)
    say(table, tab, AwarenessEntry(7, 1, b"{}"))
    say(table, other_tab, AwarenessEntry(7, 1, b"{}"))  # a relay, taken for a reconnect
    say(table, tab, AwarenessEntry(7, 2, b'{"x":2}'))
    assert say(table, tab, AwarenessEntry(7, 3, b'{"x":3}')) == AwarenessEntry(7, 3, b'{"x":3}')


def test_echoes_of_who_left_are_forgotten_in_the_end() -> None:
    table, alice = AwarenessTable[Connection](), Connection(1)
    say(table, alice, AwarenessEntry(7, 1, b"{}"))
    table.leave(alice, now_seconds=0)
    bob = Connection(2)
    assert say(table, bob, AwarenessEntry(9, 1, b"{}")) is not None
    assert say(table, bob, AwarenessEntry(7, 1, b"{}")) is None
    table.leave(bob, now_seconds=1000)
    assert say(table, Connection(3), AwarenessEntry(7, 1, b"{}")) == AwarenessEntry(7, 1, b"{}")
