"""What one member can do to the others, and to the server, with frames that are well formed."""

import json
import time
from pathlib import Path

import pytest

from auth.grants import Role
from server.protocol.closing import CloseCode
from server.protocol.varint import buf, var_uint
from server.protocol.yjs_messages import MAX_MESSAGES_PER_FRAME, sync_step_1, sync_step_2, update_message
from tests.wire.client import Writer
from tests.wire.conftest import RunningServer, run_server

MAX_STALL_SECONDS = 2.0  # generous: shared machines; without a bound these took 8 s and more


def typed(
    client: int, clock: int, origin: tuple[int, int] | None, right: tuple[int, int] | None = None
) -> bytes:
    """An update with one character between its neighbours; without any, the first of the root `t`."""
    info = 4 | (0x80 if origin else 0) | (0x40 if right else 0)
    links = b"".join(var_uint(number) for link in (origin, right) if link for number in link)
    place = links or b"\x01\x01t"
    return b"\x01\x01" + var_uint(client) + var_uint(clock) + bytes((info,)) + place + b"\x01x\x00"


async def seconds_to_edit(server: RunningServer) -> float:
    """How long somebody in another room waits for one edit to be saved."""
    other = await server.client("carol", room="workspace:1/elsewhere")
    started = time.monotonic()
    await other.edit(Writer(int(started * 1000)).type("x"))
    return time.monotonic() - started


@pytest.mark.parametrize(
    "message", [b"\x00\x00\x01\x00", b"\x66\x01\x00", b"\x00\x02\x02\x00\x00", b"\x01\x01\x00"]
)
async def test_a_frame_of_many_messages_is_refused(server: RunningServer, message: bytes) -> None:
    viewer = await server.client("mallory", role=Role.EDITOR)
    await viewer.send(message * MAX_MESSAGES_PER_FRAME)
    await viewer.sync()
    await viewer.send(message * 250_000)
    assert await seconds_to_edit(server) < MAX_STALL_SECONDS
    assert await viewer.close_code() == CloseCode.MALFORMED


async def test_a_flood_of_frames_leaves_the_others_their_turns(server: RunningServer) -> None:
    flooder, writer = await server.client("mallory"), Writer(7)
    updates = [writer.type("x") for _ in range(5_000)]
    for update in updates:
        flooder.connection.transport.write(masked(update_message(update)))
    assert await seconds_to_edit(server) < MAX_STALL_SECONDS
    await flooder.until(lambda: flooder.heard(updates[-1]))


def masked(message: bytes) -> bytes:
    """A client's frame, masked with zeros."""
    assert len(message) < 126
    return bytes((0x82, 0x80 | len(message))) + bytes(4) + message


async def test_updates_held_in_reverse_order_are_few_and_hurt_nobody(server: RunningServer) -> None:
    mallory = await server.client("mallory")
    for clock in range(900, 0, -1):
        await mallory.send(update_message(typed(1, clock, (1, clock - 1))))
    await mallory.send(update_message(typed(1, 0, None)))
    assert await seconds_to_edit(server) < MAX_STALL_SECONDS
    await mallory.send(sync_step_2(b"\x00\x00"))
    assert await mallory.sync() != b"\x00\x00"


async def test_a_held_update_that_is_out_of_place_costs_its_own_author_the_connection(
    server: RunningServer,
) -> None:
    alice, mallory = await server.client("alice"), await server.client("mallory")
    await alice.edit(b"\x01\x01\x0a\x00\x04\x01\x01P\x01x\x00")
    await mallory.edit(b"\x01\x01\x14\x00\x04\x01\x01Q\x01x\x00")
    await mallory.send(update_message(typed(20, 1, (10, 1), (20, 0))))
    await mallory.until(lambda: len(mallory.questions()) == 2)
    await alice.edit(typed(10, 1, (10, 0)))
    assert await mallory.close_code() == CloseCode.MALFORMED
    await alice.edit(typed(10, 2, (10, 1)))


async def test_a_hundred_thousand_structs_in_one_update_are_taken_in_parts(server: RunningServer) -> None:
    count = 30_000
    structs = b"\x04\x01\x01t\x01x" + b"".join(
        b"\x84\x07" + var_uint(clock) + b"\x01x" for clock in range(count - 1)
    )
    update = b"\x01" + var_uint(count) + b"\x07\x00" + structs + b"\x00"
    mallory = await server.client("mallory")
    await mallory.send(update_message(update))
    assert await seconds_to_edit(server) < MAX_STALL_SECONDS
    await mallory.until(lambda: len(mallory.updates()) == 1)


