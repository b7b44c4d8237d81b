"""What may be done changes while somebody is connected."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from httpx import AsyncClient

from auth.grants import Role
from server.protocol.yjs_messages import sync_step_1, sync_step_2, update_message
from tests.wire.client import WireClient, Writer
from tests.wire.conftest import RunningServer, run_server

UNAUTHORIZED, FORBIDDEN, TOKEN_EXPIRED, TOO_BIG, TRY_AGAIN_LATER = 4401, 4403, 4501, 1009, 1013


class Team:
    """A project of Alice's with one workspace, and Bob."""

    def __init__(self, server: RunningServer, http: AsyncClient) -> None:
        self.server = server
        self.http = http

    @classmethod
    async def found(cls, server: RunningServer, http: AsyncClient) -> "Team":
        team = cls(server, http)
        team.project = (await team.call("alice", "POST", "/api/projects", {"name": "Game"}))["id"]
        path = f"/api/projects/{team.project}/workspaces"
        workspace = (await team.call("alice", "POST", path, {"name": "Main"}))["id"]
        team.workspace, team.room = f"/api/workspaces/{workspace}", f"workspace:{workspace}/a.md"
        team.bob = (await team.call("bob", "GET", "/api/me"))["user_id"]
        return team

    project: int
    workspace: str
    room: str
    bob: int

    async def call(self, user: str, method: str, path: str, body: object = None, **claims: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token(user, **claims)}"}
        answer = await self.http.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def token(self, user: str, **claims: Any) -> str:
        """Of somebody whose memberships decide."""
        options: dict[str, Any] = {"grants": None, "now_seconds": time.time(), "ttl_seconds": 60}
        return self.server.tokens.mint(user, **(options | claims))

    async def make_bob(self, role: str) -> None:
        await self.call("alice", "PUT", f"/api/projects/{self.project}/members/{self.bob}", {"role": role})

    async def client(self, user: str, **claims: Any) -> WireClient:
        return await self.server.client(room=self.room, token=self.token(user, **claims))


@asynccontextmanager
async def team_of(server: RunningServer) -> AsyncIterator[Team]:
    async with AsyncClient(base_url=server.url.replace("ws:", "http:")) as http:
        yield await Team.found(server, http)


@pytest.fixture
async def team(server: RunningServer) -> AsyncIterator[Team]:
    async with team_of(server) as team:
        yield team


async def test_memberships_decide_for_a_token_without_grants(team: Team) -> None:
    assert await (await team.client("bob")).close_code() == FORBIDDEN
    await team.make_bob("viewer")
    alice, bob = await team.client("alice"), await team.client("bob")
    await alice.edit(Writer(1).type("hello"))
    assert await bob.text() == "hello"


async def test_a_downgrade_counts_for_the_next_frame_and_an_upgrade_asks_for_what_was_refused(
    team: Team,
) -> None:
    await team.make_bob("editor")
    alice, bob, writer = await team.client("alice"), await team.client("bob"), Writer(7)
    first = writer.type("a")
    await bob.edit(first)
    await team.make_bob("viewer")
    await bob.send(update_message(refused := writer.type("b")))
    await bob.until(lambda: len(bob.denials()) == 1)
    await alice.edit(seen := Writer(1).type("c"))
    await bob.until(lambda: bob.heard(seen))
    assert "b" not in await alice.text()
    questions = len(bob.questions())
    await team.make_bob("editor")
    await bob.until(lambda: len(bob.questions()) > questions)
    await bob.send(sync_step_2(writer.doc.get_update()))
    await alice.until(lambda: alice.heard(refused))


async def test_what_was_planted_before_a_downgrade_does_not_come_up_after_it(team: Team) -> None:
    await team.make_bob("editor")
    alice, bob, writer = await team.client("alice"), await team.client("bob"), Writer(777)
    first = writer.type("abc")
    planter = Writer(666)
    planter.doc.apply_update(first)
    await bob.send(update_message(planter.type(" planted")))  # builds on what nobody has sent yet
    await bob.until(lambda: len(bob.questions()) == 2)
    await team.make_bob("viewer")
    await alice.edit(first)
    await bob.sync()
    assert await alice.text() == "abc"


async def test_who_is_removed_is_sent_away_within_a_second(team: Team) -> None:
    await team.make_bob("editor")
    bob = await team.client("bob")
    await bob.sync()
    await team.call("alice", "DELETE", f"/api/projects/{team.project}/members/{team.bob}")
    with anyio.fail_after(1):
        assert await bob.close_code() == FORBIDDEN


async def test_a_deleted_workspace_is_left_by_everybody(team: Team) -> None:
    alice = await team.client("alice")
    await alice.sync()
    await team.call("alice", "DELETE", team.workspace)
    with anyio.fail_after(1):
        assert await alice.close_code() == FORBIDDEN


