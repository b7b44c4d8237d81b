"""Who has which role in a project, in something of it, in one file, and in `global`."""

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel

from auth.grants import Action, Role
from crdt_store.memberships import Membership
from server.access.callers import GLOBAL, Caller, Door, is_server_admin, parse_room
from server.access.roles import role_to_give
from server.access.texts import Body, DisplayName, Key, RoleName, role_name
from server.api_errors import ApiError, ErrorCode
from server.projects.changes import changing_user
from server.projects.entry import Entry, EntryCheck, enter, entry
from server.projects.pages import Page, Paging
from server.rooms.names import RoomKind
from server.settings import Settings


class RoleRequest(Body):
    """The role to have from now on; `none` shuts somebody out who has a role further up."""

    role: RoleName


class MemberRequest(RoleRequest):
    """Somebody who may never have been here: the `sub` of their tokens; `issuer` can be this server's alone."""

    subject: Key
    issuer: Key | None = None
    name: DisplayName | None = None


class MemberModel(BaseModel):
    """A user's role in just this room; other roles may come from what it is in."""

    user_id: int
    name: str
    role: RoleName

    @classmethod
    def of(cls, member: Membership) -> "MemberModel":
        return cls(user_id=member.user_id, name=member.name, role=role_name(Role(member.role)))


class _Scope(NamedTuple):
    """Where members are: the path of all, the path of one, and who may look and change."""

    of: str
    all: str
    one: str
    reader: EntryCheck
    admin: EntryCheck


def _numbered(kind: RoomKind) -> _Scope:
    all_members = f"/{kind}s/{{id}}/members"
    return _Scope(
        f"a {kind}",
        all_members,
        f"{all_members}/{{user_id}}",
        entry(kind, Action.READ, or_server_admin=True),
        entry(kind, Action.ADMINISTER, or_server_admin=True),
    )


def _global() -> _Scope:
    async def check(caller: Caller, door: Door) -> Entry:
        return await enter(door, caller, GLOBAL, Action.ADMINISTER)

    return _Scope("the server", "/global/members", "/global/members/{user_id}", check, check)


def _files(settings: Settings) -> _Scope:
    """The room may hold slashes: it ends the path."""

    def may(action: Action) -> EntryCheck:
        async def check(caller: Caller, door: Door, room: str) -> Entry:
            name = parse_room(room, settings.plain_names_workspace_id)
            if name.kind is not RoomKind.FILE:
                raise ApiError(
                    ErrorCode.NOT_FOUND, f"{name} is not a file: its members are under its own path"
                )
            return await enter(door, caller, name, action, or_server_admin=True)

        return check

    return _Scope(
        "a file",
        "/members/{room:path}",
        "/member/{user_id}/{room:path}",
        may(Action.READ),
        may(Action.ADMINISTER),
    )


def add_member_routes(router: APIRouter, settings: Settings) -> None:
    """Add the routes of every kind of room that can have members."""
    for kind in (RoomKind.PROJECT, RoomKind.WORKSPACE, RoomKind.CHAT):
        _add_routes(router, _numbered(kind), settings.jwt_issuer)
    _add_routes(router, _global(), settings.jwt_issuer)
    _add_routes(router, _files(settings), settings.jwt_issuer)


def _add_routes(router: APIRouter, scope: _Scope, issuer: str) -> None:
    Reader = Annotated[Entry, Depends(scope.reader)]  # noqa: N806 - a type
    Admin = Annotated[Entry, Depends(scope.admin)]  # noqa: N806 - a type
    UserId = Annotated[int, Path(gt=0)]  # noqa: N806 - a type

    @router.get(scope.all, summary=f"List members of {scope.of}")
    async def list_members(reader: Reader, paging: Paging) -> Page[MemberModel]:
        """Who has a role in just this room, by user id."""
        found = await reader.door.stores.memberships.members_of(
            reader.room.canonical, limit=paging.read_limit, after=paging.after
        )
        members, next_after = paging.split(found, lambda member: member.user_id)
        return Page(items=[MemberModel.of(member) for member in members], next_after=next_after)

    @router.post(scope.all, status_code=201, summary=f"Add member to {scope.of}")
    async def add_member(request: Request, body: MemberRequest, admin: Admin) -> MemberModel:
        """Give a role to somebody who may never have been here."""
        if body.issuer not in (None, issuer):
            raise ApiError(ErrorCode.INVALID_PARAMETER, f"body issuer: tokens come from {issuer} alone")
        await _check_may_give(admin, body.role)
        user_id = await admin.door.user_ids.of_invited(issuer, body.subject, body.name or body.subject)
        member = await _set_role(admin, user_id, body.role)
        request.app.state.wake_worker()  # the invitation
        return member

    @router.put(scope.one, summary=f"Set member of {scope.of}")
    async def set_member(request: Request, body: RoleRequest, user_id: UserId, admin: Admin) -> MemberModel:
        """Give a user a role in this room, instead of the one there was."""
        await _check_may_give(admin, body.role)
        member = await _set_role(admin, user_id, body.role)
        request.app.state.wake_worker()
        return member

    @router.delete(scope.one, status_code=204, summary=f"Remove member of {scope.of}")
    async def remove_member(user_id: UserId, admin: Admin) -> None:
        """Take the role away; roles in what the room is in count again."""
        with changing_user(admin.door, user_id):
            removed = await admin.door.stores.memberships.remove(admin.room.canonical, user_id)
        if not removed:
            raise ApiError(ErrorCode.NOT_FOUND, f"user {user_id} has no role in just {admin.room}")


async def _check_may_give(admin: Entry, name: RoleName) -> None:
    """Raises ApiError for a role above the caller's, and for one that reaches further than the caller's token."""
    role, grants = Role.parse(name), admin.identity.principal.grants
    if role > admin.role:
        raise ApiError(ErrorCode.FORBIDDEN, f"the role {admin.role.name.lower()} cannot make somebody {name}")
    if grants is None or role <= role_to_give(grants, admin.room):
        return
    if not await is_server_admin(admin.door, admin.identity):
        reason = f"the token's grants do not make its bearer {name} everywhere in {admin.room}"
        raise ApiError(ErrorCode.FORBIDDEN, reason)


async def _set_role(admin: Entry, user_id: int, name: RoleName) -> MemberModel:
    with changing_user(admin.door, user_id):
        await admin.door.stores.memberships.set_role(
            admin.room.canonical, user_id, Role.parse(name), set_by=admin.identity.user_id
        )
    user = await admin.door.stores.users.find(user_id)
    assert user is not None, "it has just been given a role"
    return MemberModel(user_id=user_id, name=user.name, role=name)
