"""The rooms that one JSON client is in: coming in, hearing what was missed, going."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from auth.grants import Action, Grant, Role
from server.access.texts import role_name
from server.access.writing import write_action
from server.events.context import Context
from server.events.errors import EventError, EventErrorCode
from server.events.json_connection import JsonConnection
from server.events.json_member import JsonMember
from server.events.models import JoinRoom
from server.events.room_feed import Missed, RoomFeed
from server.news.hub import News
from server.presence.world import WorldWatcher
from server.rooms.names import BadRoomName, RoomKind, RoomName, parse_room_name
from server.rooms.room import Room

_MISSED_SHARE = 4
"""What was missed of one room takes no more than such a part of the outbox."""


@dataclass(slots=True)
class Joined:
    """`member` is None in `global`, of which `watcher` sees those whom its user may see."""

    name: RoomName
    role: Role
    feed: RoomFeed
    member: JsonMember | None = None
    room: Room | None = None
    watcher: WorldWatcher | None = None


class JoinedRooms:
    """`on_closed` is called with the name and the reason when the server closes a room for the client."""

    def __init__(
        self, context: Context, connection: JsonConnection, on_closed: Callable[[RoomName, str], None]
    ) -> None:
        self._context = context
        self._connection = connection
        self._on_closed = on_closed
        self._joined: dict[str, Joined] = {}
        self.only_room: str | None = None  # what a ticket was for

    def __iter__(self) -> Iterator[Joined]:
        return iter(tuple(self._joined.values()))

    def parse(self, text: str) -> RoomName:
        """Raises EventError."""
        plain_names = self._context.settings.plain_names_workspace_id
        try:
            return parse_room_name(text, plain_names_workspace_id=plain_names)
        except BadRoomName as error:
            raise EventError(EventErrorCode.NOT_FOUND, str(error)) from error

    def find(self, text: str) -> Joined:
        """The room that an event names. Raises EventError if it was not joined."""
        joined = self._joined.get(self.parse(text).canonical)
        if joined is None:
            raise EventError(EventErrorCode.NOT_JOINED)
        return joined

    def role_in(self, room: RoomName) -> Role:
        """NONE where it is not."""
        joined = self._joined.get(room.canonical)
        return Role.NONE if joined is None else joined.role

    async def join(self, request: JoinRoom) -> tuple[dict[str, Any], Callable[[], None]]:
        """Come in, or change what was said at coming in. Returns (the answer, what to do once it is sent).

        Raises EventError, TooMany, NoSuchRoom, RoomUnavailable, LogUnavailable.
        """
        name = self.parse(request.room)
        joined = self._joined.get(name.canonical)
        if joined is None:
            joined = await self._enter(name, is_away=request.away)
        else:
            joined.feed.hold()
            if joined.member is not None:
                joined.member.show_away(request.away)
        try:
            members = await self._members(joined)
            missed = await self._missed(joined, request.last_seq)
            unread = await self._unread(name)
        except BaseException:
            self.leave(joined)
            raise
        if self._joined.get(name.canonical) is not joined:  # closed meanwhile
            raise EventError(EventErrorCode.UNAVAILABLE, "the room was closed: try again")
        answer = {
            "room": name.canonical,
            "role": role_name(joined.role),
            "members": members,
            "last_seq": missed.last_seq,
            "gap": missed.gap,
        }
        if missed.gap:
            answer["rest"] = _rest_link(name)
        if unread is not None:
            answer["unread"] = unread
        return answer, partial(joined.feed.open, missed)

    async def _enter(self, name: RoomName, *, is_away: bool) -> Joined:
        context, connection = self._context, self._connection
        if self.only_room not in (None, name.canonical):
            raise EventError(EventErrorCode.NOT_ALLOWED, f"your ticket is for {self.only_room} alone")
        max_rooms = self._context.settings.max_rooms_per_connection
        if len(self._joined) >= max_rooms:
            reason = f"a connection is in at most {max_rooms} rooms (max_rooms_per_connection)"
            raise EventError(EventErrorCode.RATE_LIMITED, reason)
        context.gate.check_join(connection.user_id)
        role = await context.doorkeeper.role_in(connection.identity, name)
        grant = Grant(role)
        if not grant.allows(Action.READ):
            raise EventError(EventErrorCode.NOT_ALLOWED, "no access to this room")
        if name.kind is RoomKind.GLOBAL:
            joined = self._add(Joined(name, role, self._feed(name)))
            joined.watcher = WorldWatcher(lambda: connection.identity, joined.feed.hear)
            return joined
        may_create = context.settings.create_files and grant.allows(write_action(name.kind))
        async with context.rooms.visit(name, may_create=may_create) as room:
            if not connection.is_open:
                raise EventError(EventErrorCode.UNAVAILABLE)
            joined = self._add(Joined(name, role, self._feed(name), room=room))
            joined.member = self._member(joined, room, is_away=is_away)
            joined.member.enter()
        return joined

    def _add(self, joined: Joined) -> Joined:
        self._joined[joined.name.canonical] = joined
        return joined

    def _feed(self, name: RoomName) -> RoomFeed:
        return RoomFeed(name.canonical, self._context.hub, partial(self._send, name.canonical))

    def _send(self, room: str, news: News) -> None:
        self._connection.send(self._context.texts.of(news, room))

    def _member(self, joined: Joined, room: Room, *, is_away: bool) -> JsonMember:
        client_id = self._context.random_client_id()
        while room.presence.user_of(client_id) is not None:
            client_id = self._context.random_client_id()
        return JsonMember(
            self._connection,
            room,
            self._context.presence,
            client_id,
            is_away=is_away,
            tell=joined.feed.hear,
            on_closed=partial(self._closed, joined),
            now_seconds=self._context.now_seconds,
        )

    async def _members(self, joined: Joined) -> Sequence[Mapping[str, Any]]:
        if joined.watcher is not None:
            return await self._context.world.watch(joined.watcher)
        return self._context.presence.members(joined.name.canonical)

    def _closed(self, joined: Joined, reason: str) -> None:
        self.leave(joined)
        self._on_closed(joined.name, reason)

    async def _missed(self, joined: Joined, last_seq: int | None) -> Missed:
        max_bytes = self._context.settings.max_outbox_bytes // _MISSED_SHARE
        return await joined.feed.missed(self._context.history, last_seq, max_bytes)

    async def _unread(self, name: RoomName) -> int | None:
        if name.kind is not RoomKind.CHAT or self._context.unread is None:
            return None
        return (await self._context.unread.unread(self._connection.user_id, [name.id]))[name.id]

    def leave(self, joined: Joined) -> None:
        """Go; the others are told."""
        if self._joined.get(joined.name.canonical) is joined:
            del self._joined[joined.name.canonical]
        joined.feed.close()
        if joined.member is not None:
            joined.member.leave()
        if joined.watcher is not None:
            self._context.world.unwatch(joined.watcher)

    def leave_all(self) -> None:
        """The connection is gone."""
        for joined in self:
            self.leave(joined)


def _rest_link(name: RoomName) -> str | None:
    """Where what was missed can be read."""
    if name.kind is RoomKind.CHAT:
        return f"/api/chats/{name.id}/messages"
    return f"/api/documents/{name.canonical}" if name.has_document else None
