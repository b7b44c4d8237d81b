"""`/api/documents/{room}`: who may do what, and what is answered."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from auth.grants import Role
from server.api_errors import ErrorCode
from server.protocol.yjs_messages import sync_step_2, update_message
from tests.documents_client import DocumentsClient, documents_client
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer, run_server

EMPTY = b"\0\0"


class Route(NamedTuple):
    """What is asked, the lowest role that may, and the answer to whoever may."""

    method: str
    path: str
    lowest: Role
    status: int


ROUTES = (
    Route("GET", "", Role.VIEWER, 200),
    Route("GET", "/update", Role.VIEWER, 200),
    Route("GET", "/stale-updates", Role.ADMIN, 200),
    Route("GET", "/stale-updates/1", Role.ADMIN, 200),
    Route("POST", "/stale-updates/1/merge", Role.ADMIN, 204),
    Route("DELETE", "/stale-updates/2", Role.ADMIN, 204),
    Route("GET", "/quarantine", Role.ADMIN, 200),
    Route("PUT", "/update", Role.ADMIN, 200),
    Route("DELETE", "", Role.ADMIN, 204),
)


def asker(
    server: RunningServer, role: Role = Role.ADMIN, *, room: str = ROOM, token: str | None = None
) -> AbstractAsyncContextManager[DocumentsClient]:
    token = server.token("root", role) if token is None else token
    return documents_client(server.url.replace("ws://", "http://"), token, room)


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[DocumentsClient]:
    async with asker(server) as api:
        yield api


async def ask(api: DocumentsClient, route: Route) -> httpx.Response:
    return await api.request(route.method, route.path, content=EMPTY if route.method == "PUT" else None)


def assert_refused(response: httpx.Response, code: ErrorCode) -> str:
    """In the one shape that there is; the reason."""
    assert response.status_code == code.status
    error = response.json()["error"]
    assert response.json() == {"error": {"code": code.value, "reason": error["reason"]}}
    assert error["reason"]
    return str(error["reason"])


async def bring_aside(server: RunningServer, *updates: bytes) -> None:
    """As clients that still hold what has been replaced."""
    for update in updates:
        client = await server.client()
        await client.send(sync_step_2(update))
        assert await client.close_code() == 4409


async def with_two_updates_aside(server: RunningServer) -> None:
    """The test's document, restored, and two clients of the time before."""
    writer = Writer(7)
    await (await server.client()).edit(writer.type("one"))
    async with asker(server) as admin:
        await admin.restore(await admin.copy())
    await bring_aside(server, writer.doc.get_update(), writer.type(" two"))


@pytest.mark.parametrize("role", Role)
async def test_every_route_is_open_from_its_lowest_role_on(server: RunningServer, role: Role) -> None:
    await with_two_updates_aside(server)
    async with asker(server, role) as api:
        for route in ROUTES:
            response = await ask(api, route)
            if role >= route.lowest:
                assert response.status_code == route.status, route
            else:
                assert role.name.lower() in assert_refused(response, ErrorCode.FORBIDDEN)
    if role < Role.ADMIN:
        assert await (await server.client()).text() == "one"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer not-a-token", "Basic cm9vdDo=", "expired"])
async def test_every_route_wants_a_valid_token(
    shared_server: RunningServer, route: Route, authorization: str | None
) -> None:
    if authorization == "expired":
        authorization = f"Bearer {shared_server.token('root', Role.ADMIN, ttl=-3600)}"
    headers = {} if authorization is None else {"Authorization": authorization}
    url = shared_server.url.replace("ws://", "http://")
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
        response = await http.request(route.method, f"/api/documents/{ROOM}{route.path}")
    assert_refused(response, ErrorCode.UNAUTHORIZED)
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def shared_server(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningServer]:
    """For requests that change nothing."""
    async with run_server(tmp_path_factory.mktemp("server")) as server:
        yield server


async def test_a_grant_for_one_room_opens_no_other(shared_server: RunningServer) -> None:
    token = shared_server.token("root", Role.ADMIN, room="workspace:1/other.md")
    async with asker(shared_server, token=token) as api:
        for route in ROUTES:
            assert_refused(await ask(api, route), ErrorCode.FORBIDDEN)


@pytest.mark.parametrize(
    "room", ["global", "project:1", "chat:no", "chat:1/file", "plain", "workspace:1/a//b"]
)
async def test_a_name_without_a_document_is_not_found(shared_server: RunningServer, room: str) -> None:
    async with asker(shared_server, room=room) as api:
        for route in ROUTES:
            assert_refused(await ask(api, route), ErrorCode.NOT_FOUND)


async def test_what_was_never_written_is_not_found(shared_server: RunningServer) -> None:
    async with asker(shared_server, room="workspace:1/nothing.md") as api:
        for path in ("", "/update", "/stale-updates/1"):
            assert_refused(await api.request("GET", path), ErrorCode.NOT_FOUND)
        assert_refused(await api.request("DELETE"), ErrorCode.NOT_FOUND)
        assert await api.stale_updates() == await api.quarantined() == []


