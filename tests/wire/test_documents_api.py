"""Documents over HTTP: who may do what, and what is answered."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from auth.grants import Role
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.api_errors import ErrorCode
from server.engine.document import Document, EngineFailure
from server.protocol.yjs_messages import sync_step_2, update_message
from server.rooms.names import RoomName
from tests.documents_client import DocumentsClient, documents_client
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer, run_server

EMPTY = b"\0\0"


class Route(NamedTuple):
    """What is asked (`about`: before the room), the lowest role that may, and the answer to whoever may."""

    method: str
    about: str
    lowest: Role
    status: int


ROUTES = (
    Route("GET", "documents", Role.VIEWER, 200),
    Route("GET", "copies", Role.VIEWER, 200),
    Route("GET", "stale-updates", Role.ADMIN, 200),
    Route("GET", "stale-update/1", Role.ADMIN, 200),
    Route("POST", "stale-update/1", Role.ADMIN, 204),
    Route("DELETE", "stale-update/2", Role.ADMIN, 204),
    Route("GET", "quarantine", Role.ADMIN, 200),
    Route("PUT", "copies", Role.ADMIN, 200),
    Route("DELETE", "documents", Role.ADMIN, 204),
)


def asker(
    server: RunningServer, role: Role = Role.ADMIN, *, room: str = ROOM, token: str | None = None
) -> AbstractAsyncContextManager[DocumentsClient]:
    token = server.token("root", role) if token is None else token
    return documents_client(server.url.replace("ws://", "http://"), token, room)


def http_client(server: RunningServer, token: str | None = None) -> httpx.AsyncClient:
    """For paths that are no document's, or spelled in another way."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(
        base_url=server.url.replace("ws://", "http://"), headers=headers, trust_env=False, verify=False
    )


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[DocumentsClient]:
    async with asker(server) as api:
        yield api


async def ask(api: DocumentsClient, route: Route) -> httpx.Response:
    return await api.request(route.method, route.about, content=EMPTY if route.method == "PUT" else None)


def assert_refused(response: httpx.Response, code: ErrorCode) -> str:
    """In the one shape that there is; the reason."""
    assert response.status_code == code.status
    error = response.json()["error"]
    assert response.json() == {"error": {"code": code.value, "reason": error["reason"]}}
    assert error["reason"]
    return str(error["reason"])


async def bring_aside(server: RunningServer, *updates: bytes, room: str = ROOM) -> None:
    """As clients that still hold what has been replaced."""
    for update in updates:
        client = await server.client(room=room)
        await client.send(sync_step_2(update))
        assert await client.close_code() == 4409


async def with_two_updates_aside(server: RunningServer) -> None:
    """The test's document, restored, and two clients of the time before."""
    writer = Writer(7)
    await (await server.client()).edit(writer.type("one"))
    async with asker(server) as admin:
        await admin.restore(await admin.copy())
    await bring_aside(server, writer.doc.get_update(), writer.type(" two"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("token", ErrorCode.UNAUTHORIZED),
        ("user", ErrorCode.UNAUTHORIZED),
        ("time", ErrorCode.UNAUTHORIZED),
        ("project", ErrorCode.NOT_FOUND),
        ("nothing", None),
    ],
)
async def test_who_may_no_more_when_the_body_is_there_replaces_nothing(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, change: str, code: ErrorCode | None
) -> None:
    await (await server.client()).edit(Writer(7).type("one"))
    door: Doorkeeper = server.app.state.doorkeeper
    has_passed, role_in = asyncio.Event(), door.role_in

    async def watched(identity: Identity, room: RoomName) -> Role:
        role = await role_in(identity, room)
        has_passed.set()
        return role if change != "project" or len(passed) == 0 else Role.NONE

    async def slow_body() -> AsyncIterator[bytes]:
        yield EMPTY[:1]
        await has_passed.wait()
        passed.append(change)
        if change == "token":
            await door.revoke_token("slow", expires_at_seconds=None, revoked_by=1)
        elif change == "user":
            await door.revoke_user((await door.identify(token)).user_id, revoked_by=1)
        elif change == "time":
            end = time.time() + 60 + 5  # with the leeway
            monkeypatch.setattr(door, "now_seconds", lambda: end)
        yield EMPTY[1:]

    passed: list[str] = []
    monkeypatch.setattr(door, "role_in", watched)
    token = server.tokens.mint(
        "root", grants={"*": Role.ADMIN}, now_seconds=time.time(), ttl_seconds=60, token_id="slow"
    )
    async with asker(server, token=token) as api:
        response = await api.request("PUT", "copies", content=slow_body())
    monkeypatch.undo()
    if code is not None:
        assert_refused(response, code)
    assert await (await server.client()).text() == ("one" if code else "")


