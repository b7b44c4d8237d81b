"""One-use tickets: what stands in a URL is worth nothing a moment later."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from auth.grants import Role
from server.api_errors import ErrorCode
from server.protocol.yjs_messages import update_message
from tests.wire.client import WireClient, Writer
from tests.wire.conftest import ROOM, RunningServer, run_server

UNAUTHORIZED = 4401


async def ask(server: RunningServer, token: str, room: str = ROOM) -> httpx.Response:
    base_url = server.url.replace("ws://", "http://")
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, verify=False) as http:
        headers = {"Authorization": f"Bearer {token}"}
        return await http.post("/api/tickets", json={"room": room}, headers=headers)


async def ticket_of(server: RunningServer, token: str, room: str = ROOM) -> str:
    response = await ask(server, token, room)
    assert response.status_code == 201, response.text
    return str(response.json()["ticket"])


@asynccontextmanager
async def with_ticket(server: RunningServer, ticket: str, room: str = ROOM) -> AsyncIterator[WireClient]:
    url = f"{server.url}/ws/{quote(room)}?ticket={quote(ticket)}"
    async with connect(url, compression=None) as connection:
        yield WireClient(connection)


async def test_a_ticket_opens_one_connection_with_the_rights_of_its_token(server: RunningServer) -> None:
    await (await server.client("alice")).edit(Writer(1).type("hello"))
    ticket = await ticket_of(server, server.token("bob", Role.VIEWER))
    async with with_ticket(server, ticket) as bob:
        assert await bob.text() == "hello"
        await bob.send(update_message(Writer(2).type("!")))
        await bob.until(lambda: bool(bob.denials()))
        async with with_ticket(server, ticket) as again:
            assert await again.close_code() == UNAUTHORIZED
        assert await bob.text() == "hello"


async def test_of_many_who_bring_the_same_ticket_at_once_one_gets_in(server: RunningServer) -> None:
    await (await server.client("alice")).edit(Writer(1).type("hello"))
    ticket = await ticket_of(server, server.token("bob"))
    outcomes: list[bool] = []

    async def try_it() -> None:
        async with with_ticket(server, ticket) as client:
            await client.until(lambda: bool(client.questions() or client.denials()))
            outcomes.append(not client.denials())

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(try_it)
    assert sorted(outcomes) == [False] * 19 + [True]


async def test_a_ticket_for_another_room_is_refused_and_spent(server: RunningServer) -> None:
    ticket = await ticket_of(server, server.token())
    for room in ("workspace:1/other.md", ROOM):
        async with with_ticket(server, ticket, room) as client:
            assert await client.close_code() == UNAUTHORIZED
            assert "ticket" in client.denials()[0]


async def test_a_ticket_takes_a_role_in_its_room_and_is_kept_by_no_cache(server: RunningServer) -> None:
    token = server.token("bob", Role.VIEWER, room=ROOM)
    response = await ask(server, token)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json()["expires_in"] == 30
    assert len(response.json()["ticket"]) >= 43
    for room in ("workspace:1/other.md", "nonsense", "chat:1"):
        assert (await ask(server, token, room)).status_code == ErrorCode.NOT_FOUND.status
    for room in ("", "x" * 2000):
        assert (await ask(server, token, room)).status_code == ErrorCode.INVALID_PARAMETER.status
    assert (await ask(server, "nonsense")).status_code == ErrorCode.UNAUTHORIZED.status


async def test_a_ticket_made_before_its_user_was_revoked_is_refused(server: RunningServer) -> None:
    ticket = await ticket_of(server, server.token("bob"))
    token = server.tokens.mint("bob", grants=None, now_seconds=time.time(), ttl_seconds=60)
    async with httpx.AsyncClient(
        base_url=server.url.replace("ws://", "http://"), headers={"Authorization": f"Bearer {token}"}
    ) as http:
        user_id = (await http.get("/api/me")).json()["user_id"]
        assert (await http.post("/api/revocations", json={"user_id": user_id})).status_code == 204
    async with with_ticket(server, ticket) as client:
        assert await client.close_code() == UNAUTHORIZED


def everything_in(data_dir: Path) -> bytes:
    """The database, and what is not yet in its main file."""
    return b"".join(file.read_bytes() for file in data_dir.glob("costudio.db*"))


async def test_neither_tokens_nor_tickets_are_logged_or_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with run_server(tmp_path, log_level="debug") as server:
        good, bad = server.token("bob"), server.token("eve", ttl=-3600)
        used, other, unused = [await ticket_of(server, good) for _ in range(3)]
        secrets = [good, bad, used, other, unused]
        client = await server.client(token=good)
        await client.edit(Writer(1).type("hello"))
        assert await (await server.client(token=bad)).close_code() == UNAUTHORIZED
        assert (await ask(server, bad)).status_code == ErrorCode.UNAUTHORIZED.status
        for ticket, room in ((used, ROOM), (used, ROOM), (other, "workspace:1/other.md")):
            async with with_ticket(server, ticket, room) as visitor:
                await visitor.until(lambda: bool(visitor.questions() or visitor.denials()))
        stored = everything_in(tmp_path)
    ours = [record for record in caplog.records if not record.name.startswith(("websockets", "httpx"))]
    logged = "\n".join(record.getMessage() for record in ours)
    assert "uvicorn" in {record.name.partition(".")[0] for record in ours}
    assert b"hello" in stored
    for secret in secrets:
        part = secret.rpartition(".")[2]  # a token's signature; a ticket is one whole
        assert len(part) > 40
        assert part not in logged
        assert part.encode() not in stored
