"""Agents: what they write is marked with their run, listed, and held to their token's budget, over every surface."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import connect

from auth.grants import Role
from auth.principals import Agent, Budget
from server.protocol.yjs_messages import sync_step_2, update_message
from server.rooms.names import parse_room_name
from tests.events.serving import JsonClient
from tests.files.file_client import file_client
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer, run_server

WORKSPACE, _, PATH = ROOM.partition("/")


def token(
    server: RunningServer,
    run: str = "r1",
    budget: Budget | None = None,
    *,
    user: str = "bob",
    role: Role = Role.EDITOR,
) -> str:
    agent = Agent("fixer", run, "alice", budget)
    return server.tokens.mint(user, grants={"*": role}, now_seconds=time.time(), ttl_seconds=60, agent=agent)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def ask(server: RunningServer, bearer: str, method: str, path: str, **options: Any) -> httpx.Response:
    url = server.url.replace("ws://", "http://")
    headers = {"Authorization": f"Bearer {bearer}"} | options.pop("headers", {})
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        return await http.request(method, path, headers=headers, **options)


async def runs_of(server: RunningServer, query: str = "") -> dict[str, Any]:
    response = await ask(server, server.token(), "GET", f"/api/documents/{ROOM}/runs{query}")
    response.raise_for_status()
    return dict(response.json())


async def used(server: RunningServer) -> dict[str, tuple[int, int]]:
    """Run -> its edits and bytes in the document."""
    found = (await runs_of(server))["runs"]
    return {each["run"]["run"]: (each["edits"], each["size_bytes"]) for each in found}


async def test_edits_over_every_surface_are_of_the_run_and_those_of_its_user_are_not(
    server: RunningServer, stack: AsyncExitStack
) -> None:
    writer, hand = Writer(1001), Writer(1002)
    typed = writer.type("one\n")
    agent = await server.client(token=token(server))
    await agent.edit(typed)
    bob = await server.client("bob")
    hand.doc.apply_update(await bob.sync())
    await bob.edit(hand.type("two\n"))
    async with file_client(server.url, token(server), PATH) as file:
        _, etag = await file.read()
        etag = (await file.replace(etag, "eins\ntwo\n"))["etag"]
    events = await stack.enter_async_context(connect(f"{server.url}/events?token={token(server)}"))
    client = JsonClient(events)
    await client.ask("join_room", room=WORKSPACE)
    answer = await client.ask(
        "file_update", room=WORKSPACE, path=PATH, version=etag.strip('"'), text="eins\nzwei\n"
    )
    assert answer["type"] == "ack", answer
    body = {"at": "1"}
    restored = await ask(server, token(server), "POST", f"/api/documents/{ROOM}/restore", json=body)
    assert restored.json() == {"changed": True}

    [entry] = (await runs_of(server))["runs"]
    assert entry["edits"] == 4
    assert entry["size_bytes"] > len(typed)
    assert entry["state"] == "open"
    shown = {name: entry["run"][name] for name in ("run", "agent", "on_behalf_of", "user_name")}
    assert shown == {"run": "r1", "agent": "fixer", "on_behalf_of": "alice", "user_name": "bob"}
    name = parse_room_name(ROOM, plain_names_workspace_id=None)
    changes = (await server.app.state.history.changes(name)).all
    assert [each.run_id is None for each in changes] == [False, True, False, False, False]


async def test_a_run_is_told_over_all_documents_to_those_who_may_write_there(server: RunningServer) -> None:
    for room in ("workspace:1/a.md", "workspace:2/b.md"):
        await (await server.client(room=room, token=token(server))).edit(Writer(7).type("x"))
    listed = await ask(server, server.token(), "GET", "/api/documents/workspace:1/a.md/runs")
    path = f"/api/runs/{listed.json()['runs'][0]['run']['id']}"
    whole = (await ask(server, server.token(), "GET", path)).json()
    assert [each["room"] for each in whole["documents"]] == ["workspace:1/a.md", "workspace:2/b.md"]
    first = (await ask(server, server.token(), "GET", f"{path}?limit=1")).json()
    assert (len(first["documents"]), first["after"]) == (1, "workspace:1/a.md")
    rest = (await ask(server, server.token(), "GET", f"{path}?limit=1&after={first['after']}")).json()
    assert (rest["documents"], rest["after"]) == (whole["documents"][1:], None)
    partly = (await ask(server, server.token("eve", room="workspace:2/*"), "GET", path)).json()
    assert [each["room"] for each in partly["documents"]] == ["workspace:2/b.md"]
    for room, role in (("workspace:3/*", Role.EDITOR), ("*", Role.VIEWER)):
        stranger = await ask(server, server.token("eve", role, room=room), "GET", path)
        assert stranger.status_code == 404
    assert (await ask(server, server.token(), "GET", "/api/runs/999")).status_code == 404


async def test_runs_of_a_document_come_newest_first_in_pages(server: RunningServer) -> None:
    client_id = 1
    for run in ("r1", "r2", "r3"):
        client_id += 1
        await (await server.client(token=token(server, run))).edit(Writer(client_id).type(run))
    first = await runs_of(server, "?limit=2")
    assert [each["run"]["run"] for each in first["runs"]] == ["r3", "r2"]
    rest = await runs_of(server, f"?limit=2&before={first['before']}")
    assert ([each["run"]["run"] for each in rest["runs"]], rest["before"]) == (["r1"], None)


async def test_a_person_keeps_a_run_no_agent_does_and_more_edits_open_it_again(server: RunningServer) -> None:
    writer, agent = Writer(1001), await server.client(token=token(server))
    await agent.edit(writer.type("one"))
    run_id = (await runs_of(server))["runs"][0]["run"]["id"]
    path = f"/api/documents/{ROOM}/runs/{run_id}/keep"
    assert (await ask(server, token(server), "POST", path)).status_code == 403
    kept = (await ask(server, server.token(), "POST", path)).json()
    assert kept["state"] == "kept"
    assert kept["decided_by"] is not None
    await agent.edit(writer.type("two"))
    [entry] = (await runs_of(server))["runs"]
    assert (entry["state"], entry["decided_by"]) == ("open", None)
    unknown = await ask(server, server.token(), "POST", f"/api/documents/{ROOM}/runs/999/keep")
    assert unknown.status_code == 404


async def test_a_run_is_reverted_and_what_people_wrote_meanwhile_stays(server: RunningServer) -> None:
    writer, hand = Writer(1001), Writer(1002)
    alice, agent = await server.client(), await server.client(token=token(server))
    typed = hand.type("one two ")
    await alice.edit(typed)
    writer.doc.apply_update(typed)
    for update in (writer.erase(0, 4), writer.type("three ")):
        await agent.edit(update)
        hand.doc.apply_update(update)
    await alice.edit(hand.type("four"))
    run_id = (await runs_of(server))["runs"][0]["run"]["id"]
    path = f"/api/documents/{ROOM}/runs/{run_id}/revert"
    assert (await ask(server, token(server), "POST", path)).status_code == 403
    reverted = (await ask(server, server.token(), "POST", path)).json()
    assert reverted["state"] == "reverted"
    assert await alice.text() == "one two four"
    assert (await ask(server, server.token(), "POST", path)).json()["state"] == "reverted"
    assert await alice.text() == "one two four"


async def test_an_update_beyond_the_budget_is_denied_with_the_limit_and_the_agent_goes_on_reading(
    server: RunningServer,
) -> None:
    bearer = token(server, budget=Budget(edits=1))
    writer, agent = Writer(1001), await server.client(token=bearer)
    await agent.edit(writer.type("one "))
    beyond = writer.type("two ")
    await agent.send(update_message(beyond))
    await agent.until(lambda: bool(agent.denials()))
    assert agent.denials() == ["budget_exceeded: run r1 may write 1 edits"]
    alice, hand = await server.client(), Writer(1002)
    hand.doc.apply_update(await alice.sync())
    typed = hand.type("alice")
    await alice.edit(typed)
    await agent.until(lambda: agent.heard(typed))
    assert await alice.text() == "one alice"
    again = await server.client(token=bearer)
    await again.send(sync_step_2(b"\0\0"))
    assert await again.text() == "one alice"
    assert again.denials() == [], "to bring nothing takes no budget"


async def test_connections_of_one_run_share_its_budget_and_those_of_others_have_their_own(
    server: RunningServer,
) -> None:
    budget = Budget(bytes=60)
    one, two = [await server.client(token=token(server, budget=budget)) for _ in range(2)]
    await one.edit(Writer(1001).type("x" * 30))
    await two.send(update_message(Writer(1002).type("y" * 30)))
    await two.until(lambda: bool(two.denials()))
    assert two.denials() == ["budget_exceeded: run r1 may write 60 bytes"]
    for bearer in (token(server, "r2", budget), token(server, "r1", budget, user="carol")):
        other = await server.client(token=bearer)
        await other.edit(Writer(1003 + len(await used(server))).type("z" * 30))


async def test_http_events_and_chats_say_which_limit_is_reached(
    server: RunningServer, stack: AsyncExitStack
) -> None:
    bearer = token(server, budget=Budget(documents=1), role=Role.ADMIN)
    await (await server.client(token=bearer)).edit(Writer(1001).type("one"))
    for method, path, options in (
        ("PUT", "/api/workspaces/1/files/other.md/content", {"headers": {"If-None-Match": "*"}}),
        ("PUT", "/api/copies/workspace:1/third.md", {}),
    ):
        content = b"x" if "content" in path else Writer(9).type("x")
        response = await ask(server, bearer, method, path, content=content, **options)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (403, "budget_exceeded"), response.text
        assert error["details"] == {"limit": "documents", "allowed": 1}
    events = await stack.enter_async_context(connect(f"{server.url}/events?token={bearer}"))
    client = JsonClient(events)
    await client.ask("join_room", room="chat:1")
    said = await client.ask("message", room="chat:1", action="send", id=str(uuid4()), body="hello")
    assert (said["type"], said["payload"]["code"]) == ("error", "budget_exceeded"), said
    assert await used(server) == {"r1": (1, len(Writer(1001).type("one")))}


async def test_people_see_in_a_chat_that_an_agent_has_written(
    server: RunningServer, stack: AsyncExitStack
) -> None:
    alice, agent = [
        JsonClient(await stack.enter_async_context(connect(f"{server.url}/events?token={each}")))
        for each in (server.token("alice"), token(server))
    ]
    for client in (alice, agent):
        await client.ask("join_room", room="chat:1")
    said = await agent.ask("message", room="chat:1", action="send", id=str(uuid4()), body="hello")
    assert said["type"] == "ack", said
    heard = await alice.heard_of("message")
    assert heard["payload"]["agent"] == {"name": "fixer", "run": "r1"}
    kept = await ask(server, server.token("alice"), "GET", "/api/chats/1/messages")
    assert [each["agent"] for each in kept.json()["items"]] == [{"name": "fixer", "run": "r1"}]


async def test_a_restart_does_not_reset_a_budget(tmp_path: Any) -> None:
    budget = Budget(edits=1)
    async with run_server(tmp_path) as server:
        await (await server.client(token=token(server, budget=budget))).edit(Writer(1001).type("one"))
    async with run_server(tmp_path) as server:
        agent = await server.client(token=token(server, budget=budget))
        await agent.send(update_message(Writer(1002).type("two")))
        await agent.until(lambda: bool(agent.denials()))
        more = await server.client(token=token(server, budget=Budget(edits=2)))
        await more.edit(Writer(1002).type("two"))
