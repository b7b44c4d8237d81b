"""Projects, their workspaces and chats: whose they are, what they are called, and that a number is nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from crdt_store import projects as projects_module
from crdt_store.engine import Database, create_engine
from crdt_store.memberships import Memberships
from crdt_store.projects import Chat, NotThere, Project, Projects, Workspace
from crdt_store.sql import SqlUpdateLog
from crdt_store.tables import MAX_ID
from crdt_store.tables import projects as projects_table
from crdt_store.update_log import LogUnavailable
from crdt_store.users import NoSuchUser, UserDirectory
from tests.acceptance.log_rows import row

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
NOBODY = [-1, 0, 99, MAX_ID, MAX_ID + 1, 2**63, 10**30]  # ids that nothing has


@pytest.fixture
def projects(database: Database) -> Projects:
    return Projects(database, clock=lambda: NOW)


@pytest.fixture
def memberships(database: Database) -> Memberships:
    return Memberships(database)


@pytest.fixture
async def ada(database: Database) -> int:
    return await UserDirectory(database).id_of("i", "ada", "Ada")


@pytest.fixture
async def bob(database: Database) -> int:
    return await UserDirectory(database).id_of("i", "bob", "Bob")


@pytest.fixture
async def project(projects: Projects, ada: int) -> Project:
    return await projects.create_project("Forest", created_by=ada)


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[list[Database]]:
    """Several nodes on one database."""
    databases = [create_engine(database_url) for _ in range(3)]
    yield databases
    for database in databases:
        await database.close()


async def test_what_is_made_is_found_again(projects: Projects, project: Project) -> None:
    workspace = await projects.create_workspace(project.id, "Levels")
    chat = await projects.create_chat(project.id, "Ideas")
    assert project == Project(project.id, "Forest", NOW)
    assert workspace == Workspace(workspace.id, project.id, "Levels", NOW)
    assert chat == Chat(chat.id, project.id, "Ideas", NOW)
    assert await projects.project(project.id) == project
    assert await projects.workspace(workspace.id) == workspace
    assert await projects.chat(chat.id) == chat


async def test_who_makes_a_project_is_its_admin(
    projects: Projects, memberships: Memberships, project: Project, ada: int, database: Database
) -> None:
    assert await memberships.roles_of(ada) == {f"project:{project.id}": 4}
    query = select(projects_table.c.created_by)
    assert await database.read(lambda connection: connection.scalar(query)) == ada


@pytest.mark.parametrize("nobody", NOBODY)
async def test_a_project_of_nobody_is_not_made(projects: Projects, database: Database, nobody: int) -> None:
    with pytest.raises(NoSuchUser):
        await projects.create_project("Forest", created_by=nobody)
    query = select(projects_table.c.id)
    assert await database.read(lambda connection: connection.scalar(query)) is None


async def test_a_project_without_its_admin_is_not_made(
    projects: Projects, ada: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projects_module, "ADMIN", 5)  # which the table refuses
    with pytest.raises(LogUnavailable):
        await projects.create_project("Forest", created_by=ada)
    query = select(projects_table.c.id)
    assert await database.read(lambda connection: connection.scalar(query)) is None


async def test_a_new_name_is_kept(projects: Projects, project: Project) -> None:
    workspace = await projects.create_workspace(project.id, "Levels")
    chat = await projects.create_chat(project.id, "Ideas")
    assert await projects.rename_project(project.id, "Wood") == Project(project.id, "Wood", NOW)
    assert (await projects.rename_workspace(workspace.id, "Maps")).name == "Maps"
    assert (await projects.rename_chat(chat.id, "Plans")).title == "Plans"
    assert (await projects.project(project.id)).name == "Wood"
    assert (await projects.workspace(workspace.id)).name == "Maps"
    assert (await projects.chat(chat.id)).title == "Plans"


async def refusals(projects: Projects, *, project: int, workspace: int, chat: int) -> list[str]:
    """Which of all that needs something that is there did not raise NotThere."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "project": lambda: projects.project(project),
        "workspace": lambda: projects.workspace(workspace),
        "chat": lambda: projects.chat(chat),
        "rename project": lambda: projects.rename_project(project, "x"),
        "rename workspace": lambda: projects.rename_workspace(workspace, "x"),
        "rename chat": lambda: projects.rename_chat(chat, "x"),
        "delete project": lambda: projects.delete_project(project),
        "delete workspace": lambda: projects.delete_workspace(workspace),
        "delete chat": lambda: projects.delete_chat(chat),
        "create workspace": lambda: projects.create_workspace(project, "x"),
        "create chat": lambda: projects.create_chat(project, "x"),
    }
    done = []
    for name, call in calls.items():
        try:
            await call()
        except NotThere:
            continue
        done.append(name)
    return done


