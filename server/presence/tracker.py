"""The Presence Tracker: who is online, with which devices, in which rooms, doing what. Pure: time is an argument.

Somebody is online while a connection is open, and in a room while a device shows a state there. Both last for a grace
longer, so that a page which is loaded again does not leave and come back.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from server.presence.deadlines import Deadlines
from server.presence.room_presence import RoomPresence, Told

UserState = Literal["online", "away", "offline"]


class UserChange(NamedTuple):
    """`seen_at_seconds`: when the user was here last. `room`: where the user is, or was last, if anywhere."""

    state: UserState
    seen_at_seconds: float
    room: str | None


class Changes(NamedTuple):
    """What others are to be told: in each room, and of each user's state. `moved`: who has come, gone
    or entered a room, be it in hiding.
    """

    rooms: Mapping[str, list[Told]]
    users: Mapping[int, UserChange]
    moved: Set[int]


@dataclass(slots=True)
class _User:
    connections: set[object] = field(default_factory=set)
    rooms: dict[str, None] = field(default_factory=dict)  # in order: the last one came last
    last_room: str | None = None
    left_at_seconds: float = 0.0
    offline_at_seconds: float = 0.0
    is_here: bool = False
    told: UserState = "offline"


class Tracker:
    """What happens is gathered; `settle` says what came of it: the number of changes counts, not that of events."""

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._users: dict[int, _User] = {}
        self._user_of: dict[object, int] = {}
        self._rooms: dict[str, RoomPresence] = {}
        self._hidden: set[int] = set()
        self._changed_users: set[int] = set()
        self._changed_rooms: set[str] = set()
        self._moved: set[int] = set()
        self._deadlines: Deadlines[tuple[str | None, int]] = Deadlines()

    # What happens

    def connect(self, connection: object, user_id: int) -> None:
        """A connection of the user is open."""
        self._user_of[connection] = user_id
        self._users.setdefault(user_id, _User()).connections.add(connection)
        self._changed_users.add(user_id)

    def disconnect(self, connection: object, now_seconds: float, *, at_once: bool = False) -> None:
        """It is closed. `at_once`: if it was the last one, the user is offline without a grace."""
        user_id = self._user_of.pop(connection, None)
        if user_id is None:
            return
        user = self._users[user_id]
        user.connections.discard(connection)
        if not user.connections:
            user.left_at_seconds = now_seconds
            user.offline_at_seconds = now_seconds + (0 if at_once else self._grace_seconds)
        self._changed_users.add(user_id)

    def show(
        self,
        room: str,
        client_id: int,
        user_id: int,
        state: bytes,
        now_seconds: float,
        *,
        shown_user: Mapping[str, Any] | None = None,
        typing_expires: bool = True,
    ) -> None:
        """A device shows a state in a room; see `RoomPresence.show`."""
        presence = self._rooms.get(room)
        if presence is None:
            presence = self._rooms[room] = RoomPresence(self._grace_seconds, self._hidden)
        presence.show(
            client_id,
            user_id,
            state,
            now_seconds,
            shown_user=shown_user or {},
            typing_expires=typing_expires,
        )
        self._changed_rooms.add(room)

    def remove(self, room: str, client_id: int, now_seconds: float, *, at_once: bool = False) -> None:
        """A device shows nothing any more in the room."""
        presence = self._rooms.get(room)
        if presence is not None and presence.remove(client_id, now_seconds, at_once=at_once) is not None:
            self._changed_rooms.add(room)

    def hide(self, user_id: int, *, is_hidden: bool) -> None:
        """Whether the user is offline for everybody else, whatever is open."""
        if is_hidden == (user_id in self._hidden):
            return
        if is_hidden:
            self._hidden.add(user_id)
        else:
            self._hidden.discard(user_id)
        user = self._users.get(user_id)
        if user is not None:
            self._changed_users.add(user_id)
            for room in user.rooms:
                self._touch(room, user_id)

    # What came of it

    def settle(self, now_seconds: float, is_ready: Callable[[str], bool] = lambda room: True) -> Changes:
        """What has changed since it was last asked for: of all users, and in the rooms that are ready to be told."""
        for room, user_id in self._deadlines.take(now_seconds):
            if room is None:
                self._changed_users.add(user_id)
            else:
                self._touch(room, user_id)
        rooms = [room for room in self._changed_rooms if is_ready(room)]
        self._changed_rooms.difference_update(rooms)
        told = {room: news for room in rooms if (news := self._settle_room(room, now_seconds))}
        users, self._changed_users = self._changed_users, set()
        changes = [(user_id, self._settle_user(user_id, now_seconds)) for user_id in users]
        moved, self._moved = self._moved, set()
        return Changes(told, {user_id: change for user_id, change in changes if change is not None}, moved)

    @property
    def has_changes(self) -> bool:
        """Whether something is left to be settled."""
        return bool(self._changed_rooms or self._changed_users)

    def _touch(self, room: str, user_id: int) -> None:
        presence = self._rooms.get(room)
        if presence is not None:
            presence.touch(user_id)
            self._changed_rooms.add(room)

    def _settle_room(self, room: str, now_seconds: float) -> list[Told]:
        presence = self._rooms[room]
        told, looked_at = presence.settle(now_seconds)
        for user_id, due_seconds in looked_at.items():
            if due_seconds is not None:
                self._deadlines.set((room, user_id), due_seconds)
            self._note_room(user_id, room, is_there=presence.has(user_id))
        if presence.is_empty:
            del self._rooms[room]
        return told

    def _note_room(self, user_id: int, room: str, *, is_there: bool) -> None:
        user = self._users.get(user_id)
        if user is None:
            return
        was_there = user.rooms.pop(room, room) is None
        if is_there and not was_there:
            self._moved.add(user_id)
        if is_there:
            user.rooms[room] = None
            user.last_room = room
        self._changed_users.add(user_id)

    def _settle_user(self, user_id: int, now_seconds: float) -> UserChange | None:
        user = self._users.get(user_id)
        if user is None:
            return None
        before, was_here = user.told, user.is_here
        user.is_here = is_here = bool(user.connections) or now_seconds < user.offline_at_seconds
        user.told = state = self._state(user_id, user) if is_here else "offline"
        if is_here and not user.connections:
            self._deadlines.set((None, user_id), user.offline_at_seconds)
        if is_here != was_here:
            self._moved.add(user_id)
        if not is_here and not user.rooms:
            del self._users[user_id]
        if state == before:
            return None
        return UserChange(state, now_seconds if is_here else user.left_at_seconds, user.last_room)

    def _state(self, user_id: int, user: _User) -> UserState:
        """Away with every device that shows anything."""
        if user_id in self._hidden:
            return "offline"
        shown = (self._rooms[room].member(user_id) for room in user.rooms)
        states = [member["state"] for member in shown if member is not None]
        return "away" if states and all(state == "away" for state in states) else "online"

    def due_seconds(self) -> float | None:
        """When to settle again although nothing happens; None: never."""
        return self._deadlines.next_seconds()

    # Who is there, as it was settled last

    def state_of(self, user_id: int) -> UserState:
        """As others see it."""
        user = self._users.get(user_id)
        return "offline" if user is None else user.told

    def is_connected(self, user_id: int) -> bool:
        """Whether a connection is open, or was until a moment ago; be the user in hiding or not."""
        user = self._users.get(user_id)
        return user is not None and user.is_here

    def last_room_of(self, user_id: int) -> str | None:
        """Where a connected user is, or was last."""
        user = self._users.get(user_id)
        return None if user is None else user.last_room

    def is_hidden(self, user_id: int) -> bool:
        """Whether `hide` says so."""
        return user_id in self._hidden

    def rooms_of(self, user_id: int) -> dict[str, Mapping[str, Any]]:
        """What the user shows in each room, the one that was entered or used last at the end."""
        user = self._users.get(user_id)
        shown = {} if user is None else {room: self._rooms[room].member(user_id) for room in user.rooms}
        return {room: member for room, member in shown.items() if member is not None}

    def members(self, room: str) -> list[Mapping[str, Any]]:
        """Who is in a room for the others."""
        presence = self._rooms.get(room)
        return [] if presence is None else presence.members()

    def online(self) -> Iterable[int]:
        """Everybody whom others see online or away."""
        return (user_id for user_id, user in self._users.items() if user.told != "offline")
