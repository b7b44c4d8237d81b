"""Projects, workspaces, chats and their members over HTTP."""

import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from auth.claims import LAST_SECOND
from auth.grants import ALLOWED, Action, Role
from server.api_errors import ErrorCode
from tests.wire.conftest import RunningServer, run_server

PARTS = ["workspaces", "chats"]


class Person:
    """Somebody with a token, which has no grants unless they are given."""

    def __init__(
        self,
        server: RunningServer,
        http: httpx.AsyncClient,
        subject: str,
        grants: Mapping[str, Role] | None = None,
        **claims: Any,
    ) -> None:
        self._http = http
        self.token = server.tokens.mint(
            subject, grants=grants, now_seconds=time.time(), ttl_seconds=60, **claims
        )

    async def ask(self, method: str, path: str, json: Any = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self._http.request(method, f"/api/{path}", json=json, headers=headers, **options)

    async def call(self, method: str, path: str, json: Any = None) -> Any:
        """What is answered; it must be a success."""
        response = await self.ask(method, path, json)
        assert response.is_success, response.text
        return response.json() if response.content else None

    async def refused(self, code: ErrorCode, method: str, path: str, json: Any = None) -> str:
        """The reason."""
        response = await self.ask(method, path, json)
        assert response.status_code == code.status, response.text
        assert response.json()["error"]["code"] == code.value
        return str(response.json()["error"]["reason"])

    async def user_id(self) -> int:
        return int((await self.call("GET", "me"))["user_id"])

    async def project(self, name: str = "Game") -> str:
        """The path of a new one."""
        return f"projects/{(await self.call('POST', 'projects', {'name': name}))['id']}"

    async def part(self, project: str, kind: str, name: str = "Main") -> str:
        """The path of a new one."""
        return f"{kind}/{(await self.call('POST', f'{project}/{kind}', {'name': name}))['id']}"

    async def names(self, path: str) -> list[str]:
        return [item["name"] for item in (await self.call("GET", path))["items"]]


class Town:
    """A server, and people who come to it."""

    def __init__(self, server: RunningServer, http: httpx.AsyncClient) -> None:
        self._server = server
        self._http = http
        self.alice, self.bob = self.person("alice"), self.person("bob")

    def person(self, subject: str, grants: Mapping[str, Role] | None = None, **claims: Any) -> Person:
        return Person(self._server, self._http, subject, grants, **claims)


async def town_of(server: RunningServer) -> AsyncIterator[Town]:
    base_url = server.url.replace("ws://", "http://")
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, verify=False) as http:
        yield Town(server, http)


@pytest.fixture
async def town(server: RunningServer) -> AsyncIterator[Town]:
    async for town in town_of(server):
        yield town


@pytest.fixture
async def hosted_town(tmp_path: Path) -> AsyncIterator[Town]:
    """Where grants are the authority."""
    async with run_server(tmp_path, grants_are_authority=True) as server:
        async for town in town_of(server):
            yield town


async def test_whoever_makes_a_project_is_its_admin(town: Town) -> None:
    made = await town.alice.call("POST", "projects", {"name": "  Game "})
    assert (made["name"], made["role"]) == ("Game", "admin")
    assert await town.alice.call("GET", f"projects/{made['id']}") == made
    assert (await town.alice.call("GET", "projects"))["items"] == [made]
    assert await town.bob.names("projects") == []


@pytest.mark.parametrize("kind", PARTS)
async def test_workspaces_and_chats_are_made_renamed_and_deleted(town: Town, kind: str) -> None:
    project = await town.alice.project()
    part = await town.alice.part(project, kind, "First")
    await town.alice.part(project, kind, "Second")
    assert await town.alice.names(f"{project}/{kind}") == ["First", "Second"]
    renamed = await town.alice.call("PATCH", part, {"name": "New"})
    assert await town.alice.call("GET", part) == renamed
    assert renamed["name"] == "New"
    assert f"projects/{renamed['project_id']}" == project
    await town.alice.call("DELETE", part)
    await town.alice.refused(ErrorCode.NOT_FOUND, "GET", part)
    await town.alice.refused(ErrorCode.NOT_FOUND, "DELETE", part)
    assert await town.alice.names(f"{project}/{kind}") == ["Second"]