@pytest.mark.parametrize("unknown", NOBODY)
async def test_what_never_was_is_not_there(projects: Projects, project: Project, unknown: int) -> None:
    assert await refusals(projects, project=unknown, workspace=unknown, chat=unknown) == []
    assert await projects.workspaces_in(unknown, limit=10) == []
    assert await projects.chats_in(unknown, limit=10) == []
    assert await projects.projects_of(unknown, limit=10) == []
    for kind in ("project", "workspace", "chat"):
        assert await projects.project_of(kind, unknown) is None
        assert not await projects.is_deleted(kind, unknown)


async def test_what_is_deleted_is_not_there_but_known(projects: Projects, project: Project) -> None:
    workspace = await projects.create_workspace(project.id, "Levels")
    chat = await projects.create_chat(project.id, "Ideas")
    other = await projects.create_workspace(project.id, "Sounds")
    await projects.delete_workspace(workspace.id)
    await projects.delete_chat(chat.id)
    assert await refusals(projects, project=99, workspace=workspace.id, chat=chat.id) == []
    assert await projects.workspaces_in(project.id, limit=10) == [other]
    assert await projects.chats_in(project.id, limit=10) == []
    for kind, thing_id in (("workspace", workspace.id), ("chat", chat.id)):
        assert await projects.project_of(kind, thing_id) == project.id
        assert await projects.is_deleted(kind, thing_id)
    assert not await projects.is_deleted("workspace", other.id)
    assert not await projects.is_deleted("project", project.id)


async def test_everything_goes_with_its_project(projects: Projects, project: Project, ada: int) -> None:
    workspace = await projects.create_workspace(project.id, "Levels")
    chat = await projects.create_chat(project.id, "Ideas")
    other = await projects.create_project("Desert", created_by=ada)
    left = await projects.create_workspace(other.id, "Dunes")
    await projects.delete_project(project.id)
    assert await refusals(projects, project=project.id, workspace=workspace.id, chat=chat.id) == []
    for kind, thing_id in (("project", project.id), ("workspace", workspace.id), ("chat", chat.id)):
        assert await projects.project_of(kind, thing_id) == project.id
        assert await projects.is_deleted(kind, thing_id)
    assert await projects.projects_of(ada, limit=10) == [(other, 4)]
    assert await projects.workspace(left.id) == left


async def test_ids_are_never_given_twice(projects: Projects, project: Project, ada: int) -> None:
    workspace = await projects.create_workspace(project.id, "Levels")
    await projects.delete_project(project.id)
    again = await projects.create_project("Forest", created_by=ada)
    assert again.id > project.id
    assert (await projects.create_workspace(again.id, "Levels")).id > workspace.id


@pytest.mark.parametrize("deleted", [False, True])
async def test_rooms_that_were_in_use_before_are_given_to_no_project(
    projects: Projects, project: Project, log: SqlUpdateLog, deleted: bool
) -> None:
    used = ["workspace:1", "workspace:2/a.md", "workspace:3/\U0010ffff", "workspace:40", "chat:1"]
    await log.append([row(name, b"1") for name in used])
    if deleted:
        for name in used:
            await log.delete(name)
    assert (await projects.create_workspace(project.id, "Levels")).id == 4
    assert (await projects.create_workspace(project.id, "Levels")).id == 5
    assert (await projects.create_chat(project.id, "Ideas")).id == 2
    assert [each.id for each in await projects.workspaces_in(project.id, limit=10)] == [4, 5]
    assert await projects.project_of("workspace", 2) is None


async def test_rooms_where_somebody_has_a_role_are_given_to_no_project(
    projects: Projects, project: Project, memberships: Memberships, ada: int, bob: int
) -> None:
    await memberships.set_role("workspace:1", bob, 4, set_by=ada)
    await memberships.set_role("workspace:2/a.md", bob, 4, set_by=ada)
    assert (await projects.create_workspace(project.id, "Levels")).id == 3


async def test_however_many_rooms_were_in_use_a_free_number_is_found(
    projects: Projects, project: Project, log: SqlUpdateLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projects_module, "_IDS_PER_TRANSACTION", 3)
    await log.append([row(f"chat:{number}", b"1") for number in range(1, 11)])
    assert (await projects.create_chat(project.id, "Ideas")).id == 11


