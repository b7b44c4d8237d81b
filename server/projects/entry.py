"""Who has come to manage which project, workspace or chat, and whether they may."""

from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

from fastapi import Path

from auth.grants import Action, Grant, Role
from server.access.callers import Caller, Door, check_role, is_server_admin, not_found, parse_room
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.rooms.names import RoomKind, RoomName


class Entry(NamedTuple):
    """The caller's role in `room` allows what the route does. `project_id` is None in `global` alone."""

    door: Doorkeeper
    identity: Identity
    room: RoomName
    project_id: int | None
    role: Role


async def enter(
    door: Doorkeeper, identity: Identity, room: RoomName, action: Action, *, or_server_admin: bool = False
) -> Entry:
    """Raises ApiError for what belongs to no project, is deleted, or is not for the caller; LogUnavailable.

    `or_server_admin`: administrators of the server are taken for admins here.
    """
    place = await door.place_of(room)
    role = await door.role_in(identity, room)
    is_there = not place.is_deleted and (place.project_id is not None or room.kind is RoomKind.GLOBAL)
    if or_server_admin and is_there and not Grant(role).allows(action):
        role = Role.ADMIN if await is_server_admin(door, identity) else role
    if not is_there:
        raise not_found(room)
    check_role(role, room, action)
    return Entry(door, identity, room, place.project_id, role)


EntryCheck = Callable[..., Awaitable[Entry]]


def entry(kind: RoomKind, action: Action, *, or_server_admin: bool = False) -> EntryCheck:
    """A dependency: the project, workspace or chat whose number is `{id}` in the path."""

    async def check(caller: Caller, door: Door, number: Annotated[str, Path(alias="id")]) -> Entry:
        room = parse_room(f"{kind}:{number}", None)
        return await enter(door, caller, room, action, or_server_admin=or_server_admin)

    return check