async def test_what_is_in_a_deleted_project_is_gone_with_it_for_everybody(town: Town) -> None:
    project = await town.alice.project()
    parts = [await town.alice.part(project, kind) for kind in PARTS]
    root = town.person("root", {"*": Role.ADMIN})
    await town.alice.call("PATCH", project, {"name": "Other"})
    await town.alice.call("DELETE", project)
    for who in (town.alice, root):
        for path in (project, *parts, f"{project}/members", f"{parts[0]}/members"):
            await who.refused(ErrorCode.NOT_FOUND, "GET", path)
    assert await town.alice.names("projects") == []


async def test_lists_come_a_page_at_a_time(town: Town) -> None:
    project = await town.alice.project("0")
    for number in range(1, 5):
        await town.alice.project(str(number))
    for number in range(5):
        await town.alice.part(project, "chats", str(number))
    for path in ("projects", f"{project}/chats"):
        names: list[str] = []
        after: int | None = 0
        while after is not None:
            page = await town.alice.call("GET", f"{path}?limit=2&after={after}")
            assert len(page["items"]) <= 2
            names += [item["name"] for item in page["items"]]
            after = page["next_after"]
        assert names == ["0", "1", "2", "3", "4"]
    assert (await town.alice.call("GET", "projects?limit=5"))["next_after"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "after=-1", "after=x"])
async def test_a_page_that_cannot_be_is_refused_by_name(town: Town, query: str) -> None:
    reason = await town.alice.refused(ErrorCode.INVALID_PARAMETER, "GET", f"projects?{query}")
    assert query.split("=")[0] in reason


async def test_a_page_beyond_the_last_id_is_empty(town: Town) -> None:
    await town.alice.project()
    page = await town.alice.call("GET", f"projects?after={10**30}")
    assert page == {"items": [], "next_after": None}


async def test_members_are_added_changed_listed_and_removed(town: Town) -> None:
    project, bob_id = await town.alice.project(), await town.bob.user_id()
    member = f"{project}/members/{bob_id}"
    made = await town.alice.call("PUT", member, {"role": "editor"})
    assert made == {"user_id": bob_id, "name": "bob", "role": "editor"}
    assert (await town.bob.call("GET", project))["role"] == "editor"
    assert made in (await town.bob.call("GET", f"{project}/members"))["items"]
    await town.alice.call("PUT", member, {"role": "viewer"})
    assert (await town.bob.call("GET", project))["role"] == "viewer"
    await town.alice.call("DELETE", member)
    await town.bob.refused(ErrorCode.NOT_FOUND, "GET", project)
    await town.alice.refused(ErrorCode.NOT_FOUND, "DELETE", member)


async def test_somebody_who_has_never_been_here_finds_a_role_on_coming(town: Town) -> None:
    project = await town.alice.project()
    new = {"subject": "carol", "name": "Carol", "role": "commenter"}
    made = await town.alice.call("POST", f"{project}/members", new)
    assert (made["name"], made["role"]) == ("Carol", "commenter")
    carol = town.person("carol")
    assert await carol.user_id() == made["user_id"]
    assert (await carol.call("GET", project))["role"] == "commenter"


async def test_who_has_been_here_is_not_renamed_by_who_adds_them(town: Town) -> None:
    project, bob_id = await town.alice.project(), await town.bob.user_id()
    forged = {"subject": "bob", "name": "Mallory", "role": "viewer"}
    made = await town.alice.call("POST", f"{project}/members", forged)
    assert (made["user_id"], made["name"]) == (bob_id, "bob")


