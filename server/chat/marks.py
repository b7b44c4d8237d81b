"""How far people have got in chats: said by many, stored together, told to all at once."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from crdt_store.messages import Messages
from crdt_store.receipts import Mark, Receipt
from crdt_store.update_log import LogUnavailable
from server.chat import writing
from server.chat.chat_rules import ChatRules
from server.chat.chats import Chats
from server.events.errors import EventError, EventErrorCode
from server.events.handlers import Answer, Speaker
from server.events.models import ReadUpTo
from server.news.hub import Hub, News
from server.protocol.structs import Id
from server.rooms.names import RoomKind, RoomName
from server.rooms.room import Room
from server.rooms.rules import Written

_GATHER_SECONDS = 0.05
"""Marks of so long are one transaction, and one event for each chat."""

_DOCUMENT_SECONDS = 1.0
"""A document keeps every receipt that it was ever told: once a second is often enough."""

logger = logging.getLogger(__name__)


class Marks:
    """Delivered and read. In a busy thread what is told grows with time, not with members times messages."""

    def __init__(self, chats: Chats, messages: Messages, hub: Hub, now_ms: Callable[[], int]) -> None:
        self._chats = chats
        self._messages = messages
        self._hub = hub
        self._now_ms = now_ms
        self._waiting: dict[Mark, list[asyncio.Future[Receipt]]] = {}
        self._is_storing = False
        self._for_documents: dict[str, dict[int, Receipt]] = {}  # by room and user

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
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(Mark(name.id, user_id, delivered_seq, read_seq), []).append(future)
        if not self._is_storing:
            self._is_storing = True
            self._chats.start(self._store())
        return await future

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
            before = await self._receipts(waiting)
            receipts = await self._messages.mark(waiting, self._now_ms())
        except LogUnavailable as error:
            for futures in waiting.values():
                _fail(futures, error)
            return
        found = {(receipt.chat_id, receipt.user_id): receipt for receipt in receipts}
        for mark, futures in waiting.items():
            for future in futures:
                if not future.done():
                    future.set_result(found[mark.chat_id, mark.user_id])
        self._tell([receipt for receipt in receipts if before.get(receipt[:2]) != receipt[2:4]])

    async def _receipts(self, marks: dict[Mark, Any]) -> dict[tuple[int, int], tuple[int, int]]:
        """What was known of these chats before: only what changes is told."""
        known: dict[tuple[int, int], tuple[int, int]] = {}
        for chat_id in {mark.chat_id for mark in marks}:
            for receipt in await self._messages.receipts(chat_id):
                known[chat_id, receipt.user_id] = receipt.delivered_seq, receipt.read_seq
        return known

    # Telling

    def _tell(self, receipts: list[Receipt]) -> None:
        of_chat: dict[int, list[Receipt]] = {}
        for receipt in receipts:
            of_chat.setdefault(receipt.chat_id, []).append(receipt)
        for chat_id, changed in of_chat.items():
            room = f"chat:{chat_id}"
            statuses = [status for receipt in changed for status in _statuses(receipt)]
            self._hub.publish(room, News("message_status", {"statuses": statuses}, None, self._now_ms()))
            for receipt in changed:
                if receipt.read_seq:
                    self._tell_devices(room, receipt)
            if room not in self._for_documents:
                asyncio.get_running_loop().call_later(_DOCUMENT_SECONDS, self._write, room)
            self._for_documents.setdefault(room, {}).update((each.user_id, each) for each in changed)

    def _tell_devices(self, room: str, receipt: Receipt) -> None:
        """What one device has read, all have, in the room or not."""
        payload = {"kind": "read", "room": room, "seq": receipt.read_seq}
        self._hub.publish_to_user(receipt.user_id, News("notification", payload, None, self._now_ms()))

    def _write(self, key: str) -> None:
        receipts = self._for_documents.pop(key, {})
        room = self._chats.rooms.rooms.get(key)
        if isinstance(room, Room):
            room.write(partial(_written, room, receipts))


def _written(room: Room, receipts: dict[int, Receipt], at: Id) -> Written | None:
    if not isinstance(room.rules, ChatRules):
        return None
    marks = {
        user_id: writing.Receipt(receipt.delivered_seq, receipt.read_seq)
        for user_id, receipt in receipts.items()
    }
    update = writing.set_receipts(room.rules.thread, at, marks)
    return None if update is None else Written(update)


def _statuses(receipt: Receipt) -> list[dict[str, Any]]:
    """What is read was delivered: one of both is enough where they are the same."""
    found = []
    if receipt.delivered_seq > receipt.read_seq:
        found.append({"user_id": receipt.user_id, "status": "delivered", "seq": receipt.delivered_seq})
    if receipt.read_seq:
        found.append({"user_id": receipt.user_id, "status": "read", "seq": receipt.read_seq})
    return found


def _told(name: RoomName, receipt: Receipt) -> dict[str, Any]:
    return {
        "room": name.canonical,
        "delivered_seq": receipt.delivered_seq,
        "read_seq": receipt.read_seq,
    }


def _check_chat(name: RoomName) -> None:
    if name.kind is not RoomKind.CHAT:
        raise EventError(EventErrorCode.NOT_ALLOWED, "only chats have messages")


def _fail(futures: list[asyncio.Future[Receipt]], error: LogUnavailable) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
