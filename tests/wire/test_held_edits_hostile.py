"""What is held comes to no harm, and does none, whatever has become of the file and of its author meanwhile."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import anyio
import httpx
import pytest

from server.api_errors import ErrorCode
from server.engine.document import EngineFailure
from server.protocol.yjs_messages import update_message
from server.rooms.names import parse_room_name
from server.rooms.room import Room
from tests.wire.client import Writer
from tests.wire.conftest import RunningServer, run_server
from tests.wire.test_projects_api import Person, Town

_names = count(1)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningServer]:
    async with run_server(tmp_path_factory.mktemp("data")) as running:
        yield running


class Table(Town):
    """A file of alice's project, which she has locked, and bob who writes to it meanwhile."""

    server: RunningServer
    workspace: int
    path: str
    lock_id: int

    async def begin(self, server: RunningServer) -> "Table":
        self.server, self.path = server, f"file{next(_names)}.md"
        self.project = await self.alice.project()
        self.workspace = int((await self.alice.part(self.project, "workspaces")).partition("/")[2])
        await self.take_in(self.bob)
        self.by_alice, self.by_bob = Writer(1), Writer(2)
        self.at_alices = await server.client(room=self.room, token=self.alice.token)
        await self.at_alices.edit(self.by_alice.type("one "))
        return self

    @property
    def room(self) -> str:
        return f"workspace:{self.workspace}/{self.path}"

    async def take_in(self, who: Person) -> None:
        await self.alice.call("PUT", f"{self.project}/members/{await who.user_id()}", {"role": "editor"})

    async def lock(self) -> None:
        wanted = {"workspace_id": self.workspace, "path": self.path}
        self.lock_id = (await self.alice.call("POST", "locks", wanted))["id"]

    async def unlock(self) -> None:
        await self.alice.call("DELETE", f"locks/{self.lock_id}")

    async def hold(self, who: Person, update: bytes) -> None:
        """Send it, and see that it is held."""
        before = await self.held()
        client = await self.server.client(room=self.room, token=who.token)
        await client.send(update_message(update))
        await self.until_held(before + 1)

    async def held(self) -> int:
        name = parse_room_name(self.room, plain_names_workspace_id=None)
        return len(await self.server.app.state.files.held_back.of(name))

    async def until_held(self, updates: int) -> None:
        """Until no more and no fewer are held."""
        with anyio.fail_after(10):
            while await self.held() != updates:
                await anyio.sleep(0.02)

    async def text(self) -> str:
        return await (await self.server.client(room=self.room, token=self.alice.token)).text()

    async def aside(self) -> list[dict[str, Any]]:
        return list(await self.alice.call("GET", f"stale-updates/{self.room}"))


@pytest.fixture
async def table(server: RunningServer) -> AsyncIterator[Table]:
    async with httpx.AsyncClient(base_url=server.url.replace("ws:", "http:"), trust_env=False) as http:
        yield await Table(server, http).begin(server)


async def replica_of_bob(table: Table) -> None:
    client = await table.server.client(room=table.room, token=table.bob.token)
    table.by_bob.doc.apply_update(await client.sync())


async def test_what_somebody_wrote_who_was_sent_away_is_for_an_admin_to_take_in(table: Table) -> None:
    await replica_of_bob(table)
    await table.lock()
    await table.hold(table.bob, table.by_bob.type("two "))
    await table.alice.call("DELETE", f"{table.project}/members/{await table.bob.user_id()}")
    await table.unlock()
    await table.until_held(0)
    assert await table.text() == "one "
    (aside,) = await table.aside()
    assert aside["author_id"] == await table.bob.user_id()
    await table.alice.call("POST", f"stale-update/{aside['id']}/{table.room}")
    assert await table.text() == "one two "


async def test_an_edit_of_a_file_that_was_restored_gets_in_under_its_names_of_today(table: Table) -> None:
    await replica_of_bob(table)
    await table.lock()
    await table.hold(table.bob, table.by_bob.type("two "))
    copy = await table.alice.ask("GET", f"copies/{table.room}")
    restored = await table._http.put(
        f"/api/copies/{table.room}",
        content=copy.content,
        headers={"Authorization": f"Bearer {table.alice.token}"},
    )
    assert restored.is_success, restored.text
    await table.unlock()
    await table.until_held(0)
    assert await table.text() == "one two "


async def test_an_edit_of_a_file_that_was_deleted_is_kept_aside(table: Table) -> None:
    await replica_of_bob(table)
    await table.lock()
    await table.hold(table.bob, table.by_bob.type("two "))
    await table.alice.call("DELETE", f"documents/{table.room}")
    await table.unlock()
    await table.until_held(0)
    assert len(await table.aside()) == 1


async def test_an_edit_under_ids_that_say_something_else_by_now_is_kept_aside(table: Table) -> None:
    await replica_of_bob(table)
    await table.lock()
    await table.hold(table.bob, table.by_bob.type("two "))
    forger = Writer(2)  # the holder writes under the id that bob's editor has
    forger.doc.apply_update(table.by_alice.doc.get_update())
    await table.at_alices.edit(forger.type("bad "))
    await table.unlock()
    await table.until_held(0)
    assert await table.text() == "one bad "
    assert len(await table.aside()) == 1


async def test_an_edit_at_which_the_engine_fails_keeps_nobody_elses_out(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve, by_eve = table.person("eve"), Writer(3)
    await table.take_in(eve)
    await replica_of_bob(table)
    by_eve.doc.apply_update(table.by_bob.doc.get_update())
    await table.lock()
    await table.hold(table.bob, table.by_bob.type("poison "))
    await table.hold(eve, by_eve.type("three "))
    merge = Room.merge

    async def fail_at_poison(room: Room, author: Any, update: bytes, **more: Any) -> None:
        if b"poison" in update:
            raise EngineFailure("panic")
        await merge(room, author, update, **more)

    monkeypatch.setattr(Room, "merge", fail_at_poison)
    await table.unlock()
    await table.until_held(0)
    assert await table.text() == "one three "
    assert len(await table.aside()) == 1


async def test_a_lock_that_is_taken_while_a_change_waits_keeps_it_out(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = parse_room_name(table.room, plain_names_workspace_id=None)
    content = f"workspaces/{name.id}/files/{table.path}/content"
    etag = (await table.bob.ask("GET", content)).headers["ETag"]
    url, headers = f"/api/{content}", {"Authorization": f"Bearer {table.bob.token}", "If-Match": etag}
    async with table.server.app.state.rooms.visit(name, may_create=False) as room:
        answers: list[httpx.Response] = []

        async def put() -> None:
            answers.append(await table._http.put(url, content=b"bob was here", headers=headers))

        async with anyio.create_task_group() as tasks, room.standing_still():
            tasks.start_soon(put)
            with anyio.fail_after(10):
                while not table.server.app.state.rooms._visitors[name.canonical] > 1:
                    await anyio.sleep(0.01)
            await table.lock()
    assert [each.status_code for each in answers] == [ErrorCode.LOCKED.status]
    assert await table.text() == "one "