@pytest.mark.parametrize("role", Role)
async def test_every_route_is_open_from_its_lowest_role_on(server: RunningServer, role: Role) -> None:
    await with_two_updates_aside(server)
    async with asker(server, role) as api:
        for route in ROUTES:
            response = await ask(api, route)
            if role >= route.lowest:
                assert response.status_code == route.status, route
            else:
                code = ErrorCode.FORBIDDEN if role else ErrorCode.NOT_FOUND
                assert (role.name.lower() if role else "not for you") in assert_refused(response, code)
    if role < Role.ADMIN:
        assert await (await server.client()).text() == "one"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.about}")
@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer not-a-token", "Basic cm9vdDo=", "expired"])
async def test_every_route_wants_a_valid_token(
    shared_server: RunningServer, route: Route, authorization: str | None
) -> None:
    if authorization == "expired":
        authorization = f"Bearer {shared_server.token('root', Role.ADMIN, ttl=-3600)}"
    headers = {} if authorization is None else {"Authorization": authorization}
    async with http_client(shared_server) as http:
        response = await http.request(route.method, f"/api/{route.about}/{ROOM}", headers=headers)
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
            assert_refused(await ask(api, route), ErrorCode.NOT_FOUND)


@pytest.mark.parametrize(
    "room", ["global", "project:1", "chat:no", "chat:1/file", "plain", "workspace:1/a//b"]
)
async def test_a_name_without_a_document_is_not_found(shared_server: RunningServer, room: str) -> None:
    async with asker(shared_server, room=room) as api:
        for route in ROUTES:
            assert_refused(await ask(api, route), ErrorCode.NOT_FOUND)


async def test_what_was_never_written_is_not_found(shared_server: RunningServer) -> None:
    async with asker(shared_server, room="workspace:1/nothing.md") as api:
        for about in ("documents", "copies", "stale-update/1"):
            assert_refused(await api.request("GET", about), ErrorCode.NOT_FOUND)
        assert_refused(await api.request("DELETE"), ErrorCode.NOT_FOUND)
        assert await api.stale_updates() == await api.quarantined() == []


@pytest.mark.parametrize("stale_id", ["0", "7", "-1", "abc", "9" * 30, "٣"])
async def test_an_update_that_is_not_aside_is_not_found(shared_server: RunningServer, stale_id: str) -> None:
    async with asker(shared_server) as api:
        for method in ("GET", "DELETE", "POST"):
            response = await api.request(method, f"stale-update/{stale_id}")
            assert_refused(response, ErrorCode.NOT_FOUND)


@pytest.mark.parametrize(
    "file",
    [
        "plain.md",
        "a/update",
        "a/copies",
        "a/quarantine",
        "a/stale-updates",
        "a/stale-updates/1",
        "5/x",
        "1/workspace:1/notes.md",
        "documents/workspace:1/notes.md",
        "stale-update/1/workspace:1/notes.md",
        "дневник/100% sure? #1/a%2Fb notes.md",
    ],
)
async def test_every_route_means_the_file_that_is_named_whatever_its_name(tmp_path: Path, file: str) -> None:
    """`a/update` beside `a`: nothing that is done to the one touches the other. Neither do plain names."""
    async with run_server(tmp_path, dev=True) as server:
        head, _, tail = file.rpartition("/")
        beside = [f"workspace:1/{name}" for name in ("notes.md", head, tail) if name not in ("", file)]
        for room in beside:
            await (await server.client(room=room)).edit(Writer(8).type("beside"))
        for client_id, room in enumerate((f"workspace:1/{file}", file), start=1):
            async with asker(server, room=room) as api:
                writer = Writer(client_id)
                await does_what_every_route_does(server, api, writer, room, f"workspace:1/{file}")
        for room in beside:
            async with asker(server, room=room) as api:
                assert await api.stale_updates() == []
            assert await (await server.client(room=room)).text() == "beside"


async def does_what_every_route_does(
    server: RunningServer, api: DocumentsClient, writer: Writer, room: str, canonical: str
) -> None:
    await (await server.client(room=room)).edit(writer.type("found"))
    description = await api.describe()
    assert description["room"] == canonical
    assert b"found" in await api.copy()
    assert await api.restore(await api.copy()) == description["epoch"] + 1
    await bring_aside(server, writer.doc.get_update(), writer.type(" two"), room=room)
    first, second = await api.stale_ids()
    assert b"found" in await api.stale_update(first)
    await api.discard(first)
    await api.merge(second)
    assert await api.stale_updates() == await api.quarantined() == []
    assert await (await server.client(room=room)).text() == "found two"
    await api.delete()
    assert_refused(await api.request("GET"), ErrorCode.NOT_FOUND)


