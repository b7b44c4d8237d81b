"""Presence: the same over Yjs, JSON and HTTP, smooth, and for nobody who shares no room."""

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from auth.grants import Role
from tests.events.serving import EventsServer, JsonClient, run_events_server
from tests.server_process import ServerProcess
from tests.wire.client import WireClient, Writer
from tests.wire.conftest import RunningServer

CHAT, FILE = "chat:7", "workspace:1/notes.md"
GRACE_SECONDS = 1.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EventsServer]:
    async with run_events_server(tmp_path, presence_grace_seconds=GRACE_SECONDS) as running:
        yield running


class People:
    """Over HTTP, in anybody's name; tokens have no grants unless they are given."""

    def __init__(self, server: RunningServer, http: httpx.AsyncClient) -> None:
        self.server = server
        self._http = http

    def token(self, user: str, grants: dict[str, Role] | None = None) -> str:
        return self.server.tokens.mint(user, grants=grants, now_seconds=time.time(), ttl_seconds=60)

    async def ask(
        self,
        user: str,
        path: str,
        method: str = "GET",
        body: Any = None,
        grants: dict[str, Role] | None = None,
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token(user, grants)}"}
        return await self._http.request(method, f"/api/{path}", json=body, headers=headers)

    async def call(self, user: str, path: str, method: str = "GET", body: Any = None) -> Any:
        answer = await self.ask(user, path, method, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def id_of(self, user: str) -> int:
        return int((await self.call(user, "me"))["user_id"])

    async def of(self, viewer: str, user: str) -> Any:
        return await self.call(viewer, f"users/{await self.id_of(user)}/presence")

    async def project(self, owner: str, *members: str) -> int:
        project = (await self.call(owner, "projects", "POST", {"name": "Game"}))["id"]
        for member in members:
            path = f"projects/{project}/members/{await self.id_of(member)}"
            await self.call(owner, path, "PUT", {"role": "editor"})
        return int(project)


@pytest.fixture
async def people(server: EventsServer) -> AsyncIterator[People]:
    base_url = server.yjs.url.replace("ws://", "http://")
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, verify=False) as http:
        yield People(server.yjs, http)


async def until(holds: Callable[[Any], bool], ask: Callable[[], Any], seconds: float = 5) -> Any:
    """What is answered, once it is as it should be."""
    with anyio.fail_after(seconds):
        while not holds(answer := await ask()):
            await anyio.sleep(0.02)
    return answer


async def json_client(server: EventsServer, people: People, user: str) -> JsonClient:
    """With a token that has no grants."""
    return await server.open(f"?token={quote(people.token(user))}")


async def yjs_client(server: EventsServer, people: People, user: str, room: str) -> WireClient:
    return await server.yjs.client(user, room=room, token=people.token(user))


def shown(client: WireClient, client_id: int) -> list[bytes | None]:
    """The states that a client has seen of a client id."""
    return [entry.state for entry in client.awareness() if entry.client_id == client_id]


async def test_a_yjs_client_and_a_json_client_see_each_other_within_a_second(server: EventsServer) -> None:
    alice, yjs = await server.client("alice"), await server.yjs.client("bob", room=FILE)
    await yjs.sync()
    began = time.monotonic()
    await alice.ask("join_room", room=FILE)
    await yjs.until(lambda: len(yjs.awareness()) >= 1)
    assert json.loads(yjs.awareness()[-1].state or b"{}")["user"]["name"] == "alice"
    assert time.monotonic() - began < 1
    began = time.monotonic()
    await yjs.show(77, 1, b'{"cursor":{"anchor":1},"typing":true}')
    joined = await alice.heard_of("user_joined", name="bob")
    assert (joined["payload"]["cursor"], joined["payload"]["typing"]) == ({"anchor": 1}, True)
    assert time.monotonic() - began < 1
    began = time.monotonic()
    await yjs.show(77, 2, b'{"away":true}')
    await alice.heard_of("presence_update", state="away")
    assert time.monotonic() - began < 1


