"""The history of documents over HTTP, as editors, plugins and the studio ask for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest
from pycrdt import Doc, Map, Text

from tests.wire.client import WireClient, Writer
from tests.wire.conftest import ROOM, RunningServer, run_server

COMPACTED_AT_ONCE: dict[str, Any] = {"compaction_max_updates": 2}


class Past:
    """A document's history, asked for by somebody."""

    def __init__(self, http: httpx.AsyncClient, room: str = ROOM) -> None:
        self._http, self._path = http, f"/api/documents/{quote(room)}"

    async def ask(self, method: str, what: str, status: int = 200, **options: Any) -> httpx.Response:
        answer = await self._http.request(method, f"{self._path}/{what}", **options)
        assert answer.status_code == status, answer.text
        return answer

    async def json(self, what: str, **params: Any) -> Any:
        return (await self.ask("GET", what, params=params)).json()

    async def post(self, what: str, status: int = 200, **body: Any) -> Any:
        return (await self.ask("POST", what, status, json=body)).json()

    async def text(self, at: object) -> str:
        return (await self.ask("GET", "history", params={"at": str(at)})).text

    async def entries(self) -> list[dict[str, Any]]:
        return list((await self.json("history"))["items"])


@asynccontextmanager
async def past_of(server: RunningServer, user: str = "carol", room: str = ROOM) -> AsyncIterator[Past]:
    headers = {"Authorization": f"Bearer {server.token(user)}"}
    url = server.url.replace("ws:", "http:")
    async with httpx.AsyncClient(base_url=url, headers=headers, verify=False, timeout=30) as http:
        yield Past(http, room)


async def saved(client: WireClient, update: bytes) -> None:
    await client.edit(update)
    with anyio.fail_after(10):
        await client.until(lambda: client.heard(update))


class Typing:
    """Somebody who types in a replica of their own, and reads what the others type."""

    def __init__(self, client: WireClient, client_id: int) -> None:
        self.client = client
        self.writer = Writer(client_id)

    async def type(self, text: str) -> bytes:
        update = self.writer.type(text)
        await saved(self.client, update)
        return update

    async def erase(self, start: int, length: int) -> bytes:
        update = self.writer.erase(start, length)
        await saved(self.client, update)
        return update

    def read(self, update: bytes) -> None:
        self.writer.doc.apply_update(update)


async def two_authors(server: RunningServer) -> tuple[Typing, Typing]:
    """Alice writes "one two", Bob erases "two" and writes "three"."""
    alice, bob = Typing(await server.client("alice"), 7), Typing(await server.client("bob"), 8)
    bob.read(await alice.type("one "))
    bob.read(await alice.type("two"))
    alice.read(await bob.erase(4, 3))
    alice.read(await bob.type("three"))
    return alice, bob


async def compacted(server: RunningServer) -> None:
    headers = {"Authorization": f"Bearer {server.token('root')}"}
    async with httpx.AsyncClient(base_url=server.url.replace("ws:", "http:"), verify=False) as http:
        with anyio.fail_after(20):
            while True:
                info = (await http.get(f"/api/documents/{ROOM}", headers=headers)).json()
                if info["compacted_seq"] == info["last_seq"]:
                    return
                await anyio.sleep(0.02)


@pytest.mark.parametrize("settings", [{}, COMPACTED_AT_ONCE], ids=["logged", "compacted"])
async def test_every_moment_can_be_read(tmp_path: Any, settings: dict[str, Any]) -> None:
    async with run_server(tmp_path, **settings) as server, past_of(server) as past:
        await two_authors(server)
        if settings:
            await compacted(server)
        assert [await past.text(seq) for seq in range(5)] == ["", "one ", "one two", "one ", "one three"]
        entries = await past.entries()
        assert [(entry["seq"], entry["changes"]) for entry in entries] == [(4, 2), (2, 2)]
        assert entries[0]["user_id"] != entries[1]["user_id"]
        assert await past.text(entries[1]["ended_at"]) == "one two"
        update = (await past.ask("GET", "history", params={"at": "2", "format": "update"})).content
        document: Doc[Text] = Doc()
        document.apply_update(update)
        assert str(document.get("content", type=Text)) == "one two"
        pages = [(await past.json("history", limit=1)), (await past.json("history", limit=1, before=3))]
        assert [page["items"][0]["seq"] for page in pages] == [4, 2]
        assert [page["next_before"] for page in pages] == [3, None]


