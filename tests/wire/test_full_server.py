"""A server over its memory budget opens no more rooms, says so in a way that clients come back from, and goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from server.api_errors import ErrorCode
from server.protocol.closing import CloseCode
from server.rooms.memory_budget import MemoryBudget
from tests.documents_client import documents_client
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer, run_server
from tests.wire.test_rooms import rooms_of

OTHER = "workspace:1/other.md"
SetFull = Callable[[bool], None]


@pytest.fixture
def set_full(server: RunningServer) -> SetFull:
    """Whether the process takes more memory than it may."""
    rooms = rooms_of(server)

    def set_full(is_full: bool) -> None:
        rooms._memory = MemoryBudget(2**40, 2**40, lambda name: 0, lambda: 2**41 if is_full else 0)

    return set_full


async def test_a_new_room_is_refused_with_a_reason_and_a_code_to_come_back_from(
    server: RunningServer, set_full: SetFull
) -> None:
    set_full(True)
    client = await server.client(room=OTHER)
    assert await client.close_code() == CloseCode.TRY_AGAIN_LATER
    assert CloseCode.TRY_AGAIN_LATER.client_should_reconnect
    assert client.denials() == ["the server is full and opens no more rooms for now: try again"]


async def test_the_budgets_are_settings(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_memory_bytes=1, max_empty_rooms_bytes=1) as server:
        assert await (await server.client()).close_code() == CloseCode.TRY_AGAIN_LATER
        assert rooms_of(server)._memory.max_empty_rooms_bytes == 1


async def test_what_a_document_has_in_the_store_counts(server: RunningServer) -> None:
    memory = rooms_of(server)._memory
    empty = memory.room_bytes(ROOM)
    client = await server.client()
    await client.edit(Writer(1).type("x" * 5000))
    assert memory.room_bytes(ROOM) > empty + 5000


async def test_members_go_on_and_others_join_them(server: RunningServer, set_full: SetFull) -> None:
    alice = await server.client("alice")
    await alice.edit(Writer(1).type("before"))
    set_full(True)
    assert await (await server.client("bob", room=OTHER)).close_code() == CloseCode.TRY_AGAIN_LATER
    await alice.edit(Writer(2).type("after "))
    assert sorted(await (await server.client("bob")).text()) == sorted("beforeafter ")


async def test_the_room_opens_later_with_all_that_was_written(
    server: RunningServer, set_full: SetFull
) -> None:
    client = await server.client()
    await client.edit(Writer(1).type("kept"))
    await client.connection.close()
    set_full(True)
    for room in (OTHER, ROOM):  # the second one had nobody in it, and was closed for the first
        assert await (await server.client(room=room)).close_code() == CloseCode.TRY_AGAIN_LATER
    assert not rooms_of(server).rooms
    set_full(False)
    assert await (await server.client()).text() == "kept"


async def test_over_http_it_is_unavailable_and_says_when_to_come_back(
    server: RunningServer, set_full: SetFull
) -> None:
    client = await server.client()
    await client.edit(Writer(1).type("kept"))
    await client.connection.close()
    set_full(True)
    await (await server.client(room=OTHER)).close_code()
    async with documents_client(server.url.replace("ws://", "http://"), server.token(), ROOM) as api:
        response = await api.request("GET", "copies")
        assert response.status_code == 503
        assert response.json()["error"]["code"] == ErrorCode.UNAVAILABLE
        assert int(response.headers["Retry-After"]) > 0
        set_full(False)
        assert await api.copy()
