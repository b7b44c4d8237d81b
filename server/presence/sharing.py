"""Who may know of whom: people who share a room. Being in `global` does not count."""

from collections.abc import AsyncIterator, Iterable

from auth.grants import Action, Grant, Role
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.access.roles import scopes_of
from server.rooms.names import BadRoomName, RoomKind, RoomName, parse_room_name


class Sharing:
    """Asks the Doorkeeper for roles, who knows those of everybody who was here lately."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper

    async def shares(self, viewer: Identity, user_id: int, seen_in: Iterable[str]) -> bool:
        """Whether they have both a role in some room. `seen_in`: rooms in which the user is, or was last.

        Elsewhere memberships tell, in projects. Raises LogUnavailable.
        """
        if viewer.user_id == user_id:
            return True
        for room in seen_in:
            if await self.may_read(viewer, room):
                return True
        theirs = await self._doorkeeper.memberships_of(user_id)
        mine = await self._doorkeeper.memberships_of(viewer.user_id)
        async for name, project_id in self._rooms_in_projects({**theirs, **mine}):
            nearest = (scope for scope in scopes_of(name, project_id) if scope in theirs)
            has_role = theirs.get(next(nearest, ""), 0) > Role.NONE
            if has_role and await self.may_read(viewer, name.canonical):
                return True
        return False

    async def may_read(self, viewer: Identity, room: str) -> bool:
        """Whether the viewer may read this room, which is not `global`. Raises LogUnavailable."""
        name = _parse(room)
        if name is None or name.kind is RoomKind.GLOBAL:
            return False
        return Grant(await self._doorkeeper.role_in(viewer, name)).allows(Action.READ)

    async def is_in_project(self, room: str) -> bool:
        """Whether memberships tell who has a role in the room. Raises LogUnavailable."""
        name = _parse(room)
        return name is not None and (await self._doorkeeper.place_of(name)).project_id is not None

    async def projects_of(self, user_id: int) -> frozenset[int]:
        """Those in which the user has a role anywhere, by memberships. Raises LogUnavailable."""
        memberships = await self._doorkeeper.memberships_of(user_id)
        scopes = [scope for scope, role in memberships.items() if role > Role.NONE]
        return frozenset([project_id async for _, project_id in self._rooms_in_projects(scopes)])

    async def _rooms_in_projects(self, scopes: Iterable[str]) -> AsyncIterator[tuple[RoomName, int]]:
        for scope in scopes:
            room = _parse(scope)
            if room is not None:
                place = await self._doorkeeper.place_of(room)
                if place.project_id is not None and not place.is_deleted:
                    yield room, place.project_id


def _parse(room: str) -> RoomName | None:
    try:
        return parse_room_name(room, plain_names_workspace_id=None)
    except BadRoomName:
        return None
