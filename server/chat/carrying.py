"""What comes late to a closed segment is carried over, and a document that is opened is put right."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from crdt_store.chat_segments import (
    newest_segments,
    newest_seq_of,
    read_range,
    read_seqs,
    segment_of,
    segment_with,
)
from crdt_store.database import Database
from crdt_store.effects import Connection
from crdt_store.group_commit import GroupCommit
from crdt_store.message_rows import StoredMessage
from crdt_store.receipts import Receipt, receipts_of
from crdt_store.update_log import LogUnavailable
from server.chat import writing
from server.chat.chat_rules import ChatRules
from server.chat.fields import ReactionKey
from server.chat.judgement import Reacted, Sent
from server.chat.recording import Recording, Told
from server.chat.segments import settle
from server.chat.thread import Thread
from server.engine.document import EngineFailure
from server.protocol.update_shape import MalformedUpdate, check_update
from server.rooms.member import Member
from server.rooms.names import RoomKind, RoomName, chat_name, segment_name
from server.rooms.room import Room, RoomBusy, UpdateIncomplete
from server.rooms.room_manager import NoSuchRoom, RoomManager, RoomUnavailable

_BATCH = 500
"""News that are carried over at once."""

_MAX_LOOKED_AT = 20
"""Closed segments of which a replica may be, the newest ones."""

Start = Callable[[Coroutine[Any, Any, None]], object]
logger = logging.getLogger(__name__)


class Carrying:
    """A thread in several documents. `record` makes what stores a message that no database knows yet."""

    def __init__(
        self,
        database: Database,
        rooms: RoomManager,
        commits: GroupCommit,
        record: Callable[[RoomName, tuple[Sent, ...]], Recording],
        *,
        start: Start,
        max_messages: int,
    ) -> None:
        """At most `max_messages` of a document are put right when it is opened."""
        self._start = start
        self._late: dict[int, list[tuple[RoomName, Told]]] = {}  # by chat
        self._database = database
        self._rooms = rooms
        self._commits = commits
        self._record = record
        self._max_messages = max_messages

    # A document that is opened

    async def put_right(self, room: Room) -> None:
        """See that the database has what the thread has, and the thread says what the database does."""
        try:
            async with room.standing_still():
                await self._commits.drain()
                await self._store_missing(room)
                stored = await self._database.read(partial(self._read, name=room.name, room=room))
                await _settle(room, stored)
                if room.name.kind is RoomKind.CHAT:
                    _receive(room, await self._database.read(partial(receipts_of, chat_id=room.name.id)))
        except RoomBusy:
            return  # it is over
        except LogUnavailable as error:  # it is tried again when the room is opened again
            logger.error("%s is not compared with the database yet: %s", room.name, error)

    async def _store_missing(self, room: Room) -> None:
        assert isinstance(room.rules, ChatRules)
        missing = await asyncio.to_thread(_missing, room.rules.thread)
        if missing:
            recording = self._record(room.name, missing)
            await self._database.write(recording.store)
            recording.committed()

    def _read(self, connection: Connection, name: RoomName, room: Room) -> list[StoredMessage]:
        assert isinstance(room.rules, ChatRules)
        first_seq, last_seq = room.rules.thread.first_seq, None
        if name.segment is not None:
            segment = segment_of(connection, name.id, name.segment)
            if segment is None:
                return []
            first_seq, last_seq = segment.first_seq, segment.last_seq
        return read_range(connection, name.id, first_seq, last_seq, self._max_messages)

    # What comes late

    async def home_of(self, chat_id: int, message_id: str, sender_id: int | None) -> RoomName | None:
        """The document in which a message lives on; None if there is no such message. Raises LogUnavailable.

        Of several messages of one id, by different senders, the newest counts where no sender is named.
        """
        return await self._database.read(
            partial(_home, chat_id=chat_id, message_id=message_id, sender_id=sender_id)
        )

    def carry(self, name: RoomName, told: Sequence[Told]) -> None:
        """Write in the document where it belongs what was written in a closed segment: in its order, soon."""
        waiting = self._late.setdefault(name.id, [])
        waiting += [(name, each) for each in told]
        if len(waiting) == len(told):  # nobody is at it yet
            self._start(self._carry_all(name.id))

    async def _carry_all(self, chat_id: int) -> None:
        while late := self._late.get(chat_id):
            batch, late[:] = late[:_BATCH], late[_BATCH:]
            try:
                await self._carry_batch(chat_id, batch)
            except (LogUnavailable, NoSuchRoom, RoomUnavailable, RoomBusy) as error:
                logger.error("news of a closed part of chat %d are not carried over yet: %s", chat_id, error)
        self._late.pop(chat_id, None)

    async def _carry_batch(self, chat_id: int, batch: Sequence[tuple[RoomName, Told]]) -> None:
        by_home: dict[RoomName, list[Told]] = {}
        for name, told in batch:
            home = await self._home_of_told(chat_id, told)
            if home is not None and home != name:
                by_home.setdefault(home, []).append(told)
        for home, news in by_home.items():
            async with self._rooms.visit(home, may_create=True) as room, room.standing_still():
                await self._commits.drain()
                seqs = sorted({each.message.seq for each in news if each.message is not None})
                stored = await self._database.read(partial(read_seqs, chat_id=chat_id, seqs=seqs))
                await _settle(room, stored)
                for each in news:
                    if isinstance(each.news, Reacted):
                        _react(room, each.news)

    async def _home_of_told(self, chat_id: int, told: Told) -> RoomName | None:
        if isinstance(told.news, Sent):
            return chat_name(chat_id)
        if isinstance(told.news, Reacted):
            return await self.home_of(chat_id, told.news.message_id, None)
        message = told.news.message
        return await self.home_of(chat_id, message.message_id, message.sender_id)

    async def take_over(self, room: Room, member: Member, update: bytes) -> bool:
        """What a replica of a closed segment brings is merged there; False if it is of none.

        Raises LogUnavailable.
        """
        if room.name.kind is not RoomKind.CHAT:
            return False
        chat_id = room.name.id
        client_ids = (await asyncio.to_thread(check_update, update)).structs.keys()
        segments = await self._database.read(partial(newest_segments, chat_id=chat_id, limit=_MAX_LOOKED_AT))
        try:
            for segment in segments:
                name = segment_name(chat_id, segment.number)
                async with self._rooms.visit(name, may_create=False) as closed:
                    is_of_it = not closed.document.contents.state.keys().isdisjoint(client_ids)
                    if is_of_it and await self._merge(closed, member, update):
                        return True
        except (NoSuchRoom, RoomUnavailable) as error:
            logger.warning("what user %d brings is not taken over: %s", member.user_id, error)
        return False

    async def _merge(self, closed: Room, member: Member, update: bytes) -> bool:
        try:
            await closed.merge(member, update)
        except (MalformedUpdate, UpdateIncomplete, EngineFailure, RoomBusy) as error:
            logger.warning("what user %d brings is not taken over: %r", member.user_id, error)
            return False
        await self._commits.drain()
        return closed.journal.failure is None


def _home(connection: Connection, chat_id: int, message_id: str, sender_id: int | None) -> RoomName | None:
    seq = newest_seq_of(connection, chat_id, message_id, sender_id)
    if seq is None:
        return None
    segment = segment_with(connection, chat_id, seq)
    return chat_name(chat_id) if segment is None else segment_name(chat_id, segment.number)


async def _settle(room: Room, stored: Sequence[StoredMessage]) -> None:
    """Where the room stands still; in a thread, for there may be many."""
    assert isinstance(room.rules, ChatRules)
    update = await asyncio.to_thread(settle, room.rules.thread, room.next_id, stored)
    if update is not None:
        room.write_meanwhile(update)


def _missing(thread: Thread) -> tuple[Sent, ...]:
    return tuple(Sent(each) for each in thread.all_messages() if each.seq is None)


def _react(room: Room, reacted: Reacted) -> None:
    assert isinstance(room.rules, ChatRules)
    reaction = ReactionKey(reacted.message_id, reacted.user_id, reacted.emoji)
    update = writing.set_reaction(room.rules.thread, room.next_id, reaction, is_set=reacted.is_set)
    if update is not None:
        room.write_meanwhile(update)


def _receive(room: Room, receipts: Sequence[Receipt]) -> None:
    assert isinstance(room.rules, ChatRules)
    marks = {each.user_id: writing.Receipt(each.delivered_seq, each.read_seq) for each in receipts}
    update = writing.set_receipts(room.rules.thread, room.next_id, marks)
    if update is not None:
        room.write_meanwhile(update)
