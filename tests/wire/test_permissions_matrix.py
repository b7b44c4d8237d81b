"""Every role at every surface: let in or refused as the code's own table says. The table leaves nothing out."""

import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4

import anyio
import httpx
import pytest
from pycrdt import Array, Doc, Map
from sqlalchemy import text
from starlette.routing import Mount

from auth.grants import Action, Grant, Role
from crdt_store.engine import Database
from server.access.surfaces import HTTP, YJS, Open, Surface
from server.protocol.yjs_messages import sync_step_2, update_message
from tests.wire.client import WireClient, Writer
from tests.wire.conftest import RunningServer, run_server

EMPTY = b"\0\0"
QUERY_AWARENESS, SYNC_STATUS = b"\x03", b"\x66\x01\x07"
FORBIDDEN = 4403
_numbers = count(1)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningServer]:
    async with run_server(tmp_path_factory.mktemp("server"), dev=True) as server:
        yield server


class Scene(NamedTuple):
    """A project of somebody's, with a workspace, a chat, a file; and a guest with one role in all of it."""

    http: httpx.AsyncClient
    server: RunningServer
    owner: str
    guest: str
    guest_id: int
    project: int
    workspace: int
    chat: int
    lock: int = 987_654

    @property
    def file(self) -> str:
        return f"workspace:{self.workspace}/a.md"

    async def ask(
        self, token: str | None, method: str, path: str, json: Any = None, content: bytes | None = None
    ) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.http.request(method, path, json=json, content=content, headers=headers)


def token_of(server: RunningServer, user: str, grants: Mapping[str, Role] | None = None) -> str:
    return server.tokens.mint(
        user, grants=grants, now_seconds=time.time(), ttl_seconds=3600, token_id=f"of {user}"
    )


async def set_up(
    server: RunningServer, http: httpx.AsyncClient, role: Role, *, by_grant: bool = False
) -> Scene:
    """`by_grant`: the guest is an admin whose token limits the role; else the membership is all."""
    number = next(_numbers)
    owner = token_of(server, f"owner {number}")
    grants = {"*": role} if by_grant else None
    guest = token_of(server, f"guest {number}", grants)

    async def call(token: str, method: str, path: str, json: Any = None) -> Any:
        answer = await http.request(method, path, json=json, headers={"Authorization": f"Bearer {token}"})
        assert answer.is_success, answer.text
        return answer.json()

    project = (await call(owner, "POST", "/api/projects", {"name": "Game"}))["id"]
    under = f"/api/projects/{project}"
    workspace = (await call(owner, "POST", f"{under}/workspaces", {"name": "Main"}))["id"]
    chat = (await call(owner, "POST", f"{under}/chats", {"name": "Talk"}))["id"]
    guest_id = (await call(guest, "GET", "/api/me"))["user_id"]
    membership = Role.ADMIN if by_grant else role
    if membership is not Role.NONE:
        await call(owner, "PUT", f"{under}/members/{guest_id}", {"role": membership.name.lower()})
    return Scene(http, server, owner, guest, guest_id, project, workspace, chat)


@pytest.fixture(scope="module")
def scenes(server: RunningServer) -> dict[tuple[Role, bool], Scene]:
    """For requests that change nothing: one for each role is enough."""
    return {}


async def scene_of(
    scenes: dict[tuple[Role, bool], Scene],
    server: RunningServer,
    http: httpx.AsyncClient,
    role: Role,
    *,
    by_grant: bool = False,
) -> Scene:
    """One of those, made when it is first asked for."""
    if (role, by_grant) not in scenes:
        scenes[role, by_grant] = await set_up(server, http, role, by_grant=by_grant)
    return scenes[role, by_grant]._replace(http=http)


@pytest.fixture
async def http(server: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    base_url = server.url.replace("ws://", "http://")
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, verify=False) as http:
        yield http


# Over HTTP