@pytest.mark.parametrize("stale_id", ["0", "7", "-1", "abc", "9" * 30, "٣"])
async def test_an_update_that_is_not_aside_is_not_found(shared_server: RunningServer, stale_id: str) -> None:
    async with asker(shared_server) as api:
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/merge")):
            response = await api.request(method, f"/stale-updates/{stale_id}{path}")
            assert_refused(response, ErrorCode.NOT_FOUND)


async def test_names_may_hold_slashes_and_what_urls_must_encode(server: RunningServer) -> None:
    room = "workspace:1/дневник/100% sure? #1/update notes.md"
    await (await server.client(room=room)).edit(Writer(7).type("found"))
    async with asker(server, room=room) as api:
        assert (await api.describe())["room"] == room
        assert b"found" in await api.copy()
        assert await api.restore(await api.copy()) == 2
        await api.delete()
        assert_refused(await api.request("GET"), ErrorCode.NOT_FOUND)


async def test_every_way_to_encode_a_name_finds_the_same_document(server: RunningServer) -> None:
    await (await server.client(room="workspace:1/a/é.md")).edit(Writer(7).type("found"))
    headers = {"Authorization": f"Bearer {server.token('root', Role.VIEWER)}"}
    url = server.url.replace("ws://", "http://")
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
        for spelling in (
            "workspace:1/a/%C3%A9.md",
            "workspace%3A1%2Fa%2F%c3%a9.md",
            "workspace:1/a/e%CC%81.md",
        ):
            answer = await http.get(f"/api/documents/{spelling}")
            assert answer.json()["room"] == "workspace:1/a/é.md"


async def test_a_document_that_did_not_exist_is_made_of_what_is_put(
    server: RunningServer, api: DocumentsClient
) -> None:
    writer = Writer(7)
    writer.type("from elsewhere")
    assert await api.restore(writer.doc.get_update()) == 1
    assert await (await server.client()).text() == "from elsewhere"
    assert await api.describe() == {
        "room": ROOM,
        "epoch": 1,
        "last_seq": 1,
        "compacted_seq": 0,
        "snapshot_bytes": 0,
    }


async def test_what_is_put_must_be_a_whole_document(server: RunningServer, api: DocumentsClient) -> None:
    writer = Writer(7)
    await (await server.client()).edit(writer.type("as it was"))
    incomplete = writer.type(" with more")
    for content in (b"", b"not an update", writer.doc.get_update() + b"!", incomplete):
        assert_refused(await api.request("PUT", "/update", content=content), ErrorCode.MALFORMED_UPDATE)
    assert (await api.describe())["epoch"] == 1
    assert await (await server.client()).text() == "as it was"


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(tmp_path: Path, is_chunked: bool) -> None:
    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 500

    async with run_server(tmp_path, max_message_bytes=4096) as server, asker(server) as api:
        content = in_pieces() if is_chunked else b"x" * 5000
        response = await api.request("PUT", "/update", content=content)
        assert "max_message_bytes" in assert_refused(response, ErrorCode.TOO_LARGE)
        assert_refused(await api.request("GET"), ErrorCode.NOT_FOUND)


async def test_what_builds_on_something_missing_is_not_merged_and_stays_aside(
    server: RunningServer, api: DocumentsClient
) -> None:
    writer = Writer(7)
    await (await server.client()).edit(writer.type("one"))
    writer.type(" that never arrived")
    later = writer.type(" two")
    await api.restore(await api.copy())
    client = await server.client()
    await client.send(update_message(later))
    assert await client.close_code() == 4409
    (stale_id,) = await api.stale_ids()
    response = await api.request("POST", f"/stale-updates/{stale_id}/merge")
    assert_refused(response, ErrorCode.UPDATE_INCOMPLETE)
    assert await api.stale_ids() == [stale_id]
    assert await (await server.client()).text() == "one"


@pytest.fixture
def broken_store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Nothing about documents can be read as long as the table has another name."""
    connection = sqlite3.connect(tmp_path / "costudio.db", isolation_level=None)
    yield connection
    connection.close()


async def test_a_store_that_fails_is_unavailable_and_keeps_its_words_to_itself(
    server: RunningServer, api: DocumentsClient, broken_store: sqlite3.Connection
) -> None:
    await with_two_updates_aside(server)
    broken_store.execute("ALTER TABLE documents RENAME TO elsewhere")
    for route in ROUTES:
        if route.path != "/update" or route.method == "PUT":  # the open room answers without the store
            reason = assert_refused(await ask(api, route), ErrorCode.UNAVAILABLE)
            assert reason == ErrorCode.UNAVAILABLE.meaning
    async with asker(server, room="workspace:1/not-open.md") as other:
        assert_refused(await other.request("GET", "/update"), ErrorCode.UNAVAILABLE)
    broken_store.execute("ALTER TABLE elsewhere RENAME TO documents")
    assert (await api.describe())["epoch"] == 2
    assert await (await server.client()).text() == "one"