async def test_a_role_nearby_comes_before_one_further_up(town: Town) -> None:
    project, bob_id = await town.alice.project(), await town.bob.user_id()
    workspace = await town.alice.part(project, "workspaces")
    file = f"workspace:{workspace.split('/')[1]}/a.md"

    async def role_in_file() -> str:
        response = await town.bob.ask("GET", f"roles/{file}")
        return str(response.json().get("role", "none"))

    await town.alice.call("PUT", f"{project}/members/{bob_id}", {"role": "editor"})
    assert await role_in_file() == "editor"
    await town.alice.call("PUT", f"{workspace}/members/{bob_id}", {"role": "viewer"})
    assert await role_in_file() == "viewer"
    await town.alice.call("PUT", f"member/{bob_id}/{file}", {"role": "admin"})
    assert await role_in_file() == "admin"
    assert [each["role"] for each in (await town.alice.call("GET", f"members/{file}"))["items"]] == ["admin"]
    await town.alice.call("PUT", f"member/{bob_id}/{file}", {"role": "none"})
    assert await role_in_file() == "none"
    for path in (f"member/{bob_id}/{file}", f"{workspace}/members/{bob_id}"):
        await town.alice.call("DELETE", path)
    assert await role_in_file() == "editor"


async def test_a_list_leaves_out_where_the_caller_has_no_role(town: Town) -> None:
    project, bob_id = await town.alice.project(), await town.bob.user_id()
    await town.alice.part(project, "chats", "Open")
    closed = await town.alice.part(project, "chats", "Closed")
    await town.alice.call("PUT", f"{project}/members/{bob_id}", {"role": "viewer"})
    await town.alice.call("PUT", f"{closed}/members/{bob_id}", {"role": "none"})
    assert await town.bob.names(f"{project}/chats") == ["Open"]
    await town.bob.refused(ErrorCode.NOT_FOUND, "GET", closed)


async def test_who_is_in_a_workspace_alone_sees_its_project_listed_and_no_more_of_it(town: Town) -> None:
    project, bob_id = await town.alice.project(), await town.bob.user_id()
    workspace = await town.alice.part(project, "workspaces")
    await town.alice.call("PUT", f"{workspace}/members/{bob_id}", {"role": "admin"})
    assert [item["role"] for item in (await town.bob.call("GET", "projects"))["items"]] == ["none"]
    assert (await town.bob.call("GET", workspace))["role"] == "admin"
    await town.bob.refused(ErrorCode.NOT_FOUND, "GET", project)
    limited = town.person("bob", {"chat:*": Role.ADMIN})
    assert await limited.names("projects") == []


async def test_a_project_keeps_an_admin(town: Town) -> None:
    project, alice_id = await town.alice.project(), await town.alice.user_id()
    member = f"{project}/members/{alice_id}"
    await town.alice.refused(ErrorCode.LAST_ADMIN, "PUT", member, {"role": "editor"})
    await town.alice.refused(ErrorCode.LAST_ADMIN, "DELETE", member)
    await town.alice.call("PUT", f"{project}/members/{await town.bob.user_id()}", {"role": "admin"})
    await town.alice.call("DELETE", member)
    await town.alice.refused(ErrorCode.NOT_FOUND, "GET", project)
    await town.bob.refused(ErrorCode.LAST_ADMIN, "DELETE", f"{project}/members/{await town.bob.user_id()}")


async def test_nobody_gives_a_role_above_their_own(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALLOWED, Action.ADMINISTER, Role.EDITOR)
    project, bob_id = await town.alice.project(), await town.bob.user_id()
    await town.alice.call("PUT", f"{project}/members/{bob_id}", {"role": "editor"})
    await town.bob.refused(ErrorCode.FORBIDDEN, "PUT", f"{project}/members/{bob_id}", {"role": "admin"})
    await town.bob.refused(
        ErrorCode.FORBIDDEN, "POST", f"{project}/members", {"subject": "bob", "role": "admin"}
    )
    await town.bob.call("PUT", f"{project}/members/{bob_id}", {"role": "editor"})


