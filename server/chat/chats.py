"""Chats: between the thread's document, the database and whoever listens.

A message gets its `seq` in the transaction that stores it; only then the server writes it into the document, and JSON
clients hear of it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from crdt_store.database import Database
from crdt_store.update_log import LogUnavailable
from server.chat import writing
from server.chat.chat_rules import ChatRules
from server.chat.judgement import News, Sent
from server.chat.recording import Recording, Told
from server.chat.told import iso
from server.news.hub import Hub
from server.news.hub import News as HubNews
from server.protocol.structs import Id
from server.rooms.names import RoomKind, RoomName
from server.rooms.room import Room
from server.rooms.room_manager import RoomManager
from server.rooms.rules import DocumentRules, Written

logger = logging.getLogger(__name__)
Start = Callable[[Coroutine[Any, Any, None]], object]


class Chats:
    """`rooms` is set once the Room Manager, which asks this for its rules, is there."""

    rooms: RoomManager

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
        self._numbers: dict[str, list[Told]] = {}  # by room: messages whose seq is to be written

    # Rooms

    def rules_of(self, name: RoomName) -> DocumentRules | None:
        """As `rooms.rules.RulesOf`."""
        if name.kind is not RoomKind.CHAT:
            return None
        return ChatRules(partial(self.recording, name))

    def opened(self, room: Room) -> None:
        """A room was opened: what its thread holds and the database does not know is stored now."""
        if isinstance(room.rules, ChatRules):
            missing = [Sent(each) for each in room.rules.thread.all_messages() if each.seq is None]
            if missing:
                self.start(self._record(self.recording(room.name, tuple(missing))))

    def recording(self, name: RoomName, news: tuple[News, ...]) -> Recording:
        """What stores these news of a thread."""
        return Recording(
            name.canonical, name.id, news, self._now_ms(), self._max_events, partial(self._stored, name)
        )

    async def _record(self, recording: Recording) -> None:
        try:
            await self._database.write(recording.store)
        except LogUnavailable as error:  # it is tried again when the room is opened again
            logger.error("messages of %s are not stored yet: %s", recording.room, error)
        else:
            recording.committed()

    # After the commit

    def _stored(self, name: RoomName, recording: Recording, told: list[Told]) -> None:
        for each in told:
            if each.event_seq:
                self._hub.publish(
                    recording.room,
                    HubNews("message", each.payload, each.sender_id, recording.now_ms, each.event_seq),
                )
        numbers = [each for each in told if isinstance(each.news, Sent)]
        room = self.rooms.rooms.get(recording.room)
        if numbers and isinstance(room, Room):
            waiting = self._numbers.setdefault(recording.room, [])
            waiting += numbers
            if len(waiting) == len(numbers):  # the first of this turn
                asyncio.get_running_loop().call_soon(self._write_numbers, room)

    def _write_numbers(self, room: Room) -> None:
        told = self._numbers.pop(room.name.canonical, [])
        room.write(partial(_numbered, room, told))


def _numbered(room: Room, told: list[Told], at: Id) -> Written | None:
    """`seq` and `server_time` of messages that have none yet."""
    if not isinstance(room.rules, ChatRules):
        return None
    thread, changes = room.rules.thread, []
    for each in told:
        if each.message is None:
            continue
        message = thread.message(each.message.sender_id, each.message.uuid)
        if message is not None and message.seq is None:
            fields = {"seq": each.message.seq, "server_time": iso(each.message.server_time_ms)}
            changes.append((message.item, fields))
    update = writing.set_fields(thread, at, changes)
    return None if update is None else Written(update)