def routes_of(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Method and path of each, those of routers that are included too."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from routes_of(route.original_router.routes)
        elif isinstance(route, Mount):
            yield "GET", route.path or "/"
        else:
            path = re.sub(r":\w+}", "}", route.path)
            yield from ((method, path) for method in route.methods - {"HEAD"})


def test_every_route_is_in_the_table_and_nothing_else_is(server: RunningServer) -> None:
    found = list(routes_of(server.app.routes))
    assert len(found) > 50
    assert sorted(found) == sorted(HTTP)


def body_of(scene: Scene, method: str, path: str) -> Any:
    if path == "/api/tickets":
        return {"room": scene.file}
    if path == "/api/revocations":
        return {"user_id": scene.guest_id} if method == "POST" else None
    if path == "/api/chats/{id}/read":
        return {"seq": 1}
    if path == "/api/users/me/visibility":
        return {"invisible": False} if method == "PUT" else None
    if path.startswith("/api/notifications"):
        return {"level": "all"} if method == "PUT" else {"text": "hello"} if "broadcast" in path else None
    if "locks" in path:
        lock = {"workspace_id": scene.workspace, "path": "a.md"}
        bodies = {"transfer": {"user_id": scene.guest_id}, "force": {"reason": "because"}}
        bodies |= {"renew": {}, "verify": {}, "unlock": {"force": True}}
        return None if method in ("GET", "DELETE") else bodies.get(path.rpartition("/")[2], lock)
    if ("/files" in path and not path.endswith(("/content", "/conflicts", "}"))) or "/folders" in path:
        return {"path": "b.md"} if method in ("POST", "PATCH") else None
    if "/trash" in path or path.endswith("/files/{file_id}"):
        return {} if method in ("POST", "PATCH") else None
    if path.startswith("/api/documents/{room}/"):
        past = {"restore": {"at": "1"}, "revert": {"user_id": scene.guest_id, "since": "0"}}
        return past.get(path.rpartition("/")[2], {"name": "Draft"} if method in ("POST", "PATCH") else None)
    if "/files/" in path:
        return {"PATCH": {"edits": []}, "POST": {"choice": "merged"}}.get(method)
    if "member" in path:
        return {"POST": {"subject": "new", "role": "viewer"}, "PUT": {"role": "viewer"}}.get(method)
    return {"name": "Other"} if method in ("POST", "PATCH") else None


def path_of(scene: Scene, path: str) -> str:
    number = {"projects": scene.project, "workspaces": scene.workspace, "chats": scene.chat}
    number |= {"users": scene.guest_id, "locks": scene.lock, "{workspace}": scene.lock}
    kind = path.split("/")[2] if path.count("/") > 1 else ""
    values = {
        "workspace": scene.workspace,
        "id": number.get(kind),
        "room": scene.file,
        "stale_id": 1,
        "user_id": scene.guest_id,
        "file_id": "a.md",
    }
    queries = {"/api/dev/token": "?user=carol", "/api/search/messages": "?q=hello"}
    queries |= {"/api/presence": f"?project={scene.project}"}
    queries |= {"/api/locks/audit": f"?workspace={scene.workspace}"}
    queries |= {"/api/locks/waiting": f"?workspace={scene.workspace}&path=a.md"}
    queries |= {"/api/documents/{room}/diff": "?from=0"}
    query = queries.get(path, "")
    return (
        path.format(
            **values,
            message_id="m",
            notification_id=1,
            job_id=1,
            path="a.md",
            conflict_id=1,
            version_id=1,
            run_id=1,
        )
        + query
    )


async def prepare(scene: Scene, method: str, path: str) -> None:
    """What the route is about is there."""
    if path.startswith(("/api/documents", "/api/copies")):
        (await scene.ask(scene.owner, "PUT", f"/api/copies/{scene.file}", content=EMPTY)).raise_for_status()
    tree = f"/api/workspaces/{scene.workspace}"
    if "{file_id}" in path:
        made = await scene.ask(scene.owner, "POST", f"{tree}/files", {"path": "a.md", "file_id": "a.md"})
        made.raise_for_status()
    if "/trash/" in path:
        (await scene.ask(scene.owner, "DELETE", f"{tree}/files/a.md")).raise_for_status()
    if "/folders/" in path:
        (await scene.ask(scene.owner, "POST", f"{tree}/folders", {"path": "a.md"})).raise_for_status()
    if method == "DELETE" and "member" in path and "projects" not in path and "global" not in path:
        members = path_of(scene, path)
        # With the role that the guest has anyway, a project's admin may remove it.
        role = (await scene.ask(scene.guest, "GET", f"/api/roles/{scene.file}")).json().get("role", "none")
        (await scene.ask(scene.owner, "PUT", members, json={"role": role})).raise_for_status()


async def lock_for_guest(scene: Scene) -> Scene:
    """The guest holds a lock, whatever has become of the guest's role."""
    database: Database = scene.server.app.state.messages._database
    made = text(
        "INSERT INTO locks (workspace_id, path, kind, holder_id, fence, acquired_at_ms)"
        f" VALUES ({scene.workspace}, 'b.md', 'standing', {scene.guest_id}, 1, 0) RETURNING id"
    )
    return scene._replace(lock=await database.write(lambda connection: connection.execute(made).scalar_one()))


async def bury_job(server: RunningServer) -> None:
    """There is a job with the id 1, dead."""
    database: Database = server.app.state.messages._database
    dead = text(
        "INSERT INTO jobs (id, kind, payload, created_at_ms, due_at_ms, dead) VALUES (1, '', '{}', 0, 0, true)"
        " ON CONFLICT (id) DO UPDATE SET dead = true"
    )
    await database.write(lambda connection: connection.execute(dead).rowcount)


async def request(scene: Scene, token: str | None, method: str, path: str) -> httpx.Response:
    content = EMPTY if path.startswith("/api/copies") and method == "PUT" else None
    json = body_of(scene, method, path) if content is None else None
    return await scene.ask(token, method, path_of(scene, path), json=json, content=content)


def expected(surface: Surface, role: Role) -> int | None:
    """The status of the refusal; None: it is none."""
    if isinstance(surface.need, Open) or Grant(role).allows(surface.need):
        return None
    return 404 if role is Role.NONE else 403


def refusal(response: httpx.Response) -> int | None:
    """The status, if it is one for want of a role."""
    if response.status_code == 404 and "or not for you" not in response.text:
        return None  # let in, and then nothing was there
    return response.status_code if response.status_code in (401, 403, 404) else None


ROUTES = [pytest.param(method, path, id=f"{method} {path}") for method, path in HTTP]
IN_GLOBAL = [param for param in ROUTES if "in `global`" in HTTP[param.values].but]  # type: ignore[index]
ELSEWHERE = [param for param in ROUTES if param not in IN_GLOBAL]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_only_some_routes_answer_without_a_token(
    server: RunningServer,
    http: httpx.AsyncClient,
    scenes: dict[tuple[Role, bool], Scene],
    method: str,
    path: str,
) -> None:
    scene = await scene_of(scenes, server, http, Role.ADMIN)
    response = await request(scene, None, method, path)
    needs_none = HTTP[method, path].need is Open.NO_TOKEN
    assert response.status_code == (200 if needs_none else 401)


@pytest.mark.parametrize("by_grant", [False, True], ids=["by membership", "by grant"])
@pytest.mark.parametrize(("method", "path"), ELSEWHERE)
async def test_every_route_lets_in_whom_its_row_says(
    server: RunningServer,
    http: httpx.AsyncClient,
    scenes: dict[tuple[Role, bool], Scene],
    method: str,
    path: str,
    by_grant: bool,
) -> None:
    for role in Role:
        if method == "GET":
            scene = await scene_of(scenes, server, http, role, by_grant=by_grant)
        else:
            scene = await set_up(server, http, role, by_grant=by_grant)
        await prepare(scene, method, path)
        if "locks/{id}" in path:
            scene = await lock_for_guest(scene)
        response = await request(scene, scene.guest, method, path)
        status = expected(HTTP[method, path], role)
        if (method, path) == ("POST", "/api/projects") and by_grant and role is not Role.ADMIN:
            status = 403  # the token would not make its bearer the admin of it
        if (method, path) == ("POST", "/api/revocations") and by_grant:
            status = 403  # a limited token ends itself alone
        assert refusal(response) == status, (role, response.text)
        if status is None and not re.search(
            r"stale-update/|\{(message|notification|conflict|version|run)_id\}|/content", path
        ):
            assert response.is_success, (role, response.text)


@pytest.mark.parametrize(("method", "path"), IN_GLOBAL)
async def test_routes_about_the_server_go_by_the_role_in_global(
    server: RunningServer, http: httpx.AsyncClient, method: str, path: str
) -> None:
    for role in Role:
        scene = await set_up(server, http, role)
        token = token_of(server, f"somebody {scene.project}", {"global": role})
        if "{job_id}" in path:
            await bury_job(server)
        elif method == "DELETE":
            root = token_of(server, "root", {"global": Role.ADMIN})
            (await scene.ask(root, "PUT", path_of(scene, path), json={"role": "viewer"})).raise_for_status()
        response = await request(scene, token, method, path)
        assert refusal(response) == expected(HTTP[method, path], role), (role, response.text)
        assert response.is_success is (role is Role.ADMIN)


@pytest.mark.parametrize(("method", "path"), [route for route in ELSEWHERE if "member" in route.values[1]])  # type: ignore[operator]
async def test_an_administrator_of_the_server_manages_members_everywhere(
    server: RunningServer, http: httpx.AsyncClient, method: str, path: str
) -> None:
    scene = await set_up(server, http, Role.EDITOR)
    await prepare(scene, method, path)
    root = token_of(server, "root", {"global": Role.ADMIN})
    response = await request(scene, root, method, path)
    assert response.is_success, response.text


@pytest.mark.parametrize(
    ("method", "path"),
    [param for param in ROUTES if re.search("^(?!/api/users/).*({id}|{room})", str(param.values[1]))],
)
async def test_what_does_not_exist_and_what_is_not_ones_own_are_told_apart_by_nobody(
    server: RunningServer,
    http: httpx.AsyncClient,
    scenes: dict[tuple[Role, bool], Scene],
    method: str,
    path: str,
) -> None:
    scene = await scene_of(scenes, server, http, Role.NONE)
    theirs = await request(scene, scene.guest, method, path)
    nowhere = scene._replace(project=987_654, workspace=987_654, chat=987_654)
    absent = await request(nowhere, scene.guest, method, path)
    assert theirs.status_code == 404
    if re.search("{room}|{workspace}|chats/{id}/|/(files|tree|folders|trash)", path) and "member" not in path:
        return  # a room of no project is open to whoever has the default role
    differs = r'[a-z]+:[0-9]+(/a.md)?|"request_id":"[0-9a-f]+"'
    told = [re.sub(differs, "…", answer.text) for answer in (theirs, absent)]
    assert told[0] == told[1]
    assert absent.status_code == 404


# On the wire


def test_every_message_is_in_the_table_of_these_tests() -> None:
    assert set(YJS) == {"connecting", *MESSAGES}


class MessageWriter:
    """A replica of a thread that writes what the user may."""

    def __init__(self, client_id: int, user_id: int) -> None:
        self._doc: Doc[Any] = Doc(client_id=client_id)
        self._user_id = user_id

    def type(self, text: str) -> bytes:
        """Write a message; the update."""
        messages = self._doc.get("messages", type=Array)
        with self._doc.transaction():
            messages.append(Map({"id": str(uuid4()), "sender_id": self._user_id, "body": text}))
        return self._doc.get_update()


AnyWriter = Writer | MessageWriter


async def sync_step_1_is_answered(guest: WireClient, member: WireClient, writer: AnyWriter) -> bool:
    return b"there" in await guest.sync()


async def an_empty_reply_is_no_violation(guest: WireClient, member: WireClient, writer: AnyWriter) -> bool:
    await guest.send(sync_step_2(EMPTY))
    await guest.sync()
    return not guest.denials()


async def a_reply_is_heard(guest: WireClient, member: WireClient, writer: AnyWriter) -> bool:
    await guest.send(sync_step_2(update := writer.type("news")))
    return await is_taken(guest, member, update)


async def an_update_is_heard(guest: WireClient, member: WireClient, writer: AnyWriter) -> bool:
    await guest.send(update_message(update := writer.type("news")))
    return await is_taken(guest, member, update)


async def is_taken(guest: WireClient, member: WireClient, update: bytes) -> bool:
    """Either its author hears of it and so does the other, or it is denied and nobody ever does."""
    await guest.until(lambda: bool(guest.denials()) or guest.heard(update))
    if not guest.denials():
        await member.until(lambda: member.heard(update))
        return True
    assert b"news" not in await member.sync()
    assert not member.heard(update)
    return False


async def awareness_is_seen(guest: WireClient, member: WireClient, writer: AnyWriter) -> bool:
    await guest.show(7, 1, b'{"cursor":"guest"}')
    await member.until(lambda: any(b"guest" in (entry.state or b"") for entry in member.awareness()))
    return True


async def awareness_is_told(guest: WireClient, member: WireClient, writer: AnyWriter) -> bool:
    await member.show(8, 1, b'{"cursor":"member"}')
    await member.sync()
    await guest.send(QUERY_AWARENESS)
    await guest.until(lambda: any(b"member" in (entry.state or b"") for entry in guest.awareness()))
    return True


async def a_status_comes_back(guest: WireClient, member: WireClient, writer: AnyWriter) -> bool:
    await guest.send(SYNC_STATUS)
    await guest.until(lambda: SYNC_STATUS in guest.received)
    return True


MESSAGES = {
    "SyncStep1": sync_step_1_is_answered,
    "SyncStep2 with nothing new": an_empty_reply_is_no_violation,
    "SyncStep2": a_reply_is_heard,
    "Update": an_update_is_heard,
    "Awareness": awareness_is_seen,
    "QueryAwareness": awareness_is_told,
    "SyncStatus (102)": a_status_comes_back,
}


@pytest.mark.parametrize("by_grant", [False, True], ids=["by membership", "by grant"])
@pytest.mark.parametrize("in_chat", [False, True], ids=["file", "chat"])
@pytest.mark.parametrize("role", [role for role in Role if role is not Role.NONE])
@pytest.mark.parametrize("kind", MESSAGES)
async def test_every_message_does_what_its_row_says(
    server: RunningServer, http: httpx.AsyncClient, kind: str, role: Role, in_chat: bool, by_grant: bool
) -> None:
    scene = await set_up(server, http, role, by_grant=by_grant)
    room = f"chat:{scene.chat}" if in_chat else scene.file
    member = await server.client(room=room, token=scene.owner)
    owner_id = (await scene.ask(scene.owner, "GET", "/api/me")).json()["user_id"]
    await member.edit((MessageWriter(1, owner_id) if in_chat else Writer(1)).type("there"))
    writer = MessageWriter(7, scene.guest_id) if in_chat else Writer(7)
    guest = await server.client(room=room, token=scene.guest)
    need = YJS[kind].need
    assert isinstance(need, Action)
    if in_chat and need is Action.WRITE:
        need = Action.WRITE_MESSAGE
    with anyio.fail_after(10):
        assert await MESSAGES[kind](guest, member, writer) is Grant(role).allows(need)
    await guest.sync()


@pytest.mark.parametrize("by_grant", [False, True], ids=["by membership", "by grant"])
async def test_without_a_role_nobody_connects(
    server: RunningServer, http: httpx.AsyncClient, by_grant: bool
) -> None:
    scene = await set_up(server, http, Role.NONE, by_grant=by_grant)
    for room in (
        scene.file,
        f"chat:{scene.chat}",
        f"workspace:{scene.workspace}",
        f"project:{scene.project}",
    ):
        guest = await server.client(room=room, token=scene.guest)
        assert await guest.close_code() == FORBIDDEN
        assert not guest.answers() + guest.updates()
