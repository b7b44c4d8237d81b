"""Presence over HTTP: of one user, of a room, of a project's people; and whether one is seen at all."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request

from auth.grants import Action
from crdt_store.tables import MAX_ID
from crdt_store.update_log import LogUnavailable
from server.access.callers import Caller, Door, not_found, parse_room, require
from server.api_errors import ApiError, ErrorCode, add_error_handlers
from server.presence.directory import PresenceDirectory
from server.presence.rest_models import PeopleModel, RoomPresenceModel, UserPresenceModel, Visibility
from server.rooms.names import RoomKind, parse_room_name
from server.settings import Settings

_MAX_PEOPLE = 200


def _directory(request: Request) -> PresenceDirectory:
    directory: PresenceDirectory = request.app.state.presence
    return directory


_Directory = Annotated[PresenceDirectory, Depends(_directory)]


def add_presence_routes(app: FastAPI, settings: Settings) -> None:
    """Add the routes; `app.state` has `doorkeeper` and `presence` while the server serves."""
    add_error_handlers(app, {LogUnavailable: ErrorCode.UNAVAILABLE}, internal=(LogUnavailable,))
    router = APIRouter(prefix="/api", tags=["presence"])
    _add_own_routes(router)
    _add_user_route(router)
    _add_room_routes(router, settings)
    app.include_router(router)


def _add_own_routes(router: APIRouter) -> None:
    @router.get("/users/me/visibility")
    async def show_visibility(caller: Caller, directory: _Directory) -> Visibility:
        """Whether others see the caller."""
        return Visibility(invisible=await directory.is_invisible(caller.user_id))

    @router.put("/users/me/visibility")
    async def set_visibility(body: Visibility, caller: Caller, directory: _Directory) -> Visibility:
        """Be offline for everybody else, or no longer."""
        await directory.set_invisible(caller.user_id, is_invisible=body.invisible)
        return body


def _add_user_route(router: APIRouter) -> None:
    @router.get("/users/{id}/presence")
    async def show_user(
        user_id: Annotated[int, Path(alias="id", ge=1, le=MAX_ID)], caller: Caller, directory: _Directory
    ) -> UserPresenceModel:
        """Somebody with whom the caller shares a room."""
        found = await directory.of_user(caller, user_id)
        if found is None:
            raise ApiError(ErrorCode.NOT_FOUND, f"there is no user {user_id}, or not for you")
        return found


def _add_room_routes(router: APIRouter, settings: Settings) -> None:
    @router.get("/rooms/{room:path}/presence")
    async def show_room(room: str, caller: Caller, door: Door, directory: _Directory) -> RoomPresenceModel:
        """Who is in a room now."""
        name = parse_room(room, settings.plain_names_workspace_id)
        if name.kind is RoomKind.GLOBAL:  # everybody is, and it shows nobody to everybody
            raise not_found(name)
        await require(door, caller, name, Action.SHOW_PRESENCE)
        return RoomPresenceModel(room=name.canonical, items=directory.in_room(name))

    @router.get("/presence")
    async def show_project(
        project: Annotated[int, Query(ge=1, le=MAX_ID)],
        caller: Caller,
        door: Door,
        directory: _Directory,
        limit: Annotated[int, Query(ge=1, le=_MAX_PEOPLE)] = 50,
        after: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
    ) -> PeopleModel:
        """Everybody who has a role in the project, or in a workspace or chat of it."""
        name = parse_room_name(f"project:{project}", plain_names_workspace_id=None)
        await require(door, caller, name, Action.SHOW_PRESENCE)
        return await directory.in_project(caller, project, limit=limit, after=after)
