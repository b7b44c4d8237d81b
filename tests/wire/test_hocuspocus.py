"""`/hocuspocus` by its bytes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from auth.grants import Role
from server.protocol.awareness_codec import AwarenessEntry, write_entries
from server.protocol.hocuspocus import PING, PONG
from server.protocol.varint import buf
from server.protocol.yjs_messages import awareness_message, sync_step_2
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer, run_server
from tests.wire.hocuspocus_client import QUESTION, REFUSED, SAVED, UPDATE, HocuspocusClient, hocuspocus_client
from tests.wire.test_acknowledgement import Disk


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def server(tmp_path: Path, disk: Disk) -> AsyncIterator[RunningServer]:
    async with run_server(tmp_path, open_log=disk.open) as running:
        yield running
        disk.running.set()


@pytest.fixture
async def alice(server: RunningServer) -> AsyncIterator[HocuspocusClient]:
    async with hocuspocus_client(server.url) as client:
        yield client


async def test_a_status_of_one_comes_only_after_the_commit(
    server: RunningServer, disk: Disk, alice: HocuspocusClient
) -> None:
    await alice.open(server.token())
    assert alice.of(b"")[:2] == [b"\x02\x02\x0aread-write", alice.of(QUESTION)[0]]
    assert alice.of(b"\x08") == [SAVED]
    yjs = await server.client("bob")
    disk.stall()
    update = Writer(7).type("not yet")
    await alice.edit(update)
    await yjs.until(lambda: yjs.heard(update))
    await alice.send(b"\x03")
    assert alice.of(SAVED) == [SAVED]
    disk.running.set()
    await alice.until(SAVED, 2)


async def test_both_protocols_edit_one_document_and_see_each_other(
    server: RunningServer, alice: HocuspocusClient
) -> None:
    await alice.open(server.token())
    bob = await server.client("bob")
    await alice.send(awareness_message(write_entries([AwarenessEntry(7, 1, b"{}")])))
    await bob.until(lambda: 7 in [entry.client_id for entry in bob.awareness()])
    await bob.show(8, 1, b"{}")
    await alice.until(b"\x01")
    mine = Writer(7).type("mine ")
    await alice.edit(mine)
    await bob.until(lambda: bob.heard(mine))
    await bob.edit(Writer(8).type("yours "))
    await alice.until(SAVED, 2)
    assert sorted(await alice.text()) == sorted("mine yours ")


async def test_who_may_only_read_is_told_so_and_saves_nothing(
    server: RunningServer, alice: HocuspocusClient
) -> None:
    await (await server.client("bob")).sync()
    await alice.open(server.token(role=Role.VIEWER))
    assert alice.of(b"\x02") == [b"\x02\x02\x08readonly"]
    await alice.edit(Writer(7).type("no"))
    await alice.until(REFUSED)
    await alice.send(sync_step_2(Writer(8).type("no")))
    await alice.until(REFUSED, 2)
    assert alice.of(SAVED) == [SAVED]
    assert await alice.text() == ""


async def test_a_bad_token_is_denied_and_a_good_one_lets_in_on_the_same_socket(
    server: RunningServer, alice: HocuspocusClient
) -> None:
    await alice.send(b"\x02\x00" + buf(b"no token"))
    await alice.until(b"\x02\x01")
    await alice.edit(Writer(7).type("dropped"))
    await alice.open(server.token())
    assert await alice.text() == ""


async def test_frames_wait_for_the_token(server: RunningServer, alice: HocuspocusClient) -> None:
    await alice.edit(Writer(7).type("early"))
    await alice.open(server.token())
    await alice.until(SAVED, 2)
    assert await alice.text() == "early"


async def test_a_hundred_documents_share_a_socket(server: RunningServer, alice: HocuspocusClient) -> None:
    rooms = [f"workspace:1/{number}" for number in range(100)]
    token = server.token()
    for number, room in enumerate(rooms):
        await alice.open(token, room)
        await alice.edit(Writer(1000 + number).type(room), room)
    for room in rooms:
        await alice.until(SAVED, 2, room)
        assert await alice.text(room) == room


async def test_sessions_of_one_document_are_apart(server: RunningServer, alice: HocuspocusClient) -> None:
    first, second = f"{ROOM}\0one", f"{ROOM}\0two"
    await alice.open(server.token(), first)
    await alice.open(server.token(), second)
    await alice.edit(Writer(7).type("x"), first)
    await alice.until(UPDATE, 1, second)
    await alice.send(b"\x05" + buf("привет".encode()), first)
    await alice.until(b"\x05" + buf("привет".encode()), 1, second)
    assert alice.of(b"\x05", first) == []
    await alice.send(b"\x07", first)
    assert await alice.text(second) == "x"


async def test_an_unreadable_message_closes_its_document_alone(
    server: RunningServer, alice: HocuspocusClient
) -> None:
    other = "workspace:1/other"
    await alice.open(server.token())
    await alice.open(server.token(), other)
    await alice.send(b"\x06" + buf(b"x"))
    await alice.until(b"\x07")
    assert await alice.text(other) == ""
    await alice.connection.send(PING)
    while PONG not in alice.received:
        alice.received.append(await alice.connection.recv())  # type: ignore[arg-type]
    await alice.open(server.token())


@pytest.mark.parametrize(("is_known", "code"), [(False, 4401), (True, 4205)])
async def test_an_unreadable_address_ends_the_socket(
    server: RunningServer, alice: HocuspocusClient, is_known: bool, code: int
) -> None:
    if is_known:
        await alice.open(server.token())
    await alice.connection.send(b"\x7fshort")
    with pytest.raises(ConnectionClosed) as closed:
        await alice.until(b"never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


async def test_a_fresh_token_is_taken(server: RunningServer, alice: HocuspocusClient) -> None:
    await alice.open(server.token(ttl=2))
    await alice.until(b"\x02\x00")
    await alice.send(b"\x02\x00" + buf(server.token().encode()))
    assert await alice.text() == ""
