"""Chats: between the thread's document, the database and whoever listens.

A message gets its `seq` in the transaction that stores it; only then the server writes it into the document, and JSON
clients hear of it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from crdt_store.database import Database
from crdt_store.message_rows import StoredMessage
from server.chat.carrying import Carrying
from server.chat.chat_rules import ChatRules
from server.chat.judgement import News, Sent
from server.chat.recording import Recording, Told
from server.chat.rollover import Rollover
from server.chat.segments import settle
from server.news.hub import Hub
from server.news.hub import News as HubNews
from server.protocol.structs import Id
from server.rooms.member import Member
from server.rooms.names import RoomKind, RoomName, chat_name
from server.rooms.room import Room
from server.rooms.room_manager import RoomManager
from server.rooms.rules import DocumentRules, Written
from server.rooms.runs import Run

Start = Callable[[Coroutine[Any, Any, None]], object]


class Chats:
    """`rooms` and what works on them is set once the Room Manager, which asks this for its rules, is there."""

    rooms: RoomManager
    carrying: Carrying
    rollover: Rollover

    def __init__(
        self,
        database: Database,
        hub: Hub,
        *,
        max_events: int,
        now_ms: Callable[[], int],
        start: Start,
    ) -> None:
        """`max_events` of each room are kept for those who come back. `start` runs what is to be done beside."""
        self._database = database
        self._hub = hub
        self._max_events = max_events
        self._now_ms = now_ms
        self.start = start
        self._numbers: dict[str, list[StoredMessage]] = {}  # by room: messages whose seq is to be written

    # Rooms

    def rules_of(self, name: RoomName) -> DocumentRules | None:
        """As `rooms.rules.RulesOf`."""
        if name.kind not in (RoomKind.CHAT, RoomKind.SEGMENT):
            return None
        return ChatRules(partial(self.recording, name))

    def opened(self, room: Room) -> None:
        """A room was opened."""
        if isinstance(room.rules, ChatRules):
            self.start(self.carrying.put_right(room))

    def emptied(self, room: Room) -> None:
        """Its last member has left."""
        self.rollover.consider(room)

    async def take_over(self, room: Room, member: Member, update: bytes) -> bool:
        """As `rooms.room_manager.OnStale`."""
        return await self.carrying.take_over(room, member, update)

    def recording(self, name: RoomName, news: tuple[News, ...], run: Run | None = None) -> Recording:
        """What stores these news of a thread, by this run of an agent."""
        return Recording(
            chat_name(name.id).canonical,
            name.id,
            news,
            self._now_ms(),
            self._max_events,
            partial(self._stored, name),
            None if run is None else run.shown,
        )

    # After the commit

    def _stored(self, name: RoomName, recording: Recording, told: list[Told]) -> None:
        for each in told:
            if each.event_seq:
                self._hub.publish(
                    recording.room,
                    HubNews("message", each.payload, each.sender_id, recording.now_ms, each.event_seq),
                )
        sent = [each.message for each in told if isinstance(each.news, Sent) and each.message is not None]
        room = self.rooms.rooms.get(name.canonical)
        if sent and isinstance(room, Room):
            waiting = self._numbers.setdefault(name.canonical, [])
            waiting += sent
            if len(waiting) == len(sent):  # the first of this turn
                asyncio.get_running_loop().call_soon(self._write_numbers, room)
        if name.segment is not None:
            self.carrying.carry(name, told)

    def _write_numbers(self, room: Room) -> None:
        room.write(partial(_numbered, room, self._numbers.pop(room.name.canonical, [])))
        self.rollover.consider(room)


def _numbered(room: Room, sent: list[StoredMessage], at: Id) -> Written | None:
    """`seq` and `server_time` of messages that have none yet."""
    if not isinstance(room.rules, ChatRules):
        return None
    update = settle(room.rules.thread, at, sent, only_numbers=True)
    return None if update is None else Written(update)