async def test_cursors_are_lines_for_programs_and_positions_for_editors(server: EventsServer) -> None:
    writer, alice = Writer(5), await server.client("alice")
    yjs = await server.yjs.client("bob", room=FILE)
    await yjs.edit(writer.type("one\n🦄two"))
    await alice.ask("join_room", room=FILE)
    at_t = {"type": None, "tname": "content", "item": {"client": 5, "clock": 6}, "assoc": 0}
    await yjs.show(77, 1, json.dumps({"cursor": {"anchor": at_t, "head": at_t}}).encode())
    place = {"line": 1, "column": 2, "code_points": 1}
    joined = await alice.heard_of("user_joined", name="bob")
    assert joined["payload"]["place"] == {"anchor": place, "head": place}
    await alice.ask("cursor", room=FILE, cursor={"line": 1, "code_points": 1})
    await yjs.until(lambda: any(b"selection" in (entry.state or b"") for entry in yjs.awareness()))
    shown = json.loads(yjs.awareness()[-1].state or b"{}")
    assert shown["cursor"] == shown["selection"] == {"anchor": at_t, "head": at_t}


async def test_a_page_that_is_loaded_again_does_not_leave(server: EventsServer) -> None:
    alice = await server.client("alice")
    await alice.ask("join_room", room=FILE)
    first = await server.yjs.client("bob", room=FILE)
    await first.show(77, 1, b"{}")
    await alice.heard_of("user_joined")
    await first.show(77, 1, None)  # as the page does when it is left
    await first.connection.close()
    again = await server.yjs.client("bob", room=FILE)
    await again.show(78, 1, b'{"away":true}')
    await alice.heard_of("presence_update", state="away")
    began = time.monotonic()
    await again.connection.close()
    await alice.heard_of("user_left")
    assert GRACE_SECONDS * 0.9 < time.monotonic() - began < GRACE_SECONDS + 1
    assert alice.kinds() == ["user_joined", "presence_update", "user_left"]


async def test_a_user_with_three_tabs_joins_once_and_leaves_once(server: EventsServer) -> None:
    alice = await server.client("alice")
    await alice.ask("join_room", room=FILE)
    tabs = [await server.yjs.client("bob", room=FILE) for _ in range(3)]
    for number, tab in enumerate(tabs):
        await tab.show(77 + number, 1, b"{}")
        await tab.sync()
    for tab in tabs:
        await tab.connection.close()
    await alice.heard_of("user_left")
    assert alice.kinds() == ["user_joined", "user_left"]


async def test_a_client_that_is_silent_for_too_long_is_gone_without_a_grace(tmp_path: Path) -> None:
    options = {"presence_grace_seconds": 60, "silence_close_seconds": 4}
    async with run_events_server(tmp_path, **options) as server:
        alice, bob = await server.client("alice"), await server.client("bob")
        await alice.ask("join_room", room=CHAT)
        await bob.ask("join_room", room=CHAT)
        bob.stop_reading()  # no pong comes from it any more
        await alice.heard_of("user_joined")
        await alice.heard_of("user_left")


async def test_over_http_one_sees_where_somebody_is_and_what_they_do(
    server: EventsServer, people: People
) -> None:
    bob = await yjs_client(server, people, "bob", FILE)
    await bob.show(77, 1, b'{"cursor":{"anchor":1},"activity":"reviewing"}')
    client = await json_client(server, people, "bob")
    await client.ask("join_room", room=CHAT)
    await client.ask("typing_start", room=CHAT)
    found = await until(lambda answer: len(answer["rooms"]) == 2, lambda: people.of("alice", "bob"))
    assert (found["name"], found["state"]) == ("bob", "online")
    rooms = {room["room"]: room for room in found["rooms"]}
    assert rooms[FILE] == {
        "room": FILE,
        "file": "notes.md",
        "state": "online",
        "doing": "editing",
        "typing": False,
        "activity": "reviewing",
        "cursor": {"anchor": 1},
    }
    assert (rooms[CHAT]["doing"], rooms[CHAT]["file"]) == ("typing", None)
    in_room = await people.call("alice", f"rooms/{FILE}/presence")
    assert in_room["room"] == FILE
    assert [(each["name"], each["doing"]) for each in in_room["items"]] == [("bob", "editing")]
    # Who may read one of the rooms is shown that one.
    answer = await people.ask("eve", f"users/{found['user_id']}/presence", grants={CHAT: Role.VIEWER})
    assert [room["room"] for room in answer.json()["rooms"]] == [CHAT]


