"""Projects, and the workspaces and chats that belong to them.

The id of a workspace or chat is the number of its rooms; a room with another number is in no project.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, delete, insert, or_, select, update

from crdt_store.database import Database
from crdt_store.places import in_chunks
from crdt_store.tables import (
    MAX_ID,
    chats,
    documents,
    memberships,
    possible_id,
    projects,
    utc_now,
    workspaces,
)
from crdt_store.users import require_users

ADMIN = 4  # the highest role; 0 is none
_IDS_PER_TRANSACTION = 100  # that are looked at while the project, or SQLite's only writer, is held
_ROOM = re.compile(r"(project|workspace|chat):([1-9][0-9]{0,17})(?:/.*)?", re.DOTALL)


class NotThere(Exception):
    """No project, workspace or chat has this id, or it is deleted."""


@dataclass(frozen=True, slots=True)
class Project:
    """Nothing but its name: what belongs to it refers to it."""

    id: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Workspace:
    """The rooms `workspace:{id}` and `workspace:{id}/{file}`."""

    id: int
    project_id: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Chat:
    """The room `chat:{id}`."""

    id: int
    project_id: int
    title: str
    created_at: datetime


Member = TypeVar("Member", Workspace, Chat)
Thing = TypeVar("Thing", Project, Workspace, Chat)
Query = TypeVar("Query", bound=Select[Any])

_TABLES: dict[str, Table] = {"project": projects, "workspace": workspaces, "chat": chats}
_KINDS: dict[type, str] = {Project: "project", Workspace: "workspace", Chat: "chat"}


class Projects:
    """Those of a database. Ids are never given twice; what is deleted stays as a row, so that it stays closed.

    All raise LogUnavailable, and NotThere where they are given an id of something that must be there.
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def create_project(self, name: str, *, created_by: int) -> Project:
        """With this user as its admin. Raises NoSuchUser."""
        return await self._database.write(
            partial(_create_project, name=name, created_by=created_by, now=self._clock())
        )

    async def create_workspace(self, project_id: int, name: str) -> Workspace:
        """Its number is one that no room has had yet."""
        return await self._create(Workspace, project_id, name)

    async def create_chat(self, project_id: int, title: str) -> Chat:
        """Its number is one that no room has had yet."""
        return await self._create(Chat, project_id, title)

    async def project(self, project_id: int) -> Project:
        """The one with this id."""
        return await self._database.read(partial(_get, made=Project, thing_id=project_id))

    async def workspace(self, workspace_id: int) -> Workspace:
        """The one with this id."""
        return await self._database.read(partial(_get, made=Workspace, thing_id=workspace_id))

    async def chat(self, chat_id: int) -> Chat:
        """The one with this id."""
        return await self._database.read(partial(_get, made=Chat, thing_id=chat_id))

    async def rename_project(self, project_id: int, name: str) -> Project:
        """The project under its new name."""
        return await self._database.write(partial(_rename, made=Project, thing_id=project_id, title=name))

    async def rename_workspace(self, workspace_id: int, name: str) -> Workspace:
        """The workspace under its new name."""
        return await self._database.write(partial(_rename, made=Workspace, thing_id=workspace_id, title=name))

    async def rename_chat(self, chat_id: int, title: str) -> Chat:
        """The chat under its new title."""
        return await self._database.write(partial(_rename, made=Chat, thing_id=chat_id, title=title))

    async def delete_project(self, project_id: int) -> None:
        """Its workspaces and chats go with it."""
        await self._database.write(partial(_delete, kind="project", thing_id=project_id))

    async def delete_workspace(self, workspace_id: int) -> None:
        """Its documents are left to others."""
        await self._database.write(partial(_delete, kind="workspace", thing_id=workspace_id))

    async def delete_chat(self, chat_id: int) -> None:
        """Its document is left to others."""
        await self._database.write(partial(_delete, kind="chat", thing_id=chat_id))

    async def projects_of(self, user_id: int, *, limit: int, after: int = 0) -> list[tuple[Project, int]]:
        """Where the user has a role above 0, in the project or in something of it; with the role in the project."""
        return await self._database.read(partial(_projects_of, user_id=user_id, limit=limit, after=after))

    async def workspaces_in(self, project_id: int, *, limit: int, after: int = 0) -> list[Workspace]:
        """Those of the project with an id above `after`, in order; none for a project that is not there."""
        return await self._database.read(
            partial(_list, made=Workspace, project_id=project_id, limit=limit, after=after)
        )

    async def chats_in(self, project_id: int, *, limit: int, after: int = 0) -> list[Chat]:
        """Those of the project with an id above `after`, in order; none for a project that is not there."""
        return await self._database.read(
            partial(_list, made=Chat, project_id=project_id, limit=limit, after=after)
        )

    async def project_of(self, kind: str, thing_id: int) -> int | None:
        """The id of the project, deleted or not, of a 'project', 'workspace' or 'chat'; None: it never was."""
        return await self._database.read(partial(_project_of, kind=kind, thing_id=thing_id))

    async def is_deleted(self, kind: str, thing_id: int) -> bool:
        """Whether there was such a 'project', 'workspace' or 'chat', and is no more."""
        return await self._database.read(partial(_is_deleted, kind=kind, thing_id=thing_id))

    async def _create(self, made: type[Member], project_id: int, title: str) -> Member:
        create = partial(_create_member, made=made, project_id=project_id, title=title, now=self._clock())
        while (member := await self._database.write(create)) is None:
            pass  # all ids that it looked at were used, and are behind it now
        return member


