"""The role of each user in each room, from memory where it was asked for before."""

from collections.abc import Mapping

from auth.grants import Role
from crdt_store.memberships import Memberships
from crdt_store.projects import Projects
from server.access.identity import Identity
from server.access.remembered import Remembered
from server.access.roles import Place, RolePolicy, effective_role
from server.rooms.names import RoomKind, RoomName

_REMEMBERED = 10_000
"""Users, and rooms: what a reconnect storm asks for."""

_NOWHERE = Place(None)
_Room = tuple[str, int]  # kind and id of a project, workspace or chat


class Rights:
    """Reads `projects` and `memberships`; whoever changes these says so with a `forget_…`, after the commit."""

    def __init__(self, projects: Projects, memberships: Memberships, policy: RolePolicy) -> None:
        self._projects = projects
        self._policy = policy
        self._places = Remembered(self._load_place, size=_REMEMBERED)
        self._roles: Remembered[int, Mapping[str, int]] = Remembered(memberships.roles_of, size=_REMEMBERED)

    async def role_in(self, identity: Identity, room: RoomName) -> Role:
        """The role; nothing is waited for where both are known. Raises LogUnavailable."""
        return await self.role_at(identity, room, await self.place_of(room))

    async def role_at(self, identity: Identity, room: RoomName, place: Place) -> Role:
        """The role in a room whose place has just been read. Raises LogUnavailable."""
        # Read for rooms of no project too: what is not there takes as long as what is not to be seen.
        memberships = await self._roles.get(identity.user_id)
        return effective_role(room, place, memberships, identity.principal.grants, self._policy)

    async def place_of(self, room: RoomName) -> Place:
        """Where the room stands. Raises LogUnavailable."""
        if room.kind is RoomKind.GLOBAL:
            return _NOWHERE
        return await self._places.get(_key(room))

    async def memberships_of(self, user_id: int) -> Mapping[str, int]:
        """Scope -> role, as the database has them. Raises LogUnavailable."""
        return await self._roles.get(user_id)

    def forget_user(self, user_id: int) -> None:
        """The memberships of a user have changed."""
        self._roles.forget_one(user_id)

    def forget_room(self, room: RoomName | None) -> None:
        """A project (with what is in it), workspace or chat has been made or deleted; None: any may have been."""
        self._places.forget(lambda key, place: room is None or _concerns(room, key, place))

    async def _load_place(self, key: _Room) -> Place:
        project_id = await self._projects.project_of(*key)
        if project_id is None:
            return _NOWHERE
        return Place(project_id, is_deleted=await self._projects.is_deleted(*key))


_STANDS_IN = {RoomKind.FILE: RoomKind.WORKSPACE, RoomKind.SEGMENT: RoomKind.CHAT}


def _key(room: RoomName) -> _Room:
    return _STANDS_IN.get(room.kind, room.kind).value, room.id


def _concerns(changed: RoomName, key: _Room, place: Place) -> bool:
    is_in_project = changed.kind is RoomKind.PROJECT and place.project_id == changed.id
    return is_in_project or key == _key(changed)