async def test_last_seen_is_when_the_last_connection_was_closed(server: EventsServer, people: People) -> None:
    client = await json_client(server, people, "bob")
    await client.ask("join_room", room=CHAT)
    await until(lambda answer: answer["state"] == "online", lambda: people.of("alice", "bob"))
    closed_at = time.time()
    await client.connection.close()
    found = await until(lambda answer: answer["state"] == "offline", lambda: people.of("alice", "bob"))
    seen_at = datetime.fromisoformat(found["last_seen"]).timestamp()
    assert abs(seen_at - closed_at) < 0.5
    assert found["rooms"] == []


async def test_who_shares_no_room_with_somebody_is_told_that_there_is_no_such_user(
    server: EventsServer, people: People
) -> None:
    project = await people.project("bob", "alice")
    bob_id = await people.id_of("bob")
    await people.id_of("eve")
    client = await json_client(server, people, "bob")
    await client.ask("join_room", room=f"project:{project}")
    await client.ask("join_room", room="global")
    eve = await json_client(server, people, "eve")
    await eve.ask("join_room", room="global")
    assert (await people.of("alice", "bob"))["state"] == "online"
    theirs = await people.ask("eve", f"users/{bob_id}/presence")
    absent = await people.ask("eve", "users/987654/presence")
    assert theirs.status_code == absent.status_code == 404
    assert theirs.text.replace(str(bob_id), "…") == absent.text.replace("987654", "…")
    assert (await people.ask("eve", f"rooms/project:{project}/presence")).status_code == 404
    assert (await people.ask("eve", f"presence?project={project}")).status_code == 404
    assert (await people.ask("eve", "rooms/global/presence")).status_code == 404
    # Nor once they are offline.
    await client.ask("disconnect")
    await until(lambda answer: answer["state"] == "offline", lambda: people.of("alice", "bob"))
    assert (await people.ask("eve", f"users/{bob_id}/presence")).status_code == 404


async def test_people_of_a_project_come_in_pages(server: EventsServer, people: People) -> None:
    project = await people.project("alice", "bob", "carol")
    client = await json_client(server, people, "bob")
    await client.ask("join_room", room=f"project:{project}")
    first = await people.call("carol", f"presence?project={project}&limit=2")
    rest = await people.call("carol", f"presence?project={project}&after={first['next_after']}")
    found = {each["name"]: each["state"] for each in [*first["items"], *rest["items"]]}
    assert found == {"alice": "offline", "bob": "online", "carol": "offline"}
    assert len(first["items"]) == 2
    assert rest["next_after"] is None


async def test_who_is_invisible_is_offline_for_everybody_else(server: EventsServer, people: People) -> None:
    alice = await json_client(server, people, "alice")
    await alice.ask("join_room", room=FILE)
    peer = await yjs_client(server, people, "carol", FILE)
    await peer.sync()
    bob = await yjs_client(server, people, "bob", FILE)
    await bob.show(77, 1, b"{}")
    await alice.heard_of("user_joined", name="bob")
    await peer.until(lambda: len(shown(peer, 77)) == 1)
    bob_id = await people.id_of("bob")

    assert await people.call("bob", "users/me/visibility") == {"invisible": False}
    await people.call("bob", "users/me/visibility", "PUT", {"invisible": True})
    await alice.heard_of("user_left", user_id=bob_id)
    await peer.until(lambda: shown(peer, 77)[-1] is None)
    await bob.show(77, 2, b'{"cursor":1}')
    assert (await people.ask("alice", f"users/{bob_id}/presence")).json()["state"] == "offline"
    items = (await people.call("alice", f"rooms/{FILE}/presence"))["items"]
    assert bob_id not in [each["user_id"] for each in items]
    late = await yjs_client(server, people, "dave", FILE)
    await late.sync()
    await peer.sync()
    assert (shown(late, 77), len(shown(peer, 77))) == ([], 2)

    await people.call("bob", "users/me/visibility", "PUT", {"invisible": False})
    await alice.heard(lambda event: event["type"] == "user_joined" and event["payload"]["cursor"] == 1)
    await bob.show(77, 3, b"{}")
    await peer.until(lambda: shown(peer, 77)[-1] is not None)