def project_scope(project_id: int) -> str:
    """Where the members of a project have their roles."""
    return f"project:{project_id}"


def numbered(scope: str) -> tuple[str, int] | None:
    """The kind and id of what a scope is in, or is: `workspace:3/a.md` is in ('workspace', 3). None: in nothing."""
    match = _ROOM.fullmatch(scope)
    return (match[1], int(match[2])) if match else None


def lock_project(connection: Connection, project_id: int) -> None:
    """Nobody else deletes it, adds to it or changes its admins before this transaction has ended. Raises NotThere."""
    query = select(projects.c.id).where(*_is_there("project", project_id)).with_for_update()
    if connection.scalar(query) is None:
        raise NotThere(f"no project {project_id}")


def page(query: Query, column: Column[int], *, limit: int, after: int) -> Query:
    """The first `limit` rows of the query beyond the id `after`, in order."""
    return query.where(column > max(0, min(after, MAX_ID))).order_by(column).limit(limit)


def _create_project(connection: Connection, name: str, created_by: int, now: datetime) -> Project:
    require_users(connection, created_by)
    values = {"name": name, "created_at": now, "created_by": created_by}
    project_id = connection.execute(insert(projects).returning(projects.c.id), values).scalar_one()
    connection.execute(
        insert(memberships),
        {
            "scope": project_scope(project_id),
            "user_id": created_by,
            "role": ADMIN,
            "set_by": created_by,
            "set_at": now,
        },
    )
    return Project(project_id, name, now)


def _create_member(
    connection: Connection, made: type[Member], project_id: int, title: str, now: datetime
) -> Member | None:
    """None: every id that was tried is one that a room of no project has."""
    lock_project(connection, project_id)
    kind = _KINDS[made]
    table = _TABLES[kind]
    values = {"project_id": project_id, _title(table).name: title, "created_at": now}
    for _ in range(_IDS_PER_TRANSACTION):
        new_id = connection.execute(insert(table).returning(table.c.id), values).scalar_one()
        if not _is_used(connection, f"{kind}:{new_id}"):
            return made(new_id, project_id, title, now)
        connection.execute(delete(table).where(table.c.id == new_id))
    return None


def _is_used(connection: Connection, room: str) -> bool:
    """Whether the room or a file of it has, or had, a document, or somebody a role there."""
    within = room + "/", room + chr(ord("/") + 1)  # before and after all names of files
    for column in (documents.c.name, memberships.c.scope):
        names = or_(column == room, (column >= within[0]) & (column < within[1]))
        if connection.scalar(select(column).where(names).limit(1)) is not None:
            return True
    return False


