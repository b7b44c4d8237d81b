"""Files changed by JSON clients that know no CRDT, and what others hear of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import connect

from auth.grants import Role
from tests.events.serving import Event, JsonClient
from tests.files.file_client import file_client
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer

WORKSPACE, _, PATH = ROOM.partition("/")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def join(
    server: RunningServer, stack: AsyncExitStack, user: str, role: Role = Role.EDITOR
) -> JsonClient:
    url = f"{server.url}/events?token={server.token(user, role)}"
    client = JsonClient(await stack.enter_async_context(connect(url)))
    assert (await client.ask("join_room", room=WORKSPACE))["type"] == "ack"
    return client


async def change(client: JsonClient, version: str, **what: object) -> Event:
    return await client.ask("file_update", room=WORKSPACE, path=PATH, version=version, **what)


async def version_of(server: RunningServer) -> str:
    async with file_client(server.url, server.token("reader"), PATH) as file:
        return (await file.read())[1].strip('"')


async def test_a_change_of_an_old_version_keeps_what_others_wrote_since(
    server: RunningServer, stack: AsyncExitStack
) -> None:
    typist, writer = await server.client("typist"), Writer(1001)
    await typist.edit(writer.type("one 📊\ntwo\n"))
    bot, version = await join(server, stack, "bot"), await version_of(server)
    await typist.edit(writer.type("three\n"))
    answer = await change(bot, version, edits=[{"start": 0, "end": 3, "text": "eins"}])
    assert (answer["type"], answer["payload"]["merged"], answer["payload"]["conflicts"]) == ("ack", True, [])
    assert await typist.text() == "eins 📊\ntwo\nthree\n"
    answer = await change(bot, answer["payload"]["version"], text="eins 📊\n")
    assert await typist.text() == "eins 📊\n"


async def test_the_workspace_hears_who_changed_which_lines(
    server: RunningServer, stack: AsyncExitStack
) -> None:
    alice, typist, writer = await join(server, stack, "alice"), await server.client("typist"), Writer(1001)
    await typist.edit(writer.type("one\ntwo\n"))
    heard = await alice.heard_of("file_update", path=PATH)
    assert (heard["payload"]["added"], heard["payload"]["removed"]) == (2, 0)
    assert heard["payload"]["lines"] == [{"start": 0, "end": 2}]
    assert heard["payload"]["version"] == await version_of(server)


async def test_what_cannot_be_is_refused_by_name(server: RunningServer, stack: AsyncExitStack) -> None:
    typist = await server.client("typist")
    await typist.edit(Writer(1001).type("📊 one"))
    version = await version_of(server)
    bot, viewer = await join(server, stack, "bot"), await join(server, stack, "viv", Role.VIEWER)
    refused = {
        "invalid_payload": [
            await change(bot, version),
            await change(bot, version, text="x", edits=[]),
            await change(bot, "yesterday", text="x"),
            await change(bot, version, edits=[{"start": 1, "end": 2}]),  # half of a surrogate pair
            await change(bot, version, edits=[{"start": 0, "end": 99}]),
        ],
        "conflict": [await change(bot, "7.1", text="x")],
        "not_allowed": [await change(viewer, version, text="x")],
        "not_found": [await bot.ask("file_update", room=WORKSPACE, path="no.md", version="1.1", text="")],
    }
    for code, answers in refused.items():
        assert [answer["payload"].get("code") for answer in answers] == [code] * len(answers)
    assert await typist.text() == "📊 one"
