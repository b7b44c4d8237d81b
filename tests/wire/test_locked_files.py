"""While a file is locked other people's edits of it are held; none is lost, and none gets in before the lock ends."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from auth.grants import Role
from crdt_store.held_edits import HeldEdit
from server.protocol.yjs_messages import sync_step_2, update_message
from server.rooms.names import parse_room_name
from tests.files.file_client import file_client
from tests.wire.client import WireClient, Writer
from tests.wire.conftest import ROOM, RunningServer, run_server

PATH = ROOM.partition("/")[2]


class Rest:
    """REST as anybody."""

    def __init__(self, server: RunningServer, http: httpx.AsyncClient) -> None:
        self._server = server
        self._http = http

    async def call(self, user: str, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._server.token(user)}"}
        return await self._http.request(method, f"/api/{path}", json=body, headers=headers)

    async def lock(self, user: str, path: str = PATH, kind: str = "lease") -> int:
        wanted = {"workspace_id": 1, "path": path, "kind": kind}
        return int((await self.call(user, "POST", "locks", wanted)).raise_for_status().json()["id"])

    async def unlock(self, user: str, lock_id: int) -> None:
        (await self.call(user, "DELETE", f"locks/{lock_id}")).raise_for_status()


async def rest_of(server: RunningServer, stack: AsyncExitStack) -> Rest:
    url = server.url.replace("ws:", "http:")
    return Rest(
        server,
        await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False, verify=False)),
    )


@pytest.fixture
async def rest(server: RunningServer) -> AsyncIterator[Rest]:
    async with AsyncExitStack() as stack:
        yield await rest_of(server, stack)


async def reads(server: RunningServer, text: str) -> None:
    """Until a newcomer reads this."""
    with anyio.fail_after(10):
        while await (await server.client("reader")).text() != text:
            await anyio.sleep(0.02)


async def held_now(server: RunningServer) -> list[HeldEdit]:
    name = parse_room_name(ROOM, plain_names_workspace_id=None)
    found: list[HeldEdit] = await server.app.state.files.held_back.of(name)
    return found


async def held(server: RunningServer, count: int) -> None:
    """Until so many edits are held."""
    with anyio.fail_after(10):
        while len(await held_now(server)) < count:
            await anyio.sleep(0.01)


async def replica(client: WireClient, writer: Writer) -> None:
    writer.doc.apply_update(await client.sync())


async def test_edits_of_others_wait_for_the_end_of_a_lock(server: RunningServer, rest: Rest) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    by_alice, by_bob = Writer(1), Writer(2)
    await alice.edit(by_alice.type("one "))
    await replica(bob, by_bob)
    lock_id = await rest.lock("alice")
    for word in ("two ", "three "):
        await bob.send(update_message(by_bob.type(word)))
    await held(server, 2)
    await alice.edit(by_alice.type("mine "))
    assert await (await server.client("reader")).text() == "one mine "
    assert not any(b"two" in update for update in alice.updates())
    await rest.unlock("alice", lock_id)
    await alice.until(lambda: any(b"two" in update for update in alice.updates()))
    text = await (await server.client("reader")).text()
    assert sorted(text.split()) == ["mine", "one", "three", "two"]
    await bob.edit(by_bob.type("four "))  # its next one is like any other


async def test_what_an_offline_editor_brings_to_a_locked_file_is_held(
    server: RunningServer, rest: Rest
) -> None:
    alice, by_alice, by_bob = await server.client("alice"), Writer(1), Writer(2)
    await alice.edit(by_alice.type("one "))
    await replica(await server.client("bob"), by_bob)
    by_bob.type("written offline ")
    lock_id = await rest.lock("alice")
    bob = await server.client("bob")
    await bob.send(sync_step_2(by_bob.doc.get_update()))
    await held(server, 1)
    await bob.send(sync_step_2(by_bob.doc.get_update()))  # it comes back, again and again
    await bob.sync()
    assert await (await server.client("reader")).text() == "one "
    await rest.unlock("alice", lock_id)
    await reads(server, "one written offline ")


async def test_held_edits_and_the_lock_outlive_the_server(tmp_path: Path) -> None:
    by_alice, by_bob = Writer(1), Writer(2)
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        rest = await rest_of(server, stack)
        await (await server.client("alice")).edit(by_alice.type("one "))
        bob = await server.client("bob")
        await replica(bob, by_bob)
        lock_id = await rest.lock("alice")
        await bob.send(update_message(by_bob.type("two ")))
        await held(server, 1)
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        rest = await rest_of(server, stack)
        assert await (await server.client("reader")).text() == "one "
        await rest.unlock("alice", lock_id)
        await reads(server, "one two ")
        with anyio.fail_after(10):
            while await held_now(server):
                await anyio.sleep(0.01)


async def test_a_lock_that_ended_while_the_server_was_down_lets_in_what_was_held(tmp_path: Path) -> None:
    by_alice, by_bob = Writer(1), Writer(2)
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        rest = await rest_of(server, stack)
        await (await server.client("alice")).edit(by_alice.type("one "))
        bob = await server.client("bob")
        await replica(bob, by_bob)
        wanted = {"workspace_id": 1, "path": PATH, "kind": "lease", "ttl_seconds": 1}
        (await rest.call("alice", "POST", "locks", wanted)).raise_for_status()
        await bob.send(update_message(by_bob.type("two ")))
        await held(server, 1)
    async with run_server(tmp_path) as server:
        await reads(server, "one two ")


async def test_lines_that_the_holder_changed_too_are_reported_with_both_texts(
    server: RunningServer, rest: Rest
) -> None:
    alice, bob = await server.client("alice"), await server.client("bob")
    by_alice, by_bob = Writer(1), Writer(2)
    await alice.edit(by_alice.type("first\nsecond\nthird\n"))
    await replica(bob, by_bob)
    lock_id = await rest.lock("alice")
    by_alice.content.insert(6, "her ")
    await alice.edit(by_alice._updates[-1])
    by_bob.content.insert(6, "his ")
    await bob.send(update_message(by_bob._updates[-1]))
    await held(server, 1)
    await rest.unlock("alice", lock_id)
    async with file_client(server.url, server.token("alice"), PATH) as file:
        with anyio.fail_after(10):
            while not (found := (await file.request("GET", "conflicts")).json()["items"]):
                await anyio.sleep(0.02)
    (conflict,) = found
    assert (conflict["yours"], conflict["theirs"]) == ("his second\n", "her second\n")
    assert sorted(conflict["merged"].split()) == ["her", "his", "second"]


async def test_authors_see_what_is_held_of_theirs_and_admins_see_all(
    server: RunningServer, rest: Rest
) -> None:
    alice, by_alice = await server.client("alice"), Writer(1)
    await alice.edit(by_alice.type("one "))
    lock_id = await rest.lock("alice")
    for user, client_id in (("bob", 2), ("eve", 3)):
        client, writer = await server.client(user), Writer(client_id)
        await replica(client, writer)
        for _ in range(client_id):
            await client.send(update_message(writer.type(user)))
    await held(server, 5)
    async with (
        file_client(server.url, server.token("bob"), PATH) as bob,
        file_client(server.url, server.token("root", Role.ADMIN), PATH) as root,
    ):
        (own,) = (await bob.request("GET", "held")).json()["items"]
        assert own["updates"] == 2
        assert own["bytes"] == sum(
            len(each.data) for each in await held_now(server) if each.author_id == own["user_id"]
        )
        assert own["waits_for"]["id"] == lock_id
        everybodys = (await root.request("GET", "held")).json()["items"]
        assert [each["updates"] for each in everybodys] == [2, 3]
        await rest.unlock("alice", lock_id)
        with anyio.fail_after(10):
            while (await root.request("GET", "held")).json()["items"]:
                await anyio.sleep(0.02)


async def test_a_lock_on_a_folder_holds_for_all_below_and_for_every_way_to_write(
    server: RunningServer, rest: Rest
) -> None:
    alice, by_alice = await server.client("alice"), Writer(1)
    await alice.edit(by_alice.type("one "))
    folder = PATH.rpartition("/")[0] or PATH
    await rest.lock("alice", folder)
    admin = server.token("root", Role.ADMIN)
    async with file_client(server.url, server.token("bob"), PATH) as file:
        text, etag = await file.read()
        answer = await file.request("PUT", content=text + "more", headers={"If-Match": etag})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "locked")
    headers = {"Authorization": f"Bearer {admin}"}
    copy = (await rest._http.get(f"/api/copies/{ROOM}", headers=headers)).content
    for answer in (
        await rest._http.put(f"/api/copies/{ROOM}", content=copy, headers=headers),
        await rest._http.delete(f"/api/documents/{ROOM}", headers=headers),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "locked")
    await alice.edit(by_alice.type("two "))
    assert await (await server.client("reader")).text() == "one two "