def _get(connection: Connection, made: type[Thing], thing_id: int) -> Thing:
    kind = _KINDS[made]
    found = connection.execute(select(*_columns(made)).where(*_is_there(kind, thing_id))).one_or_none()
    if found is None:
        raise NotThere(f"no {kind} {thing_id}")
    return made(*found)


def _rename(connection: Connection, made: type[Thing], thing_id: int, title: str) -> Thing:
    kind = _KINDS[made]
    table = _TABLES[kind]
    change = update(table).where(*_is_there(kind, thing_id)).values({_title(table).name: title})
    if connection.execute(change).rowcount == 0:
        raise NotThere(f"no {kind} {thing_id}")
    return _get(connection, made, thing_id)


def _delete(connection: Connection, kind: str, thing_id: int) -> None:
    change = update(_TABLES[kind]).where(*_is_there(kind, thing_id)).values(deleted=True)
    if connection.execute(change).rowcount == 0:
        raise NotThere(f"no {kind} {thing_id}")
    if kind == "project":
        for table in (workspaces, chats):
            connection.execute(update(table).where(table.c.project_id == thing_id).values(deleted=True))


def _list(
    connection: Connection, made: type[Member], project_id: int, limit: int, after: int
) -> list[Member]:
    table = _TABLES[_KINDS[made]]
    of_project = table.c.project_id == possible_id(project_id), table.c.deleted.is_(False)
    query = page(select(*_columns(made)).where(*of_project), table.c.id, limit=limit, after=after)
    return [made(*found) for found in connection.execute(query)]


def _projects_of(connection: Connection, user_id: int, limit: int, after: int) -> list[tuple[Project, int]]:
    roles: dict[int, int] = {}
    entered: dict[str, set[int]] = {kind: set() for kind in _TABLES}
    has_role = memberships.c.user_id == possible_id(user_id), memberships.c.role > 0
    for scope, role in connection.execute(select(memberships.c.scope, memberships.c.role).where(*has_role)):
        kind, thing_id = numbered(scope) or ("", 0)
        if kind:
            entered[kind].add(possible_id(thing_id))
        if kind == "project":
            roles[thing_id] = role
    found = {
        project_id for kind, ids in entered.items() for project_id in _projects_with(connection, kind, ids)
    }
    listed = sorted(project_id for project_id in found if project_id > after)[:limit]
    return [
        (Project(*columns), roles.get(columns[0], 0))
        for chunk in in_chunks(listed)
        for columns in connection.execute(
            select(*_columns(Project)).where(projects.c.id.in_(chunk)).order_by(projects.c.id)
        )
    ]


def _projects_with(connection: Connection, kind: str, thing_ids: Iterable[int]) -> Iterator[int]:
    """The projects of those of these that are there; so are they."""
    table = _TABLES[kind]
    for chunk in in_chunks(sorted(thing_ids)):
        query = select(_project_id(kind)).where(table.c.id.in_(chunk), table.c.deleted.is_(False))
        yield from connection.scalars(query)


def _project_of(connection: Connection, kind: str, thing_id: int) -> int | None:
    is_it = _TABLES[kind].c.id == possible_id(thing_id)
    found: int | None = connection.scalar(select(_project_id(kind)).where(is_it))
    return found


def _is_deleted(connection: Connection, kind: str, thing_id: int) -> bool:
    things = _TABLES[kind].c
    return bool(connection.scalar(select(things.deleted).where(things.id == possible_id(thing_id))))


def _is_there(kind: str, thing_id: int) -> tuple[ColumnElement[bool], ...]:
    table = _TABLES[kind]
    return table.c.id == possible_id(thing_id), table.c.deleted.is_(False)


def _columns(made: type[Thing]) -> list[Column[Any]]:
    return [_TABLES[_KINDS[made]].c[field.name] for field in fields(made)]


def _project_id(kind: str) -> Column[int]:
    return projects.c.id if kind == "project" else _TABLES[kind].c.project_id


def _title(table: Table) -> Column[str]:
    return table.c.title if table is chats else table.c.name
