"""What comes late to a closed segment is carried over, and a document that is opened is put right."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from crdt_store.chat_segments import newest_segments, newest_seq_of, read_range, segment_of, segment_with
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
from server.protocol.structs import Id
from server.protocol.update_shape import MalformedUpdate, check_update
from server.rooms.member import Member
from server.rooms.names import RoomKind, RoomName, chat_name, segment_name
from server.rooms.room import Room, RoomBusy, UpdateIncomplete
from server.rooms.room_manager import NoSuchRoom, RoomManager, RoomUnavailable
from server.rooms.rules import Written

_MAX_LOOKED_AT = 50
"""Closed segments of which a replica may be, the newest ones."""

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
        max_messages: int,
    ) -> None:
        """At most `max_messages` of a document are put right when it is opened."""
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
                _write(room, stored)
                if room.name.kind is RoomKind.CHAT:
                    receipts = await self._database.read(partial(receipts_of, chat_id=room.name.id))
                    room.write_meanwhile(partial(_with_receipts, room, receipts))
        except RoomBusy:
            return  # it is over
        except LogUnavailable as error:  # it is tried again when the room is opened again
            logger.error("%s is not compared with the database yet: %s", room.name, error)

    async def _store_missing(self, room: Room) -> None:
        assert isinstance(room.rules, ChatRules)
        missing = tuple(Sent(each) for each in room.rules.thread.all_messages() if each.seq is None)
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

    async def carry(self, name: RoomName, told: Sequence[Told]) -> None:
        """Write in the document where it belongs what was written in a closed segment."""
        for each in told:
            try:
                await self._carry(name, each)
            except (LogUnavailable, NoSuchRoom, RoomUnavailable, RoomBusy) as error:
                logger.error("news of %s are not carried over yet: %s", name, error)

    async def _carry(self, name: RoomName, told: Told) -> None:
        home: RoomName | None = chat_name(name.id)
        if isinstance(told.news, Reacted):
            home = await self.home_of(name.id, told.news.message_id, None)
        elif not isinstance(told.news, Sent):
            message = told.news.message
            home = await self.home_of(name.id, message.message_id, message.sender_id)
        if home is None or home == name:
            return
        async with self._rooms.visit(home, may_create=True) as room, room.standing_still():
            await self._commits.drain()
            if isinstance(told.news, Reacted):
                _react(room, told.news)
            elif told.message is not None:
                seq = told.message.seq
                stored = await self._database.read(
                    partial(read_range, chat_id=name.id, first_seq=seq, last_seq=seq, limit=1)
                )
                _write(room, stored)

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
                    if not closed.document.contents.state.keys().isdisjoint(client_ids):
                        return await self._merge(closed, member, update)
        except (NoSuchRoom, RoomUnavailable) as error:
            logger.warning("what user %d brings is not taken over: %s", member.user_id, error)
        return False

    async def _merge(self, closed: Room, member: Member, update: bytes) -> bool:
        try:
            while closed.is_busy:
                async with closed.standing_still():
                    pass
            await closed.merge(member, update)
        except (MalformedUpdate, UpdateIncomplete, RoomBusy) as error:
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


def _write(room: Room, stored: Sequence[StoredMessage]) -> None:
    def build(at: Id) -> Written | None:
        assert isinstance(room.rules, ChatRules)
        update = settle(room.rules.thread, at, stored)
        return None if update is None else Written(update)

    if stored:
        room.write_meanwhile(build)


def _with_receipts(room: Room, receipts: Sequence[Receipt], at: Id) -> Written | None:
    assert isinstance(room.rules, ChatRules)
    marks = {each.user_id: writing.Receipt(each.delivered_seq, each.read_seq) for each in receipts}
    update = writing.set_receipts(room.rules.thread, at, marks)
    return None if update is None else Written(update)


def _react(room: Room, reacted: Reacted) -> None:
    def build(at: Id) -> Written | None:
        assert isinstance(room.rules, ChatRules)
        reaction = ReactionKey(reacted.message_id, reacted.user_id, reacted.emoji)
        update = writing.set_reaction(room.rules.thread, at, reaction, is_set=reacted.is_set)
        return None if update is None else Written(update)

    room.write_meanwhile(build)