async def test_a_role_in_global_makes_an_administrator_of_the_server(town: Town) -> None:
    root, bob_id = town.person("root", {"global": Role.ADMIN}), await town.bob.user_id()
    project = await town.alice.project()
    await town.bob.refused(ErrorCode.NOT_FOUND, "PUT", f"{project}/members/{bob_id}", {"role": "admin"})
    await town.bob.refused(ErrorCode.FORBIDDEN, "GET", "global/members")
    await root.call("PUT", f"global/members/{bob_id}", {"role": "admin"})
    await town.bob.call("PUT", f"{project}/members/{bob_id}", {"role": "admin"})
    assert (await town.bob.call("GET", project))["role"] == "admin"
    await root.call("PUT", f"{project}/members/{bob_id}", {"role": "editor"})
    await town.person("carol", {"*": Role.ADMIN}).refused(ErrorCode.FORBIDDEN, "GET", "global/members")
    await root.call("DELETE", f"global/members/{bob_id}")
    await town.bob.refused(ErrorCode.FORBIDDEN, "GET", "global/members")


@pytest.mark.parametrize(
    ("grants", "may"),
    [
        ({"*": Role.ADMIN}, ["project", "workspace", "chat", "file"]),
        ({"project:*": Role.ADMIN, "workspace:*": Role.ADMIN}, ["workspace", "file"]),
        ({"project:*": Role.ADMIN, "workspace:1": Role.ADMIN, "chat:1": Role.ADMIN}, ["chat", "file"]),
    ],
)
async def test_a_limited_token_gives_away_no_more_than_it_has(
    town: Town, grants: Mapping[str, Role], may: list[str]
) -> None:
    project, bob_id = await town.alice.project(), await town.bob.user_id()
    await town.alice.part(project, "workspaces")
    await town.alice.part(project, "chats")
    limited = town.person(
        "alice", {**grants, "workspace:1/a.md": Role.ADMIN, "*": grants.get("*", Role.VIEWER)}
    )
    rooms = {"project": project, "workspace": "workspaces/1", "chat": "chats/1", "file": "workspace:1/a.md"}
    given = []
    for kind, path in rooms.items():
        one = f"member/{bob_id}/{path}" if kind == "file" else f"{path}/members/{bob_id}"
        all_members = f"members/{path}" if kind == "file" else f"{path}/members"
        changed = await limited.ask("PUT", one, {"role": "admin"})
        added = await limited.ask("POST", all_members, {"subject": "dave", "role": "admin"})
        assert (changed.status_code, added.status_code) in ((200, 201), (403, 403))
        given += [kind] if changed.is_success else []
    assert given == may


async def test_members_come_from_the_one_issuer_of_this_server(town: Town) -> None:
    project = await town.alice.project()
    new = {"subject": "carol", "role": "viewer"}
    reason = await town.alice.refused(
        ErrorCode.INVALID_PARAMETER, "POST", f"{project}/members", {**new, "issuer": "elsewhere"}
    )
    assert "issuer" in reason
    await town.alice.call("POST", f"{project}/members", {**new, "issuer": "costudio"})


@pytest.mark.parametrize(
    ("grants", "may"),
    [
        (None, True),
        ({"*": Role.ADMIN}, True),
        ({"project:*": Role.ADMIN}, True),
        ({"*": Role.EDITOR}, False),
        ({"project:7": Role.ADMIN}, False),
        ({}, False),
    ],
)
async def test_a_project_is_made_by_whom_the_token_lets_be_its_admin(
    town: Town, grants: Mapping[str, Role] | None, may: bool
) -> None:
    response = await town.person("carol", grants).ask("POST", "projects", {"name": "Game"})
    assert response.status_code == (201 if may else ErrorCode.FORBIDDEN.status)


