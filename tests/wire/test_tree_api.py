"""The tree of a workspace over HTTP: made, moved, copied, deleted and restored, while Yjs clients look on."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from pycrdt import Doc, Map

from auth.grants import Role
from server.protocol.yjs_messages import update_message
from tests.events.serving import JsonClient
from tests.wire.client import WireClient, Writer
from tests.wire.conftest import RunningServer, run_server

_workspaces = count(1)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningServer]:
    async with run_server(tmp_path_factory.mktemp("server")) as server:
        yield server


class Workspace:
    """One that no other test uses, as its users see it."""

    def __init__(self, server: RunningServer, http: httpx.AsyncClient, number: int) -> None:
        self.server = server
        self.http = http
        self.number = number

    async def ask(
        self, method: str, path: str, json: Any = None, user: str = "alice", role: Role = Role.EDITOR
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.server.token(user, role)}"}
        return await self.http.request(
            method, f"/api/workspaces/{self.number}/{path}", json=json, headers=headers
        )

    async def call(self, method: str, path: str, json: Any = None, user: str = "alice") -> Any:
        answer = await self.ask(method, path, json, user)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def make(self, path: str, **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.call("POST", "files", {"path": path, **more})
        return made

    async def paths(self) -> dict[str, str]:
        """Of all files, by id."""
        return {each["file_id"]: each["path"] for each in (await self.call("GET", "tree"))["files"]}

    async def trash(self) -> dict[str, dict[str, Any]]:
        return {each["file_id"]: each for each in (await self.call("GET", "trash"))["items"]}

    async def lock(self, path: str, user: str) -> int:
        headers = {"Authorization": f"Bearer {self.server.token(user)}"}
        body = {"workspace_id": self.number, "path": path}
        answer = await self.http.post("/api/locks", json=body, headers=headers)
        return int(answer.raise_for_status().json()["id"])

    async def locked_path(self, lock_id: int) -> str:
        headers = {"Authorization": f"Bearer {self.server.token('alice')}"}
        answer = await self.http.get("/api/locks", params={"workspace": self.number}, headers=headers)
        return next(str(each["path"]) for each in answer.json()["items"] if each["id"] == lock_id)

    async def text(self, file_id: str) -> str:
        headers = {"Authorization": f"Bearer {self.server.token('alice')}"}
        answer = await self.http.get(
            f"/api/workspaces/{self.number}/files/{file_id}/content", headers=headers
        )
        return answer.raise_for_status().text

    async def type(self, file_id: str, text: str, user: str = "typist") -> None:
        client = await self.server.client(user, room=f"workspace:{self.number}/{file_id}")
        await client.edit(Writer(next(_workspaces) + 10_000).type(text))

    async def listed(self, file_id: str) -> str:
        """The path of a file, once it is in the tree."""
        with anyio.fail_after(10):
            while file_id not in (paths := await self.paths()):
                await anyio.sleep(0.01)
        return paths[file_id]


@pytest.fixture
async def space(server: RunningServer) -> AsyncIterator[Workspace]:
    url = server.url.replace("ws:", "http:")
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
        yield Workspace(server, http, next(_workspaces))


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def tree_of(client: WireClient) -> dict[str, Any]:
    doc: Doc[Any] = Doc()
    doc.apply_update(await client.sync())
    return {root: doc.get(root, type=Map).to_py() for root in ("files", "folders")}


async def test_a_file_is_made_once_and_yjs_clients_see_it(space: Workspace) -> None:
    onlooker = await space.server.client("bob", room=f"workspace:{space.number}")
    await onlooker.sync()
    made = await space.make("src/a.cpp", file_id="a", text="int a;")
    assert (made["path"], made["language"], made["room"]) == (
        "src/a.cpp",
        "cpp",
        f"workspace:{space.number}/a",
    )
    assert await space.make("src/a.cpp", file_id="a", text="int a;") == made, (
        "who has lost the answer asks again"
    )
    assert await space.text("a") == "int a;"
    await onlooker.until(lambda: bool(onlooker.updates()))
    entry = (await tree_of(onlooker))["files"]["a"]
    assert (entry["path"], entry["created_by"], entry["created_at"]) == (
        "src/a.cpp",
        made["created_by"],
        made["created_at"],
    )
    answer = await space.ask("POST", "files", {"path": "SRC/A.CPP"})
    assert code_of(answer) == (409, "path_taken")
    assert (await space.make("SRC/A.CPP", rename=True))["path"] == "SRC/A (2).CPP"
    assert code_of(await space.ask("POST", "files", {"path": "../x"})) == (422, "invalid_parameter")
    found = await space.call("GET", "files?path=src/A.cpp")
    assert [each["file_id"] for each in found["items"]] == ["a"]
    assert len((await space.call("GET", "files?prefix=src&limit=1"))["items"]) == 1


async def test_a_file_keeps_its_id_and_its_content_when_it_is_moved(space: Workspace) -> None:
    await space.make("a.md", file_id="a", text="one")
    moved = await space.call("PATCH", "files/a", {"path": "docs\\A.md", "language": "plaintext"})
    assert (moved["path"], moved["language"], moved["file_id"]) == ("docs/A.md", "plaintext", "a")
    assert (await space.call("PATCH", "files/a", {"path": "docs/a.md"}))["path"] == "docs/a.md"
    assert await space.text("a") == "one"
    await space.make("b.md", file_id="b")
    assert code_of(await space.ask("PATCH", "files/b", {"path": "DOCS/a.md"})) == (409, "path_taken")
    assert code_of(await space.ask("PATCH", "files/b", {"path": "docs/a.md/b.md"})) == (409, "path_taken")
    assert code_of(await space.ask("PATCH", "files/nobody", {"path": "x"})) == (404, "not_found")


async def test_a_copy_has_the_content_and_goes_its_own_way(space: Workspace) -> None:
    await space.make("a.md", file_id="a", text="one")
    copied = await space.call("POST", "files/a/copy", {"path": "b.md", "file_id": "b"})
    assert await space.call("POST", "files/a/copy", {"path": "b.md", "file_id": "b"}) == copied
    await space.type("b", "two ", "bob")
    assert sorted((await space.text("b")).replace("one", " one ").split()) == ["one", "two"]
    assert await space.text("a") == "one"


async def test_a_folder_is_moved_and_deleted_with_all_in_it_and_restored_together(space: Workspace) -> None:
    for name in ("a", "b"):
        await space.make(f"art/{name}.md", file_id=name, text=name)
    await space.make("c.md", file_id="c")
    assert (await space.call("POST", "folders", {"path": "art/empty"}))["path"] == "art/empty"
    await space.call("PATCH", "folders/ART", {"path": "design/art"})
    assert await space.paths() == {"a": "design/art/a.md", "b": "design/art/b.md", "c": "c.md"}
    tree = await space.call("GET", "tree")
    assert [each["path"] for each in tree["folders"]] == ["design/art/empty"]
    assert code_of(await space.ask("PATCH", "folders/design", {"path": "c.md"})) == (409, "path_taken")
    assert code_of(await space.ask("PATCH", "folders/nowhere", {"path": "x"})) == (404, "not_found")
    await space.call("DELETE", "files/c")
    await space.call("DELETE", "folders/design")
    assert await space.paths() == {}
    trash = await space.trash()
    assert trash["a"]["batch"] == trash["b"]["batch"] != trash["c"]["batch"]
    await space.make("design/art/a.md", file_id="new")
    restored = await space.call("POST", "trash/b/restore", {"together": True})
    assert {each["file_id"]: each["path"] for each in restored["files"]} == {
        "a": "design/art/a (2).md",
        "b": "design/art/b.md",
    }
    assert list(await space.trash()) == ["c"]
    assert await space.text("a") == "a"


async def test_an_edit_of_a_file_in_the_trash_is_kept_and_brings_nothing_back(space: Workspace) -> None:
    await space.make("a.md", file_id="a", text="one ")
    await space.call("DELETE", "files/a")
    await space.call("DELETE", "files/a")
    await space.type("a", "two")
    assert await space.paths() == {}
    await space.call("POST", "trash/a/restore")
    assert sorted((await space.text("a")).split()) in (["one", "two"], ["twoone"])


async def test_what_is_purged_is_gone(space: Workspace) -> None:
    await space.make("a.md", file_id="a", text="one")
    purge = "DELETE", "trash/a"
    assert code_of(await space.ask(*purge, role=Role.ADMIN)) == (404, "not_found")
    await space.call("DELETE", "files/a")
    assert code_of(await space.ask(*purge)) == (403, "forbidden")
    assert (await space.ask(*purge, role=Role.ADMIN)).status_code == 204
    assert await space.trash() == {}
    assert code_of(await space.ask("GET", "files/a/content")) == (404, "not_found")
    assert code_of(await space.ask("POST", "trash/a/restore")) == (404, "not_found")


async def test_a_file_that_gets_content_is_in_the_tree_by_itself(space: Workspace) -> None:
    await space.make("notes/PLAN.md", file_id="x")
    await space.type("notes/plan.md", "hello", "bob")
    assert await space.listed("notes/plan.md") == "notes/plan (2).md"
    found = (await space.call("GET", "files?path=notes/plan (2).md"))["items"][0]
    bob = await space.http.get("/api/me", headers={"Authorization": f"Bearer {space.server.token('bob')}"})
    assert found["created_by"] == bob.json()["user_id"]


async def test_what_others_have_locked_is_not_moved_and_locks_follow_their_files(space: Workspace) -> None:
    await space.make("art/a.md", file_id="a", text="one ")
    lock = await space.lock("art/a.md", "bob")
    for method, path, body in (
        ("PATCH", "files/a", {"path": "b.md"}),
        ("DELETE", "files/a", None),
        ("PATCH", "folders/art", {"path": "b"}),
        ("DELETE", "folders/art", None),
    ):
        answer = await space.ask(method, path, body)
        assert code_of(answer) == (409, "locked")
        assert answer.json()["error"]["details"]["holder_name"] == "bob"
    await space.make("c.md", file_id="c")
    await space.lock("target", "bob")
    assert code_of(await space.ask("PATCH", "files/c", {"path": "target/c.md"})) == (409, "locked")
    assert code_of(await space.ask("POST", "files", {"path": "target/d.md"})) == (409, "locked")
    await space.call("PATCH", "files/a", {"path": "b.md"}, user="bob")
    assert await space.locked_path(lock) == "b.md"
    await space.call("PATCH", "files/c", {"path": "art/a.md"})  # where the lock is no more
    with anyio.fail_after(10):
        while (await space.ask("PATCH", "files/a", {"path": "x.md"})).status_code != 409:
            await anyio.sleep(0.01)
    answer = await space.ask("DELETE", "files/a")
    assert code_of(answer) == (409, "locked")


async def test_the_lock_of_a_path_holds_for_the_file_that_is_there(space: Workspace) -> None:
    await space.make("art/a.md", file_id="a", text="one ")
    lock = await space.lock("art", "bob")
    client = await space.server.client("alice", room=f"workspace:{space.number}/a")
    writer = Writer(next(_workspaces) + 10_000)
    writer.doc.apply_update(await client.sync())
    await client.send(update_message(writer.type("held ")))
    await client.sync()
    assert await space.text("a") == "one "
    headers = {"Authorization": f"Bearer {space.server.token('bob')}"}
    (await space.http.delete(f"/api/locks/{lock}", headers=headers)).raise_for_status()
    with anyio.fail_after(10):
        while "held" not in await space.text("a"):
            await anyio.sleep(0.01)


async def test_the_workspace_hears_of_what_is_done_at_once_in_one_event(space: Workspace) -> None:
    async with AsyncExitStack() as stack:
        from websockets.asyncio.client import connect

        url = f"{space.server.url}/events?token={space.server.token('bob')}"
        bob = JsonClient(await stack.enter_async_context(connect(url)))
        await bob.ask("join_room", room=f"workspace:{space.number}")
        await space.make("art/a.md", file_id="a")
        await space.make("art/b.md", file_id="b")
        await space.call("PATCH", "folders/art", {"path": "design"})
        heard = (await bob.heard_of("file_update", change="renamed"))["payload"]
        assert sorted((each["file_id"], each["old_path"], each["path"]) for each in heard["files"]) == [
            ("a", "art/a.md", "design/a.md"),
            ("b", "art/b.md", "design/b.md"),
        ]


async def test_readers_see_what_they_may_read_and_change_nothing(space: Workspace) -> None:
    await space.make("a.md", file_id="a")
    for method, path, body in (
        ("POST", "files", {"path": "b.md"}),
        ("PATCH", "files/a", {"path": "b.md"}),
        ("POST", "folders", {"path": "b"}),
        ("DELETE", "files/a", None),
    ):
        assert code_of(await space.ask(method, path, body, role=Role.VIEWER)) == (403, "forbidden")
    token = space.server.token("carol", Role.VIEWER, f"workspace:{space.number}")
    answer = await space.http.get(
        f"/api/workspaces/{space.number}/tree", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.json()["files"] == []


async def test_the_tree_and_the_trash_outlive_the_server(tmp_path: Path) -> None:
    for is_first in (True, False):
        async with run_server(tmp_path) as server:
            url = server.url.replace("ws:", "http:")
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
                space = Workspace(server, http, 1)
                if is_first:
                    for name in ("a", "b"):
                        await space.make(f"{name}.md", file_id=name, text=name)
                    await space.call("DELETE", "files/b")
                    await space.type("notes.md", "hello")
                assert await space.listed("notes.md") == "notes.md"
                assert await space.paths() == {"a": "a.md", "notes.md": "notes.md"}
                assert list(await space.trash()) == ["b"]