async def test_every_way_to_encode_a_name_finds_the_same_document(server: RunningServer) -> None:
    await (await server.client(room="workspace:1/a/é.md")).edit(Writer(7).type("found"))
    async with http_client(server, server.token("root", Role.ADMIN)) as http:
        for spelling in (
            "workspace:1/a/%C3%A9.md",
            "workspace%3A1%2Fa%2F%c3%a9.md",
            "workspace:1/a/e%CC%81.md",
        ):
            answer = await http.get(f"/api/documents/{spelling}")
            assert answer.json()["room"] == "workspace:1/a/é.md"
            assert b"found" in (await http.get(f"/api/copies/{spelling}")).content
            reason = assert_refused(await http.get(f"/api/stale-update/3/{spelling}"), ErrorCode.NOT_FOUND)
            assert reason == "workspace:1/a/é.md has no stale update 3"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/nothing", ErrorCode.NOT_FOUND),
        ("GET", "/api/document/workspace:1/a.md", ErrorCode.NOT_FOUND),
        ("PUT", "/api/documents/workspace:1/a.md", ErrorCode.METHOD_NOT_ALLOWED),
        ("DELETE", "/api/copies/workspace:1/a.md", ErrorCode.METHOD_NOT_ALLOWED),
        ("DELETE", "/api/stale-updates/workspace:1/a.md", ErrorCode.METHOD_NOT_ALLOWED),
        ("POST", "/api/health", ErrorCode.METHOD_NOT_ALLOWED),
    ],
)
async def test_what_the_api_does_not_have_is_refused_in_its_own_shape(
    shared_server: RunningServer, method: str, path: str, code: ErrorCode
) -> None:
    async with http_client(shared_server) as http:
        assert f"{method} {path}" in assert_refused(await http.request(method, path), code)


async def test_pages_that_do_not_exist_are_no_matter_of_the_api(shared_server: RunningServer) -> None:
    async with http_client(shared_server) as http:
        answer = await http.get("/nothing")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_a_parameter_that_is_missing_is_named(tmp_path: Path) -> None:
    async with run_server(tmp_path, dev=True) as server, http_client(server) as http:
        assert "user" in assert_refused(await http.get("/api/dev/token"), ErrorCode.INVALID_PARAMETER)


async def test_the_description_of_the_api_has_its_one_shape_of_errors(shared_server: RunningServer) -> None:
    async with http_client(shared_server) as http:
        description = (await http.get("/api/openapi.json")).json()
    paths = {path: of for path, of in description["paths"].items() if path.startswith("/api/")}
    assert "/api/documents/{room}" in paths
    for path, operations in paths.items():
        for method, operation in operations.items():
            schema = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorModel"}, (method, path)
            assert "422" not in operation["responses"], (method, path)
    codes = description["components"]["schemas"]["ErrorCode"]["enum"]
    assert codes == [code.value for code in ErrorCode]


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
        assert_refused(await api.request("PUT", "copies", content=content), ErrorCode.MALFORMED_UPDATE)
    assert (await api.describe())["epoch"] == 1
    assert await (await server.client()).text() == "as it was"


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(tmp_path: Path, is_chunked: bool) -> None:
    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 500

    async with run_server(tmp_path, max_message_bytes=4096) as server, asker(server) as api:
        content = in_pieces() if is_chunked else b"x" * 5000
        response = await api.request("PUT", "copies", content=content)
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
    response = await api.request("POST", f"stale-update/{stale_id}")
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
        if (route.method, route.about) != ("GET", "copies"):  # the open room answers without the store
            reason = assert_refused(await ask(api, route), ErrorCode.UNAVAILABLE)
            assert reason == ErrorCode.UNAVAILABLE.meaning
    async with asker(server, room="workspace:1/not-open.md") as other:
        assert_refused(await other.request("GET", "copies"), ErrorCode.UNAVAILABLE)
    broken_store.execute("ALTER TABLE elsewhere RENAME TO documents")
    assert (await api.describe())["epoch"] == 2
    assert await (await server.client()).text() == "one"


async def test_an_engine_that_fails_is_unavailable_and_keeps_its_words_to_itself(
    server: RunningServer, api: DocumentsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(document: Document, state_vector: bytes) -> bytes:
        raise EngineFailure("PanicException: what somebody wrote")

    await (await server.client()).edit(Writer(7).type("one"))
    with monkeypatch.context() as patch:
        patch.setattr(Document, "encode_since", fail)
        assert assert_refused(await api.request("GET", "copies"), ErrorCode.UNAVAILABLE) == (
            ErrorCode.UNAVAILABLE.meaning
        )
    assert b"one" in await api.copy()