async def test_where_grants_are_the_authority_administrators_of_the_server_make_projects(
    hosted_town: Town,
) -> None:
    for grants in (None, {"project:*": Role.ADMIN}):
        carol = hosted_town.person("carol", grants)
        await carol.refused(ErrorCode.FORBIDDEN, "POST", "projects", {"name": "Game"})
    host = hosted_town.person("host", {"global": Role.ADMIN, "*": Role.ADMIN})
    project = await host.project()
    guest = hosted_town.person("guest", {project.replace("projects/", "project:"): Role.VIEWER})
    assert (await guest.call("GET", project))["role"] == "viewer"
    await hosted_town.person("host").refused(ErrorCode.NOT_FOUND, "GET", project)


@pytest.mark.parametrize("number", ["0", "-1", "007", "x", "9" * 30, "٣", "1%2F2", "99999999999", "7"])
async def test_a_number_that_is_no_project_is_not_found(town: Town, number: str) -> None:
    for path in (f"projects/{number}", f"workspaces/{number}/members", f"chats/{number}"):
        await town.alice.refused(ErrorCode.NOT_FOUND, "GET", path)


@pytest.mark.parametrize("user_id", [12345, 99999999999, 10**30])
async def test_a_user_who_is_not_there_is_not_found(town: Town, user_id: int) -> None:
    project = await town.alice.project()
    await town.alice.refused(ErrorCode.NOT_FOUND, "PUT", f"{project}/members/{user_id}", {"role": "viewer"})
    await town.alice.refused(ErrorCode.NOT_FOUND, "DELETE", f"{project}/members/{user_id}")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": " \u200b "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "\u202egnp.exe"}, "name"),
        ({"name": 7}, "name"),
        ({"name": None}, "name"),
        ({"name": "a", "more": 1}, "more"),
        ([], "body"),
        (None, "body"),
    ],
)
async def test_a_body_that_is_not_valid_is_refused_by_field(town: Town, body: Any, field: str) -> None:
    project = await town.alice.project()
    for method, path in (("POST", "projects"), ("PATCH", project), ("POST", f"{project}/chats")):
        assert field in await town.alice.refused(ErrorCode.INVALID_PARAMETER, method, path, body)


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b'{"name": "\\ud800"}', b'{"\\ud800": 1, "name": "a"}', b"[" * 100_000]
)
async def test_a_body_that_is_not_json_of_ours_is_refused(town: Town, content: bytes) -> None:
    response = await town.alice.ask("POST", "projects", content=content)
    assert response.status_code == ErrorCode.INVALID_PARAMETER.status
    assert response.json()["error"]["code"] == ErrorCode.INVALID_PARAMETER.value


@pytest.mark.parametrize(
    "body", [{"role": "owner"}, {"role": 3}, {"role": None}, {}, {"role": "viewer", "user_id": 1}]
)
async def test_a_role_that_there_is_not_is_refused(town: Town, body: Any) -> None:
    project, bob_id = await town.alice.project(), await town.bob.user_id()
    await town.alice.refused(ErrorCode.INVALID_PARAMETER, "PUT", f"{project}/members/{bob_id}", body)


async def test_files_alone_have_members_under_the_name_of_the_room(town: Town) -> None:
    project = await town.alice.project()
    for room in (project.replace("projects/", "project:"), "global", "nonsense"):
        await town.alice.refused(ErrorCode.NOT_FOUND, "GET", f"members/{room}")


async def test_me_is_what_the_token_says(town: Town) -> None:
    me = await town.person("carol", name="Carol", color="#ffaa00").call("GET", "me")
    assert me.pop("user_id") > 0
    assert me.pop("expires_at").startswith("20")
    assert me == {
        "name": "Carol",
        "issuer": "costudio",
        "subject": "carol",
        "color": "#ffaa00",
        "avatar": None,
        "agent": None,
    }


