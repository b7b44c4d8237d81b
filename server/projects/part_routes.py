"""Workspaces and chats: what a project consists of."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends

from auth.grants import Action, Role
from crdt_store.projects import Chat, Projects, Workspace
from server.access.roles import Place
from server.projects.changes import created, deleting, room_of
from server.projects.entry import Entry, entry
from server.projects.models import NameRequest, PartModel
from server.projects.pages import Page, Paging
from server.rooms.names import RoomKind

_Part = Workspace | Chat


class _Kind(NamedTuple):
    """What the store does with parts of this kind."""

    room: RoomKind
    create: Callable[[Projects, int, str], Awaitable[_Part]]
    get: Callable[[Projects, int], Awaitable[_Part]]
    rename: Callable[[Projects, int, str], Awaitable[_Part]]
    delete: Callable[[Projects, int], Awaitable[None]]
    list_in: Callable[..., Awaitable[Any]]


_KINDS = (
    _Kind(
        RoomKind.WORKSPACE,
        Projects.create_workspace,
        Projects.workspace,
        Projects.rename_workspace,
        Projects.delete_workspace,
        Projects.workspaces_in,
    ),
    _Kind(
        RoomKind.CHAT,
        Projects.create_chat,
        Projects.chat,
        Projects.rename_chat,
        Projects.delete_chat,
        Projects.chats_in,
    ),
)
_ProjectReader = Annotated[Entry, Depends(entry(RoomKind.PROJECT, Action.READ))]
_ProjectEditor = Annotated[Entry, Depends(entry(RoomKind.PROJECT, Action.WRITE))]


def add_part_routes(router: APIRouter) -> None:
    """Add the routes of workspaces, and the same of chats."""
    for kind in _KINDS:
        _add_list_routes(router, kind)
        _add_part_routes(router, kind)


def _add_list_routes(router: APIRouter, kind: _Kind) -> None:
    @router.post(f"/projects/{{id}}/{kind.room}s", status_code=201, summary=f"Create {kind.room}")
    async def create(body: NameRequest, editor: _ProjectEditor) -> PartModel:
        """Add one to the project."""
        creation = kind.create(editor.door.stores.projects, editor.room.id, body.name)
        part = await created(editor.door, kind.room, creation)
        return await _model(editor, kind, part)

    @router.get(f"/projects/{{id}}/{kind.room}s", summary=f"List {kind.room}s")
    async def list_parts(reader: _ProjectReader, paging: Paging) -> Page[PartModel]:
        """Those of the project in which the caller has a role."""
        store = reader.door.stores.projects
        found = await kind.list_in(store, reader.room.id, limit=paging.read_limit, after=paging.after)
        parts, next_after = paging.split(found, lambda part: part.id)
        models = [await _model(reader, kind, part) for part in parts]
        return Page(items=[model for model in models if model.role != "none"], next_after=next_after)


def _add_part_routes(router: APIRouter, kind: _Kind) -> None:
    path = f"/{kind.room}s/{{id}}"
    Reader = Annotated[Entry, Depends(entry(kind.room, Action.READ))]  # noqa: N806 - a type
    Admin = Annotated[Entry, Depends(entry(kind.room, Action.ADMINISTER))]  # noqa: N806 - a type

    @router.get(path, summary=f"Show {kind.room}")
    async def show(reader: Reader) -> PartModel:
        """What it is called, and which project it belongs to."""
        part = await kind.get(reader.door.stores.projects, reader.room.id)
        return PartModel.of(part, reader.role)

    @router.patch(path, summary=f"Rename {kind.room}")
    async def rename(body: NameRequest, admin: Admin) -> PartModel:
        """Give it another name."""
        part = await kind.rename(admin.door.stores.projects, admin.room.id, body.name)
        return PartModel.of(part, admin.role)

    @router.delete(path, status_code=204, summary=f"Delete {kind.room}")
    async def delete(admin: Admin) -> None:
        """Close it for everybody."""
        with deleting(admin.door, admin.room):
            await kind.delete(admin.door.stores.projects, admin.room.id)


async def _model(entry: Entry, kind: _Kind, part: _Part) -> PartModel:
    room = room_of(kind.room, part.id)
    role: Role = await entry.door.role_at(entry.identity, room, Place(part.project_id))
    return PartModel.of(part, role)
