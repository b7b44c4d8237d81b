"""Rooms open once, close when deserted, and keep what was written."""

from pathlib import Path

import anyio
import pytest
from pycrdt.websocket import WebsocketServer, YRoom

from server.protocol.yjs_messages import update_message
from server.rooms.room_manager import RoomManager
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer, run_server


def rooms_of(server: RunningServer) -> RoomManager:
    """The server's Room Manager."""
    rooms: RoomManager = server.app.state.rooms
    return rooms


async def wait_until_closed(rooms: RoomManager) -> None:
    with anyio.fail_after(10):
        while rooms.rooms:
            await anyio.sleep(0.002)


@pytest.mark.parametrize("count", [2, 10, 50])
async def test_clients_that_come_in_the_same_tick_meet_in_one_room(server: RunningServer, count: int) -> None:
    """pycrdt-websocket greets the first alone."""
    texts: list[str] = []

    async def join_and_write(number: int) -> None:
        client = await server.client(f"user {number}")
        await client.edit(Writer(100 + number).type("x"))
        texts.append(await client.text())

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(join_and_write, number)
    assert len(texts) == count
    assert await (await server.client()).text() == "x" * count
    assert [room for room in rooms_of(server).rooms if "/" in room] == [ROOM]  # beside the tree's


async def test_rooms_are_pycrdt_websocket_rooms(server: RunningServer) -> None:
    await (await server.client()).sync()
    rooms = rooms_of(server)
    assert isinstance(rooms, WebsocketServer)
    assert isinstance(rooms.rooms[ROOM], YRoom)


async def test_a_deserted_room_closes_after_its_writes_are_committed(tmp_path: Path) -> None:
    async with run_server(tmp_path, room_linger_seconds=0.01) as server:
        client = await server.client()
        for client_id, letter in enumerate("goodbye"):
            await client.send(update_message(Writer(client_id).type(letter)))
        await client.connection.close()
        await wait_until_closed(rooms_of(server))
        assert sorted(await (await server.client()).text()) == sorted("goodbye")


async def test_a_room_stays_open_for_who_comes_while_another_leaves(tmp_path: Path) -> None:
    async with run_server(tmp_path, room_linger_seconds=0) as server:
        for round_number in range(30):
            leaving = await server.client()
            await leaving.sync()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(leaving.connection.close)
                coming = await server.client("bob")
            await coming.edit(Writer(1000 + round_number).type("x"))
            assert await coming.text() == "x" * (round_number + 1)
            await coming.connection.close()


async def test_a_bare_channel_is_not_served(server: RunningServer) -> None:
    await (await server.client()).sync()
    rooms = rooms_of(server)
    with pytest.raises(TypeError, match="Connection"):
        await rooms.serve(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Connection"):
        await rooms.rooms[ROOM].serve(None)  # type: ignore[arg-type]


async def test_a_deleted_room_sends_its_members_away_and_keeps_its_document(server: RunningServer) -> None:
    client = await server.client()
    await client.edit(Writer(7).type("kept"))
    await rooms_of(server).delete_room(name=ROOM)
    assert await client.close_code() == 1012
    assert await (await server.client()).text() == "kept"
