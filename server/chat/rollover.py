"""Rollover: a thread that has grown long goes on in a new document; the old one is kept under a name of its own."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

from crdt_store.chat_segments import Segment, close_segment
from crdt_store.compaction import Compactor, CondenseFailed, compact
from crdt_store.effects import Connection
from crdt_store.group_commit import GroupCommit
from crdt_store.messages import Messages
from crdt_store.update_log import (
    DocumentDamaged,
    LogUnavailable,
    Row,
    Snapshot,
    Unconfirmed,
    Update,
    UpdateLog,
)
from server.chat.chat_rules import ChatRules
from server.chat.segments import open_segment
from server.engine.document import Document, EngineFailure
from server.rooms.loading import load_document
from server.rooms.names import RoomKind, segment_name
from server.rooms.room import Room, RoomBusy
from server.rooms.room_manager import RoomManager
from server.rooms.rules import RulesOf

PATIENCE = 10
"""While Yjs clients are in the room, who would have to load it again, it grows to so many times the size."""

_KEPT_SHARE = 10
"""A new segment begins with such a part of the messages of a full one."""

_PAUSE_SECONDS = 2.0
"""Between two rollovers of a thread, however fast it grows."""

_NOTHING = b"\0"
_NO_EDIT = b"\0\0"
_REASON = "the thread goes on in a new document: load it again"
Start = Callable[[Coroutine[Any, Any, None]], object]
logger = logging.getLogger(__name__)


class SegmentSize(NamedTuple):
    """A thread's document that has so much is long."""

    messages: int
    data_bytes: int


class Rollover:
    """`random_client_id` gives the Yjs client id under which the server writes what a document begins with."""

    def __init__(
        self,
        size: SegmentSize,
        log: UpdateLog,
        messages: Messages,
        rooms: RoomManager,
        commits: GroupCommit,
        compactor: Compactor,
        rules_of: RulesOf,
        *,
        start: Start,
        now_ms: Callable[[], int],
        random_client_id: Callable[[], int],
    ) -> None:
        self._size = size
        self._log = log
        self._messages = messages
        self._rooms = rooms
        self._commits = commits
        self._compactor = compactor
        self._rules_of = rules_of
        self._now_ms = now_ms
        self._random_client_id = random_client_id
        self._start = start
        self._kept_messages = max(1, size.messages // _KEPT_SHARE)
        self._resting: set[str] = set()

    def consider(self, room: Room) -> None:
        """Have the room go on with a new document if it is time; if that fails it goes on as it is."""
        key = room.name.canonical
        if key not in self._resting and self._is_due(room):
            self._resting.add(key)
            asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._rested, key)
            self._start(self._try(room))

    def _rested(self, key: str) -> None:
        self._resting.discard(key)
        room = self._rooms.rooms.get(key)
        if room is not None:
            self.consider(room)

    def _is_due(self, room: Room) -> bool:
        """Whether the thread is too long for its document, and nobody is disturbed; or it is much too long."""
        if self._rooms.rooms.get(room.name.canonical) is not room or room.name.kind is not RoomKind.CHAT:
            return False
        assert isinstance(room.rules, ChatRules)
        if room.rules.thread.size < 2 * self._kept_messages:  # what a segment begins with may be much
            return False
        times = max(
            room.rules.thread.size / self._size.messages,
            self._compactor.stored_bytes(room.name.canonical) / self._size.data_bytes,
        )
        return times >= (PATIENCE if room.has_replicas else 1)

    async def _try(self, room: Room) -> None:
        try:
            await self._compactor.compact(room.name.canonical)  # most of it while the room goes on
            async with room.standing_still():
                if self._is_due(room):
                    await self._roll(room)
        except RoomBusy:
            return  # it is over
        except (LogUnavailable, DocumentDamaged, CondenseFailed, EngineFailure) as error:
            logger.warning("%s does not go on in a new document yet: %s", room.name, error)

    async def _roll(self, room: Room) -> None:
        assert isinstance(room.rules, ChatRules)
        key, thread, document = room.name.canonical, room.rules.thread, room.document
        await self._commits.drain()
        await self._compact(key, document)
        last_seq = (await self._messages.heads([room.name.id]))[room.name.id].last_seq
        closed = segment_name(room.name.id, thread.segment).canonical
        opening = await asyncio.to_thread(
            open_segment,
            thread,
            (self._random_client_id(), 0),
            name=closed,
            keep=self._kept_messages,
            last_seq=last_seq,
        )
        segment = Segment(thread.segment, thread.first_seq, last_seq, opening.first_seq)
        await self._keep(closed, room.name.id, segment, document.encode_since(_NOTHING), room.authors)
        row = Row(key, None, (), (Update(opening.update, self._now_ms()),), room.epoch)
        try:
            await self._log.replace(row, dict.fromkeys(document.contents.state))
        except Unconfirmed as error:
            room.fail(error)  # the log may be in an epoch that the room is not
            raise
        try:
            loaded = await load_document(
                self._log, key, compactor=self._compactor, rules=self._rules_of(room.name)
            )
        except BaseException as error:
            room.fail(error)
            raise
        room.begin_epoch(loaded, _REASON)

    async def _compact(self, key: str, document: Document) -> None:
        """What the document holds is all that the log holds: it need not be read again to be a snapshot."""

        async def condense(_: Snapshot | None, updates: object) -> _Whole:
            return await asyncio.to_thread(lambda: _Whole(document.encoding(), document.summary()))

        while await compact(self._log, condense, key) is not None:
            pass

    async def _keep(
        self, name: str, chat_id: int, segment: Segment, content: bytes, authors: Mapping[int, int]
    ) -> None:
        """Store the closed segment, in place of what a rollover that did not come to its end has left."""
        if await self._log.exists(name):
            async with self._rooms.vacate(segment_name(chat_id, segment.number)):
                await self._log.delete(name)
        epoch = (await self._log.head(name)).epoch
        now_ms = self._now_ms()
        rows = [Row(name, None, (), (Update(content, now_ms),), epoch)]
        of_author: dict[int, list[int]] = {}
        for client_id, author_id in authors.items():
            of_author.setdefault(author_id, []).append(client_id)
        rows += [
            Row(name, author_id, tuple(client_ids), (Update(_NO_EDIT, now_ms),), epoch)
            for author_id, client_ids in of_author.items()
        ]
        await self._log.append(rows, [_Closing(chat_id, segment)])


class _Whole(NamedTuple):
    """A `crdt_store.compaction.Condensed`."""

    updates: tuple[bytes, ...]
    summary: bytes
    faults: tuple[()] = ()


class _Closing(NamedTuple):
    """An `Effect`: where the messages of the closed segment are."""

    chat_id: int
    segment: Segment

    def store(self, connection: Connection) -> None:
        close_segment(connection, self.chat_id, self.segment)

    def committed(self) -> None: ...
