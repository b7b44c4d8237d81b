"""The Presence Tracker at work: it hears of connections and of what is shown in rooms, and tells who watches."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from server.news.hub import News
from server.presence.cursors import Cursors
from server.presence.room_presence import Told
from server.presence.tracker import Changes, Tracker
from server.protocol.awareness_codec import AwarenessEntry
from server.rooms.departure import Departure
from server.rooms.member import Member
from server.rooms.names import RoomKind
from server.rooms.room import Room

FRAME_SECONDS = 1 / 30
"""Nobody is told more than so many changes of one user a second."""

IDLE_SECONDS = 1.0
"""What is shown where nobody watches is read once in so long."""


class Watcher(Protocol):
    """A JSON client in a room."""

    @property
    def client_id(self) -> int:
        """Under which it is shown."""

    def tell(self, news: News) -> None:
        """What a user of the room does."""


class PresenceKeeper:
    """`tracker` is up to date after `settle`. `now_seconds` is never set back, `now_ms` is since 1970."""

    def __init__(
        self, tracker: Tracker, *, now_seconds: Callable[[], float], now_ms: Callable[[], int]
    ) -> None:
        self.tracker = tracker
        self.on_users: list[Callable[[Changes], None]] = []
        """Called when the state of users is another one than it was, or some have entered rooms."""
        self.rooms: Mapping[str, Room] = {}
        """Those that are open."""
        self._now_seconds = now_seconds
        self._now_ms = now_ms
        self._watchers: dict[str, set[Watcher]] = {}
        self._leaves_at_once = False
        self._soon = Departure(self._settle_watched)
        self._later = Departure(self.settle)
        self._timer: asyncio.TimerHandle | None = None

    # What happens

    def connected(self, connection: object, user_id: int) -> None:
        """A connection of the user is open."""
        self.tracker.connect(connection, user_id)
        self._soon.within(FRAME_SECONDS)

    def disconnected(self, connection: object) -> None:
        """It is closed."""
        self.tracker.disconnect(connection, self._now_seconds(), at_once=self._leaves_at_once)
        self._soon.within(FRAME_SECONDS)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Who leaves in this block does so for good: on purpose, or after so long a silence that no grace is due."""
        before, self._leaves_at_once = self._leaves_at_once, True
        try:
            yield
        finally:
            self._leaves_at_once = before

    def observe(self, room: Room) -> None:
        """Follow what is shown in a room that has been opened."""
        room.presence.observer = _RoomObserver(self, room)

    def shown(self, room: str, member: Member, entry: AwarenessEntry) -> None:
        """A member of a room shows something, or nothing any more."""
        now_seconds = self._now_seconds()
        if entry.state is None:
            self.tracker.remove(room, entry.client_id, now_seconds, at_once=self._leaves_at_once)
        else:
            self.tracker.show(
                room,
                entry.client_id,
                member.user_id,
                entry.state,
                now_seconds,
                shown_user=member.shown_user,
                typing_expires=member.has_replica,  # who has none says itself when it ends
            )
        if room in self._watchers:
            self._soon.within(FRAME_SECONDS)
        else:
            self._later.within(IDLE_SECONDS)

    def hide(self, user_id: int, *, is_hidden: bool) -> None:
        """Whether the user is offline for everybody else; in awareness, from the next state on that is shown."""
        rooms = list(self.tracker.rooms_of(user_id))
        self.tracker.hide(user_id, is_hidden=is_hidden)
        if is_hidden:
            for room in rooms:
                if room in self.rooms:
                    self.rooms[room].presence.hide(user_id)
        self._soon.within(0)

    # Who is told

    def watch(self, room: str, watcher: Watcher) -> None:
        """Tell the watcher what happens in the room from now on."""
        self.settle_room(room)
        self._watchers.setdefault(room, set()).add(watcher)

    def unwatch(self, room: str, watcher: Watcher) -> None:
        """Tell it nothing more; idempotent."""
        watchers = self._watchers.get(room, set())
        watchers.discard(watcher)
        if not watchers:
            self._watchers.pop(room, None)

    def members(self, room: str) -> list[Mapping[str, Any]]:
        """Who is in the room now."""
        self.settle_room(room)
        cursors = self.cursors(room)
        return [_placed(member, cursors) for member in self.tracker.members(room)]

    def cursors(self, room: str) -> Cursors | None:
        """Of a file's text as it is now; None if it cannot be looked at, or is none."""
        found = self.rooms.get(room)
        is_file = found is not None and found.name.kind is RoomKind.FILE
        return Cursors(found.document) if found is not None and is_file and not found.is_busy else None

    def settle(self) -> None:
        """Tell all that has changed, everywhere."""
        self._settle(lambda room: True)

    def settle_room(self, room: str) -> None:
        """Tell what has changed in one room."""
        self._settle(room.__eq__)

    def _settle_watched(self) -> None:
        self._settle(self._watchers.__contains__)

    def _settle(self, is_ready: Callable[[str], bool]) -> None:
        changes = self.tracker.settle(self._now_seconds(), is_ready)
        for room, told in changes.rooms.items():
            if room in self._watchers:
                cursors = self.cursors(room)
                for each in told:
                    self._tell(room, each, cursors)
        if changes.users or changes.moved:
            for listener in self.on_users:
                listener(changes)
        if self.tracker.has_changes:
            self._later.within(IDLE_SECONDS)
        self._set_timer()

    def _tell(self, room: str, told: Told, cursors: Cursors | None) -> None:
        payload = {"user_id": told.user_id, **_placed(told.payload, cursors)}
        news = News(told.type, payload, told.user_id, self._now_ms())
        for watcher in tuple(self._watchers.get(room, ())):
            if watcher.client_id not in told.but:
                watcher.tell(news)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_seconds = self.tracker.due_seconds()
        if due_seconds is not None:
            delay_seconds = max(0.0, due_seconds - self._now_seconds())
            self._timer = asyncio.get_running_loop().call_later(delay_seconds, self._settle_watched)

    def close(self) -> None:
        """Tell nothing more."""
        self.on_users.clear()
        self._watchers.clear()
        self._soon.cancel()
        self._later.cancel()
        if self._timer is not None:
            self._timer.cancel()


def _placed(payload: Mapping[str, Any], cursors: Cursors | None) -> Mapping[str, Any]:
    """With the lines and columns of its cursor, if it has one that says them."""
    place = None if cursors is None else cursors.places(payload.get("cursor"))
    return payload if place is None else {**payload, "place": place}


class _RoomObserver:
    """Of one room. In `global` nobody is shown to everybody."""

    def __init__(self, keeper: PresenceKeeper, room: Room) -> None:
        self._keeper = keeper
        self._room = room.name.canonical
        self._is_global = room.name.kind is RoomKind.GLOBAL

    def shown(self, member: Member, entry: AwarenessEntry) -> None:
        if not self._is_global:
            self._keeper.shown(self._room, member, entry)

    def hides(self, user_id: int) -> bool:
        return self._is_global or self._keeper.tracker.is_hidden(user_id)
