"""`/api/projects`, and all that stands in or under them."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI

from auth.grants import Action, Role, granted_role
from crdt_store.memberships import LastAdmin
from crdt_store.projects import NotThere
from crdt_store.update_log import LogUnavailable
from crdt_store.users import IdTaken, NoSuchUser
from server.access.callers import Caller, Door, is_server_admin
from server.access.identity import Identity
from server.access.roles import Place
from server.api_errors import ApiError, ErrorCode, add_error_handlers
from server.projects.changes import changing_user, created, deleting, room_of
from server.projects.entry import Entry, entry
from server.projects.member_routes import add_member_routes
from server.projects.models import NameRequest, ProjectModel
from server.projects.pages import Page, Paging
from server.projects.part_routes import add_part_routes
from server.rooms.names import RoomKind
from server.settings import Settings

_CODES: dict[type[Exception], ErrorCode] = {
    NotThere: ErrorCode.NOT_FOUND,
    NoSuchUser: ErrorCode.NOT_FOUND,
    LastAdmin: ErrorCode.LAST_ADMIN,
    IdTaken: ErrorCode.INVALID_PARAMETER,
    LogUnavailable: ErrorCode.UNAVAILABLE,
}
_Reader = Annotated[Entry, Depends(entry(RoomKind.PROJECT, Action.READ))]
_Admin = Annotated[Entry, Depends(entry(RoomKind.PROJECT, Action.ADMINISTER))]


def add_project_routes(app: FastAPI, settings: Settings) -> None:
    """Add the routes; `app.state` has `doorkeeper` while the server serves."""
    add_error_handlers(app, _CODES, internal=(LogUnavailable,))
    router = APIRouter(prefix="/api", tags=["projects"])

    @router.post("/projects", status_code=201)
    async def create_project(body: NameRequest, caller: Caller, door: Door) -> ProjectModel:
        """Make a project; the caller becomes its admin."""
        if not (
            await is_server_admin(door, caller) if settings.grants_are_authority else _may_create(caller)
        ):
            raise ApiError(ErrorCode.FORBIDDEN, "the token would not make its bearer an admin of the project")
        with changing_user(door, caller.user_id):
            creation = door.stores.projects.create_project(body.name, created_by=caller.user_id)
            project = await created(door, RoomKind.PROJECT, creation)
        role = await door.role_in(caller, room_of(RoomKind.PROJECT, project.id))
        return ProjectModel.of(project, role)

    @router.get("/projects")
    async def list_projects(caller: Caller, door: Door, paging: Paging) -> Page[ProjectModel]:
        """Where the caller has a role, in the project or in something of it."""
        found = await door.stores.projects.projects_of(
            caller.user_id, limit=paging.read_limit, after=paging.after
        )
        projects, next_after = paging.split([project for project, _ in found], lambda project: project.id)
        models = []
        for project in projects:
            room = room_of(RoomKind.PROJECT, project.id)
            role = await door.role_at(caller, room, Place(project.id))
            if role is not Role.NONE or _sees_all(caller, settings):
                models.append(ProjectModel.of(project, role))
        return Page(items=models, next_after=next_after)

    @router.get("/projects/{id}")
    async def show_project(reader: _Reader) -> ProjectModel:
        """One project."""
        return ProjectModel.of(await reader.door.stores.projects.project(reader.room.id), reader.role)

    @router.patch("/projects/{id}")
    async def rename_project(body: NameRequest, admin: _Admin) -> ProjectModel:
        """Give it another name."""
        project = await admin.door.stores.projects.rename_project(admin.room.id, body.name)
        return ProjectModel.of(project, admin.role)

    @router.delete("/projects/{id}", status_code=204)
    async def delete_project(admin: _Admin) -> None:
        """Close it for everybody, with its workspaces and chats."""
        with deleting(admin.door, admin.room):
            await admin.door.stores.projects.delete_project(admin.room.id)

    add_part_routes(router)
    add_member_routes(router, settings)
    app.include_router(router)


def _may_create(caller: Identity) -> bool:
    """Whether the token lets its bearer be the admin that a new project's creator is."""
    grants = caller.principal.grants
    return grants is None or granted_role(grants, ("project:0",)) is Role.ADMIN


def _sees_all(caller: Identity, settings: Settings) -> bool:
    """A token that is limited to its grants shows no names of other projects."""
    return caller.principal.grants is None and not settings.grants_are_authority
