"""Which role somebody has in a room: one rule over what the token says and what the database says. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from auth.grants import Role, granted_role
from server.rooms.names import RoomKind, RoomName


class Place(NamedTuple):
    """Where a room stands. `project_id` is None where it belongs to no project; a project belongs to itself.

    `is_deleted` where the room, or what it is in, has been deleted.
    """

    project_id: int | None
    is_deleted: bool = False


class RolePolicy(NamedTuple):
    """`default_role`: of a token without grants, where no project is. `grants_are_authority`: they alone count."""

    default_role: Role
    grants_are_authority: bool = False


def scopes_of(room: RoomName, project_id: int | None) -> tuple[str, ...]:
    """The rooms whose memberships count in this one, nearest first."""
    scopes = [room.canonical]
    if room.kind is RoomKind.FILE:
        scopes.append(f"workspace:{room.id}")
    elif room.kind is RoomKind.SEGMENT:
        scopes[0] = f"chat:{room.id}"
    if project_id is not None and room.kind is not RoomKind.PROJECT:
        scopes.append(f"project:{project_id}")
    return tuple(scopes)


def effective_role(
    room: RoomName,
    place: Place,
    memberships: Mapping[str, int],
    grants: Mapping[str, Role] | None,
    policy: RolePolicy,
) -> Role:
    """The role in `room` of somebody with these memberships (scope to role) and a token with these grants."""
    if place.is_deleted:
        return Role.NONE
    granted = None if grants is None else _granted(grants, room)
    if policy.grants_are_authority:
        return Role.NONE if granted is None else granted
    if place.project_id is None:
        return _role_outside_projects(room, memberships, policy) if granted is None else granted
    member = _nearest_role(memberships, scopes_of(room, place.project_id))
    return member if granted is None else min(member, granted)


def role_to_give(grants: Mapping[str, Role], room: RoomName) -> Role:
    """The highest role that a token with these grants may give somebody in `room`: what it gives in all below.

    A star in a name stands for all that it could be, as only a star of a pattern matches it.
    """
    match room.kind:
        case RoomKind.PROJECT:  # its workspaces and chats have numbers of their own
            return granted_role(grants, ("*",))
        case RoomKind.WORKSPACE:
            return min(_granted(grants, room), granted_role(grants, (f"{room}/*",)))
        case _:
            return _granted(grants, room)


def _granted(grants: Mapping[str, Role], room: RoomName) -> Role:
    """By a pattern with a star nobody becomes an administrator of the server."""
    if room.kind is RoomKind.GLOBAL:
        return max(
            grants.get(room.canonical, Role.NONE), min(granted_role(grants, room.aliases), Role.VIEWER)
        )
    return granted_role(grants, room.aliases)


def _role_outside_projects(room: RoomName, memberships: Mapping[str, int], policy: RolePolicy) -> Role:
    if room.kind is RoomKind.GLOBAL:
        return Role(memberships.get(room.canonical, Role.VIEWER))
    return policy.default_role


def _nearest_role(memberships: Mapping[str, int], scopes: tuple[str, ...]) -> Role:
    return next((Role(memberships[scope]) for scope in scopes if scope in memberships), Role.NONE)
