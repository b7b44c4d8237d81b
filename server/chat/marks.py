"""How far people have got in chats: said by many, stored together, told to all at a pace."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from crdt_store.messages import Messages
from crdt_store.receipts import Mark, Moved, Receipt
from crdt_store.update_log import LogUnavailable
from server.chat import writing
from server.chat.chat_rules import ChatRules
from server.chat.chats import Chats
from server.chat.trickle import Trickle
from server.events.errors import EventError, EventErrorCode
from server.events.handlers import Answer, Speaker
from server.events.models import ReadUpTo
from server.news.hub import Hub, News
from server.protocol.structs import Id
from server.rooms.names import RoomKind, RoomName
from server.rooms.room import Room
from server.rooms.rules import Written

_GATHER_SECONDS = 0.05
"""Marks of so long are one transaction."""

_EVENT_SECONDS_EACH = 0.01
"""JSON clients are told of 100 users of a chat a second."""

_DOCUMENT_SECONDS, _DOCUMENT_SECONDS_EACH = 1.0, 0.02
"""A document keeps every receipt that it was ever told: after a second, and 50 a second, is often enough."""


class Marks:
    """Delivered and read. In a busy thread what is told grows with time, not with members times messages."""

    def __init__(self, chats: Chats, messages: Messages, hub: Hub, now_ms: Callable[[], int]) -> None:
        self._chats = chats
        self._messages = messages
        self._hub = hub
        self._now_ms = now_ms
        self._waiting: dict[Mark, list[asyncio.Future[Receipt]]] = {}
        self._is_storing = False
        self._for_rooms = Trickle(self._tell_room, delay_seconds=0, seconds_each=_EVENT_SECONDS_EACH)
        self._for_documents = Trickle(
            self._write, delay_seconds=_DOCUMENT_SECONDS, seconds_each=_DOCUMENT_SECONDS_EACH
        )

    # Handlers

    async def delivered(self, speaker: Speaker, name: RoomName, event: ReadUpTo) -> Answer:
        """`message_delivered`. Raises EventError, LogUnavailable."""
        _check_chat(name)
        receipt = await self.mark(speaker.identity.user_id, name, delivered_seq=event.seq)
        return _told(name, receipt)

    async def read(self, speaker: Speaker, name: RoomName, event: ReadUpTo) -> Answer:
        """`message_read`. Raises EventError, LogUnavailable."""
        _check_chat(name)
        user_id = speaker.identity.user_id
        receipt = await self.mark(user_id, name, read_seq=event.seq)
        unread = await self._messages.unread(user_id, [name.id])
        return _told(name, receipt) | {"unread": unread[name.id]}

    async def mark(
        self, user_id: int, name: RoomName, *, read_seq: int = 0, delivered_seq: int = 0
    ) -> Receipt:
        """How far the user has got, once that is stored. Raises LogUnavailable."""
        return await self.note(user_id, name, read_seq=read_seq, delivered_seq=delivered_seq)

    def note(
        self, user_id: int, name: RoomName, *, read_seq: int = 0, delivered_seq: int = 0
    ) -> asyncio.Future[Receipt]:
        """The same, for who does not wait: the future has LogUnavailable where it was not stored."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(Mark(name.id, user_id, delivered_seq, read_seq), []).append(future)
        if not self._is_storing:
            self._is_storing = True
            self._chats.start(self._store())
        return future

    async def _store(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(_GATHER_SECONDS)
                waiting, self._waiting = self._waiting, {}
                await self._store_together(waiting)
        finally:
            self._is_storing = False

    async def _store_together(self, waiting: dict[Mark, list[asyncio.Future[Receipt]]]) -> None:
        try:
            found = await self._messages.mark(waiting, self._now_ms())
        except LogUnavailable as error:
            for futures in waiting.values():
                _fail(futures, error)
            return
        receipts = {(after.chat_id, after.user_id): after for _, after in found}
        for mark, futures in waiting.items():
            for future in futures:
                if not future.done():
                    future.set_result(receipts[mark.chat_id, mark.user_id])
        self._tell([each for each in found if each.before != each.after])

    # Telling

    def _tell(self, moved: Iterable[Moved]) -> None:
        for each in moved:
            self._for_rooms.add([each])
            self._for_documents.add([each])
            if each.after.read_seq > each.before.read_seq:
                self._tell_devices(each.after)

    def _tell_room(self, chat_id: int, moved: Sequence[Moved]) -> None:
        payload = {"statuses": [status for each in moved for status in _statuses(each)]}
        self._hub.publish(_room_key(chat_id), News("message_status", payload, None, self._now_ms()))

    def _tell_devices(self, receipt: Receipt) -> None:
        """What one device has read, all have, in the room or not."""
        payload = {"kind": "read", "room": _room_key(receipt.chat_id), "seq": receipt.read_seq}
        self._hub.publish_to_user(receipt.user_id, News("notification", payload, None, self._now_ms()))

    def _write(self, chat_id: int, moved: Sequence[Moved]) -> None:
        room = self._chats.rooms.rooms.get(_room_key(chat_id))
        if isinstance(room, Room):
            room.write(partial(_written, room, moved))


def _written(room: Room, moved: Sequence[Moved], at: Id) -> Written | None:
    if not isinstance(room.rules, ChatRules):
        return None
    marks = {after.user_id: writing.Receipt(after.delivered_seq, after.read_seq) for _, after in moved}
    update = writing.set_receipts(room.rules.thread, at, marks)
    return None if update is None else Written(update)


def _statuses(moved: Moved) -> list[dict[str, Any]]:
    """What is read was delivered: one of both is enough where they are the same."""
    before, after = moved
    found = []
    if after.delivered_seq > max(before.delivered_seq, after.read_seq):
        found.append({"user_id": after.user_id, "status": "delivered", "seq": after.delivered_seq})
    if after.read_seq > before.read_seq:
        found.append({"user_id": after.user_id, "status": "read", "seq": after.read_seq})
    return found


def _told(name: RoomName, receipt: Receipt) -> dict[str, Any]:
    return {
        "room": name.canonical,
        "delivered_seq": receipt.delivered_seq,
        "read_seq": receipt.read_seq,
    }


def _room_key(chat_id: int) -> str:
    return f"{RoomKind.CHAT}:{chat_id}"


def _check_chat(name: RoomName) -> None:
    if name.kind is not RoomKind.CHAT:
        raise EventError(EventErrorCode.NOT_ALLOWED, "only chats have messages")


def _fail(futures: list[asyncio.Future[Receipt]], error: LogUnavailable) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