@pytest.mark.parametrize(
    "state",
    [
        b'{"user":{"name":"x"},"a":1e999}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16-le"),
        b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
    ids=["infinite number", "byte order mark", "UTF-16", "deep"],
)
async def test_a_state_on_which_browsers_fail_reaches_nobody(server: RunningServer, state: bytes) -> None:
    mallory, alice = await server.client("mallory"), await server.client("alice")
    await mallory.send(b"\x01" + buf(b"\x01\x09\x01" + buf(state)))
    if b"[" not in state:
        assert await mallory.close_code() == CloseCode.MALFORMED
    await alice.edit(Writer(7).type("x"))
    for entry in alice.awareness():
        json.loads((entry.state or b"null").decode(), parse_constant=lambda _: pytest.fail("not JSON"))


async def test_clocks_stay_readable_whoever_takes_an_id_over(server: RunningServer) -> None:
    alice = await server.client("alice")
    first, second = await server.client("mallory"), await server.client("mallory")
    await first.show(77, 2**52, b"{}")
    await second.show(77, 1, b'{"x":1}')
    await second.show(77, 2**52, b'{"x":2}')
    await second.sync()
    await alice.sync()
    assert all(entry.clock <= 2**52 for entry in alice.awareness())


async def test_a_viewer_cannot_take_the_id_of_somebody_who_is_offline(tmp_path: Path) -> None:
    writer = Writer(7)
    async with run_server(tmp_path) as server:
        await server.client("alice")
        mallory = await server.client("mallory", role=Role.VIEWER)
        await mallory.show(7, 1, b"{}")
        await mallory.sync()
        alice = await server.client("alice")
        await mallory.connection.close()
        await alice.edit(writer.type("mine"))
        assert alice.denials() == []


async def test_a_relay_does_not_make_somebodys_id_the_relayers(server: RunningServer) -> None:
    """Two tabs of two users in one browser tell each other first."""
    alice, bob, writer = await server.client("alice"), await server.client("bob"), Writer(777)
    first = writer.type("a")
    await bob.show(8, 1, b"{}")
    await bob.send(sync_step_2(first))
    await bob.until(lambda: bob.heard(first))
    await alice.show(777, 1, b"{}")
    await alice.edit(writer.type("b"))
    assert await bob.text() == "ab"


async def test_nobody_continues_what_somebody_else_has_brought(server: RunningServer) -> None:
    alice, bob, writer = await server.client("alice"), await server.client("bob"), Writer(5001)
    await alice.send(sync_step_2(mine := writer.type("mine")))
    await alice.until(lambda: alice.heard(mine))
    forger = Writer(5001)
    forger.doc.apply_update(mine)
    await bob.send(update_message(forger.type(" forged")))
    assert await bob.close_code() == CloseCode.FORBIDDEN
    await alice.edit(writer.type("!"))
    assert await alice.text() == "mine!"


async def test_a_viewer_keeps_nobody_from_an_id(server: RunningServer) -> None:
    alice, writer = await server.client("alice"), Writer(4242)
    mallory = await server.client("mallory", role=Role.VIEWER)
    await mallory.show(4242, 50, b"{}")
    await alice.until(lambda: len(alice.awareness()) == 1)
    await alice.edit(writer.type("mine"))
    assert await alice.text() == "mine"


async def test_nobody_takes_the_presence_of_somebody_who_has_just_left(server: RunningServer) -> None:
    bob = await server.client("bob")
    alice = await server.client("alice")
    await alice.show(4242, 1, b'{"mine":1}')
    await bob.until(lambda: len(bob.awareness()) == 1)
    await alice.connection.close()
    await bob.until(lambda: bob.awareness()[-1].state is None)
    mallory = await server.client("mallory")
    await mallory.show(4242, 50, b'{"mine":2}')
    await mallory.sync()
    again = await server.client("alice")
    await again.show(4242, 2, b'{"mine":3}')
    await bob.until(lambda: bob.awareness()[-1].state is not None)
    assert bob.awareness()[-1].state == b'{"mine":3}'


async def test_nobody_edits_under_the_id_of_somebody_who_is_present(server: RunningServer) -> None:
    alice, mallory = await server.client("alice"), await server.client("mallory")
    await alice.show(7, 1, b"{}")
    await mallory.until(lambda: len(mallory.awareness()) == 1)
    await mallory.send(update_message(Writer(7).type("forged")))
    assert await mallory.close_code() == CloseCode.FORBIDDEN


async def test_questions_beyond_number_are_answered_in_the_end(server: RunningServer) -> None:
    client = await server.client()
    for _ in range(100):
        await client.send(sync_step_1(b"\x00"))
    await client.until(lambda: len(client.answers()) == 100)
