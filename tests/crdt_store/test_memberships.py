"""Memberships: one role for each user and scope, and never a project without an admin."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text

from crdt_store.engine import Conflict, Database, create_engine
from crdt_store.memberships import LastAdmin, Membership, Memberships
from crdt_store.projects import NotThere, Project, Projects
from crdt_store.tables import MAX_ID
from crdt_store.tables import memberships as memberships_table
from crdt_store.update_log import BadDocumentName, LogUnavailable
from crdt_store.users import NoSuchUser, UserDirectory

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOBODY = [-1, 0, 99, MAX_ID, MAX_ID + 1, 2**63, 10**30]


@pytest.fixture
def memberships(database: Database) -> Memberships:
    return Memberships(database, clock=lambda: NOW)


@pytest.fixture
async def ada(database: Database) -> int:
    return await UserDirectory(database).id_of("i", "ada", "Ada")


@pytest.fixture
async def bob(database: Database) -> int:
    return await UserDirectory(database).id_of("i", "bob", "Bob")


@pytest.fixture
async def project(database: Database, ada: int) -> Project:
    return await Projects(database).create_project("Forest", created_by=ada)


@pytest.fixture
def scope(project: Project) -> str:
    return f"project:{project.id}"


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[list[Database]]:
    """Several nodes on one database."""
    databases = [create_engine(database_url) for _ in range(3)]
    yield databases
    for database in databases:
        await database.close()


async def test_the_role_that_was_set_last_is_the_users(
    memberships: Memberships, ada: int, bob: int, database: Database
) -> None:
    for role in (1, 4, 0):
        await memberships.set_role("workspace:3/a.md", bob, role, set_by=ada)
        assert await memberships.roles_of(bob) == {"workspace:3/a.md": role}
    found = await database.read(lambda connection: connection.execute(select(memberships_table)).one())
    assert tuple(found) == ("workspace:3/a.md", bob, 0, ada, NOW)


async def test_scopes_and_users_are_apart(memberships: Memberships, ada: int, bob: int) -> None:
    roles = {"workspace:3": 1, "workspace:3/a": 2, "workspace:3/A": 3, "workspace:33": 4, "global": 0}
    for scope, role in roles.items():
        await memberships.set_role(scope, ada, role, set_by=ada)
    await memberships.set_role("workspace:3", bob, 4, set_by=ada)
    assert await memberships.roles_of(ada) == roles
    assert await memberships.roles_of(bob) == {"workspace:3": 4}
    assert await memberships.remove("workspace:3", bob)
    assert await memberships.roles_of(bob) == {}
    assert await memberships.roles_of(ada) == roles


async def test_what_was_not_there_is_not_removed(memberships: Memberships, scope: str, bob: int) -> None:
    for user_id in (bob, *NOBODY):
        assert not await memberships.remove("chat:1", user_id)
        assert not await memberships.remove(scope, user_id)


@pytest.mark.parametrize("nobody", NOBODY)
async def test_nobody_has_no_role_and_gets_none(
    memberships: Memberships, scope: str, ada: int, nobody: int
) -> None:
    for where in (scope, "chat:1"):
        with pytest.raises(NoSuchUser):
            await memberships.set_role(where, nobody, 3, set_by=ada)
        with pytest.raises(NoSuchUser):
            await memberships.set_role(where, ada, 4, set_by=nobody)
    assert await memberships.roles_of(nobody) == {}
    assert await memberships.members_of("chat:1", limit=10) == []


@pytest.mark.parametrize("role", [-1, 5])
async def test_there_is_no_other_role(
    memberships: Memberships, ada: int, role: int, database: Database
) -> None:
    with pytest.raises(ValueError, match="no role"):
        await memberships.set_role("chat:1", ada, role, set_by=ada)
    insert = text(
        "INSERT INTO memberships (scope, user_id, role, set_by, set_at) VALUES"
        f" ('chat:1', {ada}, {role}, {ada}, '2026-01-01')"
    )
    with pytest.raises(Conflict):
        await database.write(lambda connection: connection.execute(insert).rowcount)


@pytest.mark.parametrize("name", ["workspace:1/\0", "workspace:1/\ud800", "workspace:1/" + 2500 * "a"])
async def test_a_scope_that_names_no_room_is_refused(memberships: Memberships, ada: int, name: str) -> None:
    with pytest.raises(BadDocumentName):
        await memberships.set_role(name, ada, 1, set_by=ada)
    with pytest.raises(BadDocumentName):
        await memberships.remove(name, ada)
    with pytest.raises(BadDocumentName):
        await memberships.members_of(name, limit=1)


async def test_members_come_in_pages(memberships: Memberships, database: Database, ada: int) -> None:
    directory = UserDirectory(database)
    ids = [await directory.id_of("i", f"s{number}", f"n{number}") for number in range(5)]
    for number, user_id in reversed(list(enumerate(ids))):
        await memberships.set_role("chat:1", user_id, number, set_by=ada)
    await memberships.set_role("chat:2", ada, 4, set_by=ada)
    expected = [Membership(ids[number], f"n{number}", f"s{number}", number) for number in range(5)]
    assert await memberships.members_of("chat:1", limit=10) == expected
    assert await memberships.members_of("chat:1", limit=2) == expected[:2]
    assert await memberships.members_of("chat:1", limit=2, after=ids[1]) == expected[2:4]
    assert await memberships.members_of("chat:1", limit=2, after=2**70) == []


async def test_a_project_keeps_its_last_admin(
    memberships: Memberships, scope: str, ada: int, bob: int
) -> None:
    await memberships.set_role(scope, bob, 3, set_by=ada)
    for role in (0, 3):
        with pytest.raises(LastAdmin):
            await memberships.set_role(scope, ada, role, set_by=ada)
    with pytest.raises(LastAdmin):
        await memberships.remove(scope, ada)
    await memberships.set_role(scope, ada, 4, set_by=ada)
    await memberships.set_role(scope, bob, 4, set_by=ada)
    await memberships.set_role(scope, ada, 1, set_by=bob)
    assert await memberships.remove(scope, ada)
    assert [(each.user_id, each.role) for each in await memberships.members_of(scope, limit=10)] == [(bob, 4)]


async def test_other_scopes_need_no_admin(memberships: Memberships, ada: int) -> None:
    for scope in ("workspace:3", "chat:9", "global", "workspace:3/project:7"):
        await memberships.set_role(scope, ada, 4, set_by=ada)
        await memberships.set_role(scope, ada, 2, set_by=ada)
        assert await memberships.remove(scope, ada)


async def test_a_project_that_is_not_there_has_no_members_to_change(
    memberships: Memberships, scope: str, project: Project, database: Database, ada: int, bob: int
) -> None:
    await Projects(database).delete_project(project.id)
    for gone in (scope, "project:99", f"project:{10**17}"):
        for role in (3, 4):
            with pytest.raises(NotThere):
                await memberships.set_role(gone, bob, role, set_by=ada)
        with pytest.raises(NotThere):
            await memberships.remove(gone, ada)


@pytest.mark.parametrize("way", ["demote", "remove"])
async def test_two_admins_who_end_each_others_role_at_once_cannot_both(
    memberships: Memberships, databases: list[Database], scope: str, ada: int, bob: int, way: str
) -> None:
    first, second = (Memberships(database) for database in databases[:2])

    async def end(node: Memberships, user_id: int, by: int) -> None:
        if way == "remove":
            await node.remove(scope, user_id)
        else:
            await node.set_role(scope, user_id, 1, set_by=by)

    for _ in range(10):
        for user_id in (ada, bob):
            await memberships.set_role(scope, user_id, 4, set_by=ada)
        outcomes = await asyncio.gather(end(first, bob, ada), end(second, ada, bob), return_exceptions=True)
        assert [isinstance(each, LastAdmin) for each in outcomes].count(True) == 1
        admins = [each for each in await memberships.members_of(scope, limit=10) if each.role == 4]
        assert len(admins) == 1


async def test_first_roles_that_are_given_at_once_are_one(
    databases: list[Database], ada: int, bob: int
) -> None:
    for number in range(5):
        where = f"chat:{number + 1}"
        await asyncio.gather(
            *(Memberships(each).set_role(where, bob, role, set_by=ada) for role, each in enumerate(databases))
        )
        (membership,) = await Memberships(databases[0]).members_of(where, limit=10)
        assert membership.role in range(3)


async def test_a_database_that_does_not_answer_is_unavailable(
    memberships: Memberships, database: Database, ada: int
) -> None:
    await database.close()
    with pytest.raises(LogUnavailable):
        await memberships.roles_of(ada)
    with pytest.raises(LogUnavailable):
        await memberships.set_role("chat:1", ada, 1, set_by=ada)
