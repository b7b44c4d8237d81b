"""What somebody may know of others' presence: this node's tracker and the database, seen by one caller."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from crdt_store.presence import PresenceStore, StoredPresence
from server.access.identity import Identity
from server.presence.keeper import PresenceKeeper
from server.presence.rest_models import InRoomModel, MemberModel, PeopleModel, UserPresenceModel
from server.presence.saving import PresenceSaver
from server.presence.sharing import Sharing
from server.presence.tracker import UserState
from server.rooms.names import RoomName


class PresenceDirectory:
    """All methods but `in_room` raise LogUnavailable. `now_ms` is since 1970."""

    def __init__(
        self,
        keeper: PresenceKeeper,
        store: PresenceStore,
        saver: PresenceSaver,
        sharing: Sharing,
        now_ms: Callable[[], int],
    ) -> None:
        self._keeper = keeper
        self._store = store
        self._saver = saver
        self._sharing = sharing
        self._now_ms = now_ms

    def in_room(self, room: RoomName) -> list[MemberModel]:
        """Who is there now."""
        return [MemberModel.of(room.canonical, each) for each in self._keeper.members(room.canonical)]

    async def of_user(self, viewer: Identity, user_id: int) -> UserPresenceModel | None:
        """None if there is no such user, or none with whom the viewer shares a room."""
        self._keeper.settle()
        stored = (await self._store.of([user_id])).get(user_id)
        if stored is None:
            return None
        if not await self._sharing.shares(viewer, user_id, await self._seen_in(stored)):
            return None
        return await self._model(viewer, stored)

    async def in_project(self, viewer: Identity, project_id: int, *, limit: int, after: int) -> PeopleModel:
        """Who has a role in the project, which the viewer may read."""
        self._keeper.settle()
        found = await self._store.people_of(project_id, limit=limit + 1, after=after)
        stored = await self._store.of(found[:limit])
        items = [await self._model(viewer, stored[each]) for each in found[:limit] if each in stored]
        return PeopleModel(items=items, next_after=found[limit - 1] if len(found) > limit else None)

    async def is_invisible(self, user_id: int) -> bool:
        """Whether the user wants to be offline for others."""
        stored = (await self._store.of([user_id])).get(user_id)
        return stored is not None and stored.is_invisible

    async def set_invisible(self, user_id: int, *, is_invisible: bool) -> None:
        """From now on, on every device."""
        await self._store.set_invisible(user_id, is_invisible=is_invisible)
        self._keeper.hide(user_id, is_hidden=is_invisible)

    async def _seen_in(self, stored: StoredPresence) -> list[str]:
        """Rooms of the user's that tell who shares them. Of a project's, memberships alone do once one has left."""
        tracker = self._keeper.tracker
        if not self._is_hidden(stored) and tracker.state_of(stored.user_id) != "offline":
            last_room = tracker.last_room_of(stored.user_id)
            return [*tracker.rooms_of(stored.user_id), *([last_room] if last_room else [])]
        unsaved = self._saver.unsaved(stored.user_id)
        last_room = (unsaved.room if unsaved else None) or stored.last_room
        return [last_room] if last_room and not await self._sharing.is_in_project(last_room) else []

    def _is_hidden(self, stored: StoredPresence) -> bool:
        return self._keeper.tracker.is_hidden(stored.user_id)

    async def _model(self, viewer: Identity, stored: StoredPresence) -> UserPresenceModel:
        user_id = stored.user_id
        is_own = viewer.user_id == user_id
        state = self._state(stored, is_own=is_own)
        rooms = [] if state == "offline" else await self._rooms(viewer, user_id)
        last_seen = self._now() if state != "offline" else self._last_seen(stored)
        return UserPresenceModel(
            user_id=user_id, name=stored.name, state=state, last_seen=last_seen, rooms=rooms
        )

    def _state(self, stored: StoredPresence, *, is_own: bool) -> UserState:
        tracker = self._keeper.tracker
        if self._is_hidden(stored):
            return "online" if is_own and tracker.is_connected(stored.user_id) else "offline"
        state = tracker.state_of(stored.user_id)
        return "online" if state == "offline" and stored.is_online else state

    async def _rooms(self, viewer: Identity, user_id: int) -> list[InRoomModel]:
        shown = self._keeper.tracker.rooms_of(user_id)
        may_read: Iterable[str] = [room for room in shown if await self._sharing.may_read(viewer, room)]
        return [InRoomModel.of(room, shown[room]) for room in may_read]

    def _last_seen(self, stored: StoredPresence) -> datetime | None:
        unsaved = self._saver.unsaved(stored.user_id)
        return stored.last_seen if unsaved is None else datetime.fromtimestamp(unsaved.at_ms / 1000, UTC)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._now_ms() / 1000, UTC)
