"""Presence on the wire: who is here, at once, and only as themselves."""

import json

from server.protocol.awareness_codec import AwarenessEntry, write_entries
from server.protocol.yjs_messages import awareness_message
from tests.wire.client import WireClient, Writer
from tests.wire.conftest import RunningServer


def shown(client: WireClient, client_id: int) -> bytes | None:
    """The last state that the client heard of an id."""
    return [entry.state for entry in client.awareness() if entry.client_id == client_id][-1]


async def knows(client: WireClient, client_id: int, state: bytes | None) -> None:
    """Wait until the last that it heard of the id is this state."""
    await client.until(
        lambda: (
            any(entry.client_id == client_id for entry in client.awareness())
            and shown(client, client_id) == state
        )
    )


async def test_a_joiner_hears_of_everybody_at_once(server: RunningServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    await alice.show(7, 1, b'{"a":1}')
    await bob.show(8, 1, b'{"b":2}')
    await knows(alice, 8, b'{"b":2}')
    carol = await server.client("carol")
    await carol.until(lambda: len(carol.awareness()) == 2)
    assert {entry.client_id for entry in carol.awareness()} == {7, 8}


async def test_whoever_is_gone_is_gone_for_the_others_at_once(server: RunningServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    await bob.show(8, 5, b"{}")
    await knows(alice, 8, b"{}")
    bob.connection.transport.abort()
    await knows(alice, 8, None)
    assert alice.awareness()[-1].clock == 5


async def test_a_query_is_answered(server: RunningServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    await bob.show(8, 1, b"{}")
    await knows(alice, 8, b"{}")
    await alice.send(b"\x03")
    await alice.until(lambda: len(alice.awareness()) == 2)


async def test_leaving_by_null_at_the_same_clock_counts(server: RunningServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    await bob.show(8, 5, b"{}")
    await bob.show(8, 5, None)
    await knows(alice, 8, None)


async def test_what_is_said_about_others_is_dropped_entry_by_entry(server: RunningServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    await alice.show(7, 1, b'{"of":"alice"}')
    await knows(bob, 7, b'{"of":"alice"}')
    await bob.show(8, 1, b"{}")
    entries = [
        AwarenessEntry(7, 9, b'{"of":"bob"}'),
        AwarenessEntry(8, 2, b'{"own":1}'),
        AwarenessEntry(7, 1, None),
    ]
    await bob.send(awareness_message(write_entries(entries)))
    await knows(alice, 8, b'{"own":1}')
    assert all(entry.client_id == 8 for entry in alice.awareness())
    carol = await server.client("carol")
    await knows(carol, 7, b'{"of":"alice"}')


async def test_an_echo_of_somebody_who_left_does_not_bring_them_back(server: RunningServer) -> None:
    alice, bob, carol = [await server.client(user) for user in ("alice", "bob", "carol")]
    await alice.show(7, 3, b"{}")
    await bob.show(8, 1, b"{}")
    await knows(bob, 7, b"{}")
    await knows(carol, 8, b"{}")
    alice.connection.transport.abort()
    await knows(bob, 7, None)
    await bob.show(7, 3, b"{}")
    await bob.show(8, 2, b'{"later":1}')
    await knows(carol, 8, b'{"later":1}')
    assert shown(carol, 7) is None


async def test_who_returns_with_an_unchanged_clock_is_seen_again(server: RunningServer) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    await bob.show(8, 5, b'{"x":1}')
    await knows(alice, 8, b'{"x":1}')
    bob.connection.transport.abort()
    await knows(alice, 8, None)
    again = await server.client("bob")
    await again.show(8, 5, b'{"x":1}')
    await knows(alice, 8, b'{"x":1}')
    assert alice.awareness()[-1].clock > 5
    await again.show(8, 6, b'{"x":2}')
    await knows(alice, 8, b'{"x":2}')


async def test_a_reconnect_before_the_old_socket_is_missed_takes_over(server: RunningServer) -> None:
    alice, half_open = await server.client("alice"), await server.client("bob")
    await half_open.show(8, 5, b'{"x":1}')
    await knows(alice, 8, b'{"x":1}')
    again = await server.client("bob")
    await again.show(8, 5, b'{"x":2}')
    await knows(alice, 8, b'{"x":2}')
    half_open.connection.transport.abort()
    await again.show(8, 6, b'{"x":3}')
    await knows(alice, 8, b'{"x":3}')
    assert [entry.state for entry in alice.awareness()].count(None) == 0


async def test_nobody_speaks_under_anothers_name(server: RunningServer) -> None:
    alice, mallory = await server.client("alice"), await server.client("mallory")
    await mallory.show(
        9,
        1,
        b'{"user":{"name":"alice","color":"#f00","id":1,"avatar":"https://a.example/a.png"},"cursor":null}',
    )
    await alice.until(lambda: len(alice.awareness()) == 1)
    state = json.loads(alice.awareness()[0].state or b"")
    assert state["user"].pop("id") > 0
    assert state == {"user": {"name": "mallory", "color": "#f00"}, "cursor": None}


async def test_nobody_is_present_under_anothers_client_id(server: RunningServer) -> None:
    alice, writer = await server.client("alice"), Writer(7)
    await alice.edit(writer.type("alice was here"))
    mallory, bob = await server.client("mallory"), await server.client("bob")
    await mallory.show(7, 1, b'{"forged":1}')
    await mallory.show(9, 1, b'{"own":1}')
    await knows(bob, 9, b'{"own":1}')
    assert [entry.client_id for entry in bob.awareness()] == [9]