async def test_a_revoked_user_is_sent_away_and_stays_out_until_there_is_a_new_token(team: Team) -> None:
    await team.make_bob("editor")
    old = team.token("bob")
    bob, alice = await team.server.client(room=team.room, token=old), await team.client("alice")
    await bob.sync()
    await team.call("bob", "POST", "/api/revocations", {"user_id": team.bob})
    with anyio.fail_after(1):
        assert await bob.close_code() == UNAUTHORIZED
    assert await (await team.server.client(room=team.room, token=old)).close_code() == UNAUTHORIZED
    await (await team.client("bob")).sync()
    await alice.sync()


async def test_a_revoked_token_ends_what_it_opened_alone(team: Team) -> None:
    await team.make_bob("editor")
    lost, kept = await team.client("bob", token_id="lost"), await team.client("bob", token_id="kept")
    await lost.sync()
    await team.call("bob", "POST", "/api/revocations", {"token_id": "lost"}, token_id="lost")
    with anyio.fail_after(1):
        assert await lost.close_code() == UNAUTHORIZED
    await kept.sync()


async def test_an_open_connection_ends_with_its_token_and_the_old_token_is_refused(tmp_path: Path) -> None:
    async with run_server(tmp_path, jwt_leeway_seconds=0) as server:
        token = server.tokens.mint(
            "alice", grants={"*": Role.EDITOR}, now_seconds=time.time(), ttl_seconds=1.2
        )
        ends_at = json.loads(_claims(token))["exp"]
        alice = await server.client(token=token)
        await alice.sync()
        assert await alice.close_code() == TOKEN_EXPIRED
        assert 0 <= time.time() - ends_at < 1
        assert await (await server.client(token=token)).close_code() == UNAUTHORIZED


def _claims(token: str) -> bytes:
    import base64

    payload = token.split(".")[1]
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))


async def test_who_sends_too_much_is_slowed_down_and_loses_nothing(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_messages_per_second_per_connection=20) as server:
        alice, bob, writer = await server.client("alice"), await server.client("bob"), Writer(1)
        began = time.monotonic()
        updates = [writer.type("x") for _ in range(60)]
        for update in updates:
            await alice.send(update_message(update))
        await bob.until(lambda: all(map(bob.heard, updates)))
        assert time.monotonic() - began > 0.8  # twenty more than two seconds' worth
        assert not alice.denials()


async def test_messages_count_however_many_a_frame_holds(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_messages_per_second_per_connection=10) as server:
        alice, began = await server.client("alice"), time.monotonic()
        for _ in range(2):
            await alice.send(sync_step_1(b"\0") * 20)
        await alice.edit(Writer(1).type("x"))
        assert time.monotonic() - began > 1.5  # forty and one, where twenty are two seconds' worth


async def test_who_has_to_be_slowed_down_all_the_time_is_told_and_then_closed(tmp_path: Path) -> None:
    async with run_server(
        tmp_path, max_messages_per_second_per_connection=1, throttled_close_seconds=8
    ) as server:
        alice = await server.client("alice")
        for _ in range(100):
            await alice.send(sync_step_1(b"\0"))
        assert await alice.close_code() == TRY_AGAIN_LATER
        assert "max_messages_per_second_per_connection" in alice.denials()[0]


async def test_a_viewer_who_goes_on_writing_is_slowed_down_but_stays(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_messages_per_second_per_connection=1000) as server:
        await server.client("alice")
        viewer, writer = await server.client("eve", role=Role.VIEWER), Writer(1)
        began = time.monotonic()
        for _ in range(30):
            await viewer.send(update_message(writer.type("x")))
        await viewer.until(lambda: len(viewer.denials()) == 30)
        assert time.monotonic() - began > 0.8
        assert await viewer.text() == ""


async def test_a_document_that_is_full_takes_deletions_only(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_document_bytes=1000) as server:
        alice, writer = await server.client("alice"), Writer(1)
        await alice.edit(writer.type("x" * 1100))
        await alice.send(update_message(writer.type("y")))
        await alice.until(lambda: len(alice.denials()) == 1)
        assert "max_document_bytes" in alice.denials()[0]
        eraser = Writer(2)
        eraser.doc.apply_update(await alice.sync())
        await alice.edit(eraser.erase(0, 1000))
        assert await alice.text() == "x" * 100


async def test_an_update_of_too_many_structs_is_refused_by_name(tmp_path: Path) -> None:
    async with run_server(tmp_path, max_update_structs=10) as server:
        alice, writer = await server.client("alice"), Writer(1)
        for _ in range(11):
            writer.content.insert(0, "x")  # each is a struct of its own
        await alice.send(sync_step_2(writer.doc.get_update()))
        assert await alice.close_code() == TOO_BIG
        assert "max_update_structs" in alice.denials()[0]