async def test_blame_and_differences_name_who_wrote_what(server: RunningServer) -> None:
    async with past_of(server) as past:
        await two_authors(server)
        alice, bob = [entry["user_id"] for entry in reversed(await past.entries())]
        blamed = await past.json("blame")
        assert blamed["text"] == "one three"
        assert [(each["start"], each["end"], each["user_id"]) for each in blamed["ranges"]] == [
            (0, 4, alice),
            (4, 9, bob),
        ]
        parts = (await past.json("diff", **{"from": 2}))["parts"]
        assert sorted((part["side"], part["text"], part["user_id"]) for part in parts) == [
            ("added", "three", bob),
            ("both", "one ", None),
            ("removed", "two", bob),
        ]


async def test_one_users_edits_are_taken_back_and_the_others_stay(server: RunningServer) -> None:
    async with past_of(server) as past:
        alice, bob = await two_authors(server)
        bob.read(await alice.type(" four"))
        bob_id = (await past.entries())[1]["user_id"]
        assert await past.post("revert", user_id=bob_id, since="0") == {"changed": True}
        assert await alice.client.text() == "one two four"
        assert await past.post("revert", user_id=bob_id, since="0") == {"changed": False}
        entry = (await past.entries())[0]
        assert entry["user_id"] not in (bob_id, None)  # it is Carol's edit


async def test_a_restored_moment_is_an_edit_that_open_editors_merge(server: RunningServer) -> None:
    async with past_of(server) as past:
        alice, _ = await two_authors(server)
        assert await past.post("restore", at="2") == {"changed": True}
        assert await alice.client.text() == "one two"
        assert await past.post("restore", at="2") == {"changed": False}
        update = alice.writer.type("!")  # without having seen the restoration
        await saved(alice.client, update)
        assert "!" in await alice.client.text()
        assert await past.text("4") == "one three"


async def test_other_types_are_restored_too(server: RunningServer) -> None:
    document: Doc[Any] = Doc(client_id=7)
    updates: list[bytes] = []
    subscription = document.observe(lambda event: updates.append(event.update))
    root = document.get("settings", type=Map)
    root["theme"] = Map({"name": "dark", "tags": Text("a")})
    del root["theme"]
    root["theme"] = "light"
    document.unobserve(subscription)
    client = await server.client("alice")
    for update in updates:
        await saved(client, update)
    async with past_of(server) as past:
        await past.post("restore", at="1")
        answer = await past.ask("GET", "history", params={"at": "99", "format": "update"})
    copy: Doc[Any] = Doc()
    copy.apply_update(answer.content)
    assert copy.get("settings", type=Map).to_py() == {"theme": {"name": "dark", "tags": "a"}}


async def test_moments_can_be_named(server: RunningServer) -> None:
    async with past_of(server) as past:
        await two_authors(server)
        draft = await past.post("versions", 201, name=" Draft ", at="2")
        assert (draft["name"], draft["seq"]) == ("Draft", 2)
        now = await past.post("versions", 201, name="Now")
        assert [each["id"] for each in await past.json("versions")] == [now["id"], draft["id"]]
        refused = await past.post("versions", 409, name="Draft")
        assert refused["error"]["code"] == "name_taken"
        renamed = await past.ask("PATCH", f"versions/{draft['id']}", json={"name": "First"})
        assert renamed.json()["name"] == "First"
        await past.ask("DELETE", f"versions/{draft['id']}", 204)
        await past.ask("DELETE", f"versions/{draft['id']}", 404)
        assert [each["name"] for each in await past.json("versions")] == ["Now"]


@pytest.mark.parametrize("at", ["yesterday", "2026-05-04T09:30:00", "-1", "1.5", ""])
async def test_what_is_no_moment_is_named(server: RunningServer, at: str) -> None:
    async with past_of(server) as past:
        await two_authors(server)
        refused = await past.ask("GET", "history", 422, params={"at": at})
        assert refused.json()["error"]["code"] == "invalid_parameter"


async def test_chats_and_locked_files_are_not_turned_back(server: RunningServer) -> None:
    async with past_of(server) as past, past_of(server, room="chat:1") as chat:
        await two_authors(server)
        refused = await chat.ask("POST", "restore", 409, json={"at": "0"})
        assert refused.json()["error"]["code"] == "kept_by_rules"
        headers = {"Authorization": f"Bearer {server.token('alice')}"}
        lock = {"workspace_id": 1, "path": "notes.md", "kind": "lease", "ttl_seconds": 60}
        assert (await past._http.post("/api/locks", json=lock, headers=headers)).status_code == 201
        for what, body in (("restore", {"at": "0"}), ("revert", {"user_id": 1, "since": "0"})):
            refused = await past.ask("POST", what, 409, json=body)
            assert refused.json()["error"]["code"] == "locked"
