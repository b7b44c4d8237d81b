"""Chats as SQL has them: messages, receipts, unread counts, search, and what happened in a room.

What writes messages and events is a plain function, to be called by an effect (`crdt_store.effects`).
"""

from collections.abc import Collection, Iterable
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from crdt_store import message_rows, message_search, receipts, room_events
from crdt_store.database import Database
from crdt_store.message_rows import NewMessage, StoredMessage
from crdt_store.posting import delete_message, edit_message, insert_messages
from crdt_store.receipts import Mark, Moved, Receipt
from crdt_store.room_events import RoomEvent, append_event, trim_events

__all__ = [
    "ChatHead",
    "Mark",
    "Messages",
    "Moved",
    "NewMessage",
    "Receipt",
    "RoomEvent",
    "StoredMessage",
    "append_event",
    "delete_message",
    "edit_message",
    "insert_messages",
    "trim_events",
]


class ChatHead(NamedTuple):
    """Where a chat ends, and the events of its room; 0 where there are none."""

    last_seq: int
    last_event_seq: int


class Messages:
    """Those of a database. All raise LogUnavailable; a limit below 1 gets nothing.

    `chat_id` is the number in a room's name, below 2**63; other numbers may be any that a client sent.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, chat_id: int, *, before: int | None, limit: int) -> list[StoredMessage]:
        """The chat's newest messages, or those with a seq below `before`; newest first, the deleted among them."""
        return await self._database.read(
            partial(message_rows.read_page, chat_id=chat_id, before=before, limit=limit)
        )

    async def message(self, chat_id: int, uuid: str, sender_id: int) -> StoredMessage | None:
        """The sender's message of that uuid, if there is one, deleted or not."""
        return await self._database.read(
            partial(message_rows.read_message, chat_id=chat_id, uuid=uuid, sender_id=sender_id)
        )

    async def heads(self, chat_ids: Iterable[int]) -> dict[int, ChatHead]:
        """Of each of these chats, also of those in which nothing was ever said."""
        return await self._database.read(partial(_heads, chat_ids=list(chat_ids)))

    async def mark_read(self, chat_id: int, user_id: int, seq: int, now_ms: int) -> Receipt:
        """The user has read all up to `seq`. Raises Conflict for a user that there is not."""
        (moved,) = await self.mark([Mark(chat_id, user_id, read_seq=seq)], now_ms)
        return moved.after

    async def mark_delivered(self, chat_id: int, user_id: int, seq: int, now_ms: int) -> Receipt:
        """The user has got all up to `seq`. Raises Conflict for a user that there is not."""
        (moved,) = await self.mark([Mark(chat_id, user_id, delivered_seq=seq)], now_ms)
        return moved.after

    async def mark(self, marks: Iterable[Mark], now_ms: int) -> list[Moved]:
        """All these in one transaction: what became of each chat and user named, in their order.

        It costs as much as these do, however many others have receipts. Raises Conflict for a user that there is not.
        """
        return await self._database.write(partial(receipts.mark, marks=list(marks), now_ms=now_ms))

    async def receipts(self, chat_id: int) -> list[Receipt]:
        """Of all who have one in the chat, by user id."""
        return await self._database.read(partial(receipts.receipts_of, chat_id=chat_id))

    async def chats_of(self, user_id: int, limit: int) -> list[int]:
        """Chats in which the user has a receipt: has got or read something, the latest used first."""
        return await self._database.read(partial(receipts.chats_of, user_id=user_id, limit=limit))

    async def unread(self, user_id: int, chat_ids: Iterable[int]) -> dict[int, int]:
        """For each of these chats: messages after the user's mark, but for deleted ones and the user's own."""
        return await self._database.read(partial(receipts.unread, user_id=user_id, chat_ids=list(chat_ids)))

    async def search(
        self, query: str, chat_ids: Collection[int] | None, limit: int, before: int | None = None
    ) -> list[StoredMessage]:
        """Messages of these chats (None: of all) with every word of the query; the last one may be unfinished.

        Newest first, from below the message id `before`. Whatever the query is, none of it is syntax.
        """
        return await self._database.read(
            partial(message_search.search, query=query, chat_ids=chat_ids, limit=limit, before=before)
        )

    async def events_after(self, room: str, seq: int, limit: int) -> tuple[list[RoomEvent], bool]:
        """The first events of the room after `seq`, and whether there is a gap: some are not kept any more."""
        return await self._database.read(partial(room_events.events_after, room=room, seq=seq, limit=limit))


def _heads(connection: Connection, chat_ids: list[int]) -> dict[int, ChatHead]:
    ends = receipts.last_seqs(connection, chat_ids)
    rooms = {chat_id: f"chat:{chat_id}" for chat_id in ends}
    events = room_events.last_event_seqs(connection, rooms.values())
    return {chat_id: ChatHead(last_seq, events[rooms[chat_id]]) for chat_id, last_seq in ends.items()}