async def test_a_token_until_the_last_moment_there_is_can_be_revoked_and_none_goes_on_longer(
    server: RunningServer, town: Town
) -> None:
    def lasting(until_seconds: float) -> str:
        now = time.time()
        return server.tokens.mint(
            "carol", grants=None, now_seconds=now, ttl_seconds=until_seconds - now, token_id="long"
        )

    carol = town.person("carol")
    carol.token = lasting(1e300)
    assert "exp" in await carol.refused(ErrorCode.UNAUTHORIZED, "GET", "me")
    carol.token = lasting(LAST_SECOND)
    assert (await carol.call("GET", "me"))["expires_at"].startswith("9999-12-31")
    await carol.call("POST", "revocations", {"token_id": "long"})
    await carol.refused(ErrorCode.UNAUTHORIZED, "GET", "me")


async def test_roles_say_what_they_allow(town: Town) -> None:
    guest = town.person("guest", {"workspace:1/*": Role.COMMENTER})
    assert await guest.call("GET", "roles/workspace:1/a/b.md") == {
        "room": "workspace:1/a/b.md",
        "role": "commenter",
        "may": ["read", "show_presence", "write_message"],
    }
    await guest.refused(ErrorCode.NOT_FOUND, "GET", "roles/workspace:2/a.md")
    await guest.refused(ErrorCode.NOT_FOUND, "GET", "roles/nonsense")


async def test_everybody_revokes_their_own_and_administrators_of_the_server_anything(town: Town) -> None:
    alice_id, bob_id = await town.alice.user_id(), await town.bob.user_id()
    for body in ({"user_id": alice_id}, {"token_id": "somebody's"}):
        await town.bob.refused(ErrorCode.FORBIDDEN, "POST", "revocations", body)
    await town.bob.call("POST", "revocations", {"user_id": bob_id})
    assert "revoked" in await town.bob.refused(ErrorCode.UNAUTHORIZED, "GET", "me")
    root = town.person("root", {"global": Role.ADMIN})
    await root.call("POST", "revocations", {"user_id": alice_id})
    await town.alice.refused(ErrorCode.UNAUTHORIZED, "GET", "me")
    await root.refused(ErrorCode.NOT_FOUND, "POST", "revocations", {"user_id": 12345})
    await root.call("POST", "revocations", {"token_id": "lost"})
    await town.person("bob", token_id="lost").refused(ErrorCode.UNAUTHORIZED, "GET", "me")
    listed = (await root.call("GET", "revocations"))["items"]
    assert [(each["user_id"], each["token_id"]) for each in listed] == [
        (bob_id, None),
        (alice_id, None),
        (None, "lost"),
    ]
    assert await town.person("bob").user_id() == bob_id


async def test_somebody_signs_out_of_one_place(town: Town) -> None:
    here, there = town.person("bob", token_id="here"), town.person("bob", token_id="there")
    await here.call("POST", "revocations", {"token_id": "here"})
    await here.refused(ErrorCode.UNAUTHORIZED, "GET", "me")
    await there.call("GET", "me")


async def test_a_limited_token_ends_itself_and_not_those_of_its_owner(town: Town) -> None:
    limited = town.person("bob", {"*": Role.ADMIN}, token_id="lent")
    bob_id = await limited.user_id()
    await limited.refused(ErrorCode.FORBIDDEN, "POST", "revocations", {"user_id": bob_id})
    await limited.call("POST", "revocations", {"token_id": "lent"})
    await limited.refused(ErrorCode.UNAUTHORIZED, "GET", "me")
    assert await town.bob.user_id() == bob_id


@pytest.mark.parametrize(
    "body", [{}, {"token_id": "a", "user_id": 1}, {"user_id": 0}, {"token_id": ""}, {"token_id": "a\0"}]
)
async def test_a_revocation_is_of_one_thing(town: Town, body: Any) -> None:
    await town.person("root", {"*": Role.ADMIN}).refused(
        ErrorCode.INVALID_PARAMETER, "POST", "revocations", body
    )