async def test_many_who_make_something_at_once_get_each_a_number_of_their_own(
    project: Project, databases: list[Database], log: SqlUpdateLog
) -> None:
    await log.append([row(f"workspace:{number}", b"1") for number in (2, 3, 7)])
    nodes = [Projects(database) for database in databases]
    made = await asyncio.gather(
        *(node.create_workspace(project.id, str(number)) for node in nodes for number in range(5))
    )
    assert len({each.id for each in made}) == 15
    assert {each.id for each in made}.isdisjoint((2, 3, 7))
    assert await nodes[0].workspaces_in(project.id, limit=100) == sorted(made, key=lambda each: each.id)


async def test_nothing_is_left_in_a_project_that_is_deleted_meanwhile(
    projects: Projects, databases: list[Database], ada: int
) -> None:
    nodes = [Projects(database) for database in databases]
    for _ in range(5):
        project = await projects.create_project("Forest", created_by=ada)
        outcomes = await asyncio.gather(
            *(node.create_workspace(project.id, "Levels") for node in nodes[1:]),
            nodes[0].delete_project(project.id),
            *(node.create_chat(project.id, "Ideas") for node in nodes[1:]),
            return_exceptions=True,
        )
        assert {type(each) for each in outcomes} <= {Workspace, Chat, NotThere, type(None)}
        assert await projects.workspaces_in(project.id, limit=10) == []
        assert await projects.chats_in(project.id, limit=10) == []


async def test_lists_come_in_pages(projects: Projects, project: Project, ada: int) -> None:
    workspaces = [await projects.create_workspace(project.id, str(number)) for number in range(3)]
    chats = [await projects.create_chat(project.id, str(number)) for number in range(3)]
    others = [await projects.create_project(str(number), created_by=ada) for number in range(2)]
    assert await projects.workspaces_in(project.id, limit=2) == workspaces[:2]
    assert await projects.workspaces_in(project.id, limit=2, after=workspaces[1].id) == workspaces[2:]
    assert await projects.chats_in(project.id, limit=2, after=chats[0].id) == chats[1:]
    assert await projects.projects_of(ada, limit=2) == [(project, 4), (others[0], 4)]
    assert await projects.projects_of(ada, limit=2, after=others[0].id) == [(others[1], 4)]
    for beyond in (MAX_ID, 2**70):
        assert await projects.workspaces_in(project.id, limit=2, after=beyond) == []
        assert await projects.projects_of(ada, limit=2, after=beyond) == []
    assert await projects.chats_in(project.id, limit=2, after=-(2**70)) == chats[:2]


async def test_a_user_has_the_projects_where_a_role_lets_them_in(
    projects: Projects, memberships: Memberships, ada: int, bob: int
) -> None:
    names = ["as viewer", "by file", "by chat", "barred", "by deleted workspace", "other", "lowered"]
    made = {name: await projects.create_project(name, created_by=ada) for name in names}
    workspaces = {
        name: await projects.create_workspace(project.id, "Levels") for name, project in made.items()
    }
    chat = await projects.create_chat(made["by chat"].id, "Ideas")
    roles = {
        f"project:{made['as viewer'].id}": 1,
        f"workspace:{workspaces['by file'].id}/a/b.md": 3,
        f"chat:{chat.id}": 2,
        f"project:{made['by chat'].id}": 0,
        f"project:{made['barred'].id}": 0,
        f"workspace:{workspaces['barred'].id}": 0,
        f"workspace:{workspaces['by deleted workspace'].id}": 3,
        f"project:{made['lowered'].id}": 2,
        f"workspace:{workspaces['lowered'].id}": 0,
        f"workspace:{10**17}": 4,
        "project:9999": 4,
        "global": 4,
    }
    await projects.delete_workspace(workspaces["by deleted workspace"].id)
    for scope, role in roles.items():
        if scope == "project:9999":
            with pytest.raises(NotThere):
                await memberships.set_role(scope, bob, role, set_by=ada)
        else:
            await memberships.set_role(scope, bob, role, set_by=ada)
    found = await projects.projects_of(bob, limit=100)
    assert [(project.name, role) for project, role in found] == [
        ("as viewer", 1),
        ("by file", 0),
        ("by chat", 0),
        ("lowered", 2),
    ]


async def test_a_database_that_does_not_answer_is_unavailable(
    projects: Projects, project: Project, database: Database, ada: int
) -> None:
    await database.close()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: projects.create_project("Forest", created_by=ada),
        lambda: projects.create_chat(project.id, "Ideas"),
        lambda: projects.project_of("project", project.id),
        lambda: projects.projects_of(ada, limit=1),
    ]
    for call in calls:
        with pytest.raises(LogUnavailable):
            await call()
