"""Whoever comes back with edits of lines that others changed meanwhile has a conflict; who types along has none."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from server.protocol.yjs_messages import sync_step_1, sync_step_2, update_message
from tests.files.file_client import FileClient, file_client
from tests.wire.client import WireClient, Writer
from tests.wire.conftest import RunningServer, run_server

PATH = "notes.md"
START = "first\nsecond\nthird\n"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    """One for all, for which nothing crosses so fast that it would be no conflict."""
    async with run_server(tmp_path_factory.mktemp("data"), conflict_after_seconds=0) as running:
        yield running


class Editor:
    """A stock client: it says what it has on joining, and answers with what the server lacks."""

    def __init__(self, server: RunningServer, user: str, client_id: int, path: str) -> None:
        self._server = server
        self._user = user
        self._room = f"workspace:1/{path}"
        self.writer = Writer(client_id)
        self.wire: WireClient

    async def join(self) -> "Editor":
        self.wire = wire = await self._server.client(self._user, room=self._room)
        await wire.until(lambda: bool(wire.questions()))
        doc = self.writer.doc
        await wire.send(sync_step_1(doc.get_state()))
        await wire.send(sync_step_2(doc.get_update(wire.questions()[-1])))
        await wire.until(lambda: bool(wire.answers()))
        doc.apply_update(wire.answers()[-1])
        return self

    async def leave(self) -> None:
        await self.wire.connection.close()

    def write(self, place: int, text: str, erased: int = 0) -> bytes:
        content, updates = self.writer.content, self.writer._updates
        count = len(updates)
        with self.writer.doc.transaction():
            if erased:
                del content[place : place + erased]
            if text:
                content.insert(place, text)
        assert len(updates) == count + 1
        return updates[-1]

    async def type(self, place: int, text: str, erased: int = 0) -> None:
        await self.wire.edit(self.write(place, text, erased))


class Table:
    """Alice and bob at a file of their own, as both have read it."""

    def __init__(self, server: RunningServer, path: str) -> None:
        self.alice, self.bob = Editor(server, "alice", 1, path), Editor(server, "bob", 2, path)
        self.file: FileClient
        self.path = path

    async def sit_down(self) -> None:
        await self.alice.join()
        await self.alice.type(0, START)
        await self.bob.join()

    async def conflicts(self, count: int = 1) -> list[dict[str, Any]]:
        with anyio.fail_after(10):
            while len(found := await self.file.conflicts()) < count:
                await anyio.sleep(0.02)
        return found


@pytest.fixture
async def table(server: RunningServer, request: pytest.FixtureRequest) -> AsyncIterator[Table]:
    table = Table(server, f"{request.node.name[:60]}.md")
    async with file_client(server.url, server.token("alice"), table.path) as file:
        table.file = file
        await table.sit_down()
        yield table


async def nothing_left_to_look_at(server: RunningServer) -> None:
    with anyio.fail_after(10):
        while await server.app.state.jobs.are_due(["file_conflicts"], 2**62):
            await anyio.sleep(0.02)


async def test_whoever_comes_back_with_a_line_that_another_changed_has_a_conflict(table: Table) -> None:
    await table.bob.leave()
    await table.alice.type(6, "her ")
    table.bob.write(6, "his ")
    await table.bob.join()
    (conflict,) = await table.conflicts()
    assert (conflict["base"], conflict["yours"], conflict["theirs"]) == (
        "second\n",
        "his second\n",
        "her second\n",
    )
    assert sorted(conflict["merged"].split()) == ["her", "his", "second"]
    assert len(conflict["others"]) == 1
    assert conflict["others"] != [conflict["author_id"]]


async def test_only_who_changed_the_line_has_the_conflict(server: RunningServer, table: Table) -> None:
    eve = await Editor(server, "eve", 5, table.path).join()
    await table.bob.leave()
    await table.alice.type(6, "her ")
    await eve.type(0, "zero\n")
    table.bob.write(6, "his ")
    await table.bob.join()
    (conflict,) = await table.conflicts()
    alice_id = (await table.file._http.get("/api/me")).json()["user_id"]
    assert conflict["others"] == [alice_id]


async def test_a_line_that_was_only_deleted_meanwhile_was_changed_too(table: Table) -> None:
    await table.bob.leave()
    await table.alice.type(6, "", erased=7)
    table.bob.write(6, "his ")
    await table.bob.join()
    (conflict,) = await table.conflicts()
    assert (conflict["yours"], conflict["theirs"]) == ("his second\n", "")


async def test_who_deletes_offline_what_another_changed_has_a_conflict(table: Table) -> None:
    await table.bob.leave()
    await table.alice.type(6, "her ")
    table.bob.write(6, "", erased=7)
    await table.bob.join()
    (conflict,) = await table.conflicts()
    assert (conflict["yours"], conflict["theirs"]) == ("", "her second\n")


@pytest.mark.parametrize("is_seen", [True, False])
async def test_other_lines_and_what_was_seen_are_no_conflict(
    server: RunningServer, table: Table, is_seen: bool
) -> None:
    if is_seen:
        await table.alice.type(6, "her ")
        table.bob.writer.doc.apply_update(await table.bob.wire.sync(table.bob.writer.doc.get_state()))
    await table.bob.leave()
    if not is_seen:
        await table.alice.type(0, "zero\n")
    table.bob.write(6, "his ")
    await table.bob.join()
    await nothing_left_to_look_at(server)
    assert await table.file.conflicts() == []


async def test_typing_on_one_line_together_is_no_conflict(server: RunningServer, table: Table) -> None:
    for number in range(5):
        mine, yours = table.alice.write(6, f"a{number} "), table.bob.write(6, f"b{number} ")
        await table.alice.wire.send(update_message(mine))
        await table.bob.wire.send(update_message(yours))
    await table.alice.type(0, "end ")
    await nothing_left_to_look_at(server)
    assert await table.file.conflicts() == []


async def test_another_tab_of_the_same_user_is_nobody_else(server: RunningServer, table: Table) -> None:
    await table.alice.leave()
    tab = await Editor(server, "alice", 3, table.path).join()
    await tab.type(6, "one tab ")
    table.alice.write(6, "another ")
    await table.alice.join()
    await nothing_left_to_look_at(server)
    assert await table.file.conflicts() == []


async def test_a_newcomer_that_typed_before_it_was_told_the_text_was_not_away(
    server: RunningServer, table: Table
) -> None:
    newcomer = Editor(server, "eve", 4, table.path)
    newcomer.write(0, "hasty")
    await newcomer.join()
    await nothing_left_to_look_at(server)
    assert await table.file.conflicts() == []


async def test_what_crosses_within_seconds_is_typing_together(tmp_path: Path) -> None:
    async with run_server(tmp_path, conflict_after_seconds=60) as server:
        table = Table(server, PATH)
        async with file_client(server.url, server.token("alice"), PATH) as table.file:
            await table.sit_down()
            await table.bob.leave()
            await table.alice.type(6, "her ")
            table.bob.write(6, "his ")
            await table.bob.join()
            await nothing_left_to_look_at(server)
            assert await table.file.conflicts() == []