async def test_in_global_one_is_told_of_those_with_whom_one_shares_a_room(
    server: EventsServer, people: People
) -> None:
    await people.project("bob", "alice", "dave")
    bob_id, dave_id = await people.id_of("bob"), await people.id_of("dave")
    dave = await json_client(server, people, "dave")
    await dave.ask("join_room", room="global")
    alice, eve = await json_client(server, people, "alice"), await json_client(server, people, "eve")
    await eve.ask("join_room", room="global")
    await alice.ask("ping")

    async def members() -> Any:
        return (await alice.ask("join_room", room="global"))["payload"]["members"]

    there = await until(bool, members)
    assert [(each["user_id"], each["state"]) for each in there] == [(dave_id, "online")]
    tabs = [await json_client(server, people, "bob") for _ in range(3)]
    await alice.heard_of("presence_update", room="global", user_id=bob_id, state="online")
    await tabs[0].ask("join_room", room=CHAT, away=True)
    await alice.heard_of("presence_update", room="global", user_id=bob_id, state="away")
    for tab in tabs:
        await tab.ask("disconnect")
    await alice.heard_of("presence_update", room="global", user_id=bob_id, state="offline")
    await dave.heard_of("presence_update", user_id=bob_id, state="offline")
    of_bob = [event["payload"]["state"] for event in alice.received if event["sender_id"] == bob_id]
    assert of_bob == ["online", "away", "offline"]
    await eve.settle()
    assert eve.kinds() == []


async def test_in_global_one_is_told_of_whom_one_meets_and_no_more_once_rights_are_gone(
    server: EventsServer, people: People
) -> None:
    alice, bob = await json_client(server, people, "alice"), await json_client(server, people, "bob")
    bob_id = await people.id_of("bob")
    assert (await alice.ask("join_room", room="global"))["payload"]["members"] == []
    await alice.ask("join_room", room=CHAT)
    await bob.ask("join_room", room=CHAT)  # of no project
    await alice.heard_of("presence_update", room="global", user_id=bob_id, state="online")
    await bob.ask("disconnect")
    await alice.heard_of("presence_update", room="global", user_id=bob_id, state="offline")

    project = await people.project("alice", "bob")
    again = await json_client(server, people, "bob")
    alice.received.clear()
    await alice.heard_of("presence_update", room="global", user_id=bob_id, state="online")
    await people.call("alice", f"projects/{project}/members/{bob_id}", "DELETE")
    await alice.heard_of("presence_update", room="global", user_id=bob_id, state="offline")
    await again.settle()


async def test_in_global_awareness_is_passed_on_to_nobody(server: EventsServer, people: People) -> None:
    alice = await yjs_client(server, people, "alice", "global")
    bob = await yjs_client(server, people, "bob", "global")
    await alice.show(77, 1, b"{}")
    await bob.show(78, 1, b"{}")
    await alice.sync()
    await bob.send(b"\x03")
    await bob.sync()
    late = await yjs_client(server, people, "carol", "global")
    await late.sync()
    assert alice.awareness() == bob.awareness() == late.awareness() == []


async def test_after_a_crash_of_the_server_nobody_stays_online(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    await server.start()
    token = await server.token("bob")
    try:
        async with connect(f"{server.websocket_url}/{quote(FILE)}?token={quote(token)}"):
            with anyio.fail_after(15):
                while stored(tmp_path) != (1, True):
                    await anyio.sleep(0.1)
            await server.kill()
        assert stored(tmp_path) == (1, True)
        await server.start()
        assert stored(tmp_path) == (0, True)
    finally:
        await server.kill()


def stored(data_dir: Path) -> tuple[int, bool]:
    """(is_online, whether last_seen is known) of the only user there is."""
    with closing(sqlite3.connect(data_dir / "costudio.db")) as database:
        rows = database.execute("SELECT is_online, last_seen IS NOT NULL FROM users").fetchall()
    return rows[0][0] if rows else 0, bool(rows and rows[0][1])
