"""Documents as a whole: what there is of one, a copy of it, another content in its place, and what was put aside."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from crdt_store.compaction import Compactor, Condense
from crdt_store.group_commit import GroupCommit
from crdt_store.stale_updates import StaleUpdate, StaleUpdates
from crdt_store.update_log import Head, Quarantined, Row, Update, UpdateLog
from server.documents.absent_author import AbsentAuthor
from server.protocol.contradictions import contradicted
from server.protocol.merge_updates import merge_updates
from server.protocol.rename_clients import clients_of, new_names, rename_clients
from server.protocol.split_update import split_ready
from server.protocol.update_shape import MalformedUpdate, check_update
from server.rooms.loading import load_document
from server.rooms.names import RoomKind, RoomName
from server.rooms.room import RoomBusy
from server.rooms.room_manager import NoSuchRoom, RoomManager
from server.rooms.runs import Author, Run

_EMPTY_STATE_VECTOR = b"\0"
LockOn = Callable[[RoomName, int], str | None]
"""The name of whoever has locked it against this user, if anybody."""


class UpdateRefused(Exception):
    """The update is not a document's whole state; the message says what is wrong with it."""


class UpdateContradicts(Exception):
    """The update and the document hold different things under the same ids: merged, one of them would vanish."""


class KeptByRules(Exception):
    """The document has rules, which nobody passes by; the message is for people."""


class Locked(Exception):
    """Somebody else has locked it; the message is for people."""


class NoSuchUpdate(Exception):
    """There is no update of that number aside."""


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """`last_seq`: of its newest row, over all epochs. A snapshot stands for this epoch's up to `compacted_seq`."""

    epoch: int
    last_seq: int
    compacted_seq: int
    snapshot_bytes: int


class Documents:
    """Every method raises LogUnavailable; what needs a document raises NoSuchRoom if it does not exist."""

    def __init__(
        self,
        log: UpdateLog,
        rooms: RoomManager,
        commits: GroupCommit,
        compactor: Compactor,
        condense: Condense,
        stale_updates: StaleUpdates,
        *,
        lock_on: LockOn,
        now_seconds: Callable[[], float],
        random_client_id: Callable[[], int],
    ) -> None:
        self._log = log
        self._rooms = rooms
        self._commits = commits
        self._compactor = compactor
        self._condense = condense
        self._stale = stale_updates
        self._lock_on = lock_on
        self._now_seconds = now_seconds
        self._random_client_id = random_client_id

    async def describe(self, name: RoomName) -> DocumentInfo:
        """What is stored of it."""
        await self._must_exist(name)
        head = await self._log.head(name.canonical)
        size = 0 if head.snapshot is None else sum(map(len, head.snapshot.updates))
        return DocumentInfo(head.epoch, head.last_seq, head.compacted_seq, size)

    async def export(self, name: RoomName) -> bytes:
        """All of it as one Yjs update. Raises RoomUnavailable, RoomBusy."""
        async with self._rooms.visit(name, may_create=False) as room:
            if room.is_busy:
                raise RoomBusy
            return room.document.encode_since(_EMPTY_STATE_VECTOR)

    async def replace(self, name: RoomName, update: bytes, author: Author) -> int:
        """Begin a new epoch with this content, under new client ids; return its number.

        Whoever holds the old content finds out when coming back; a document that never was is made.
        Raises KeptByRules, Locked, UpdateRefused, BudgetExceeded, CondenseFailed.
        """
        self._check_free(name, author.user_id)
        content = await self._whole(update)
        key = name.canonical
        async with self._rooms.vacate(name):
            head = await self._log.head(key)
            document = (await load_document(self._log, key)).document
            held = document.contents.state.keys()
            plan = await asyncio.to_thread(
                _plan_restore,
                content,
                document.encode_since(_EMPTY_STATE_VECTOR),
                head,
                self._random_client_id,
            )
            now_ms = int(self._now_seconds() * 1000)
            run = author.run
            run_id = None if run is None else run.id
            row = Row(key, author.user_id, (), (Update(plan.content, now_ms),), head.epoch, run_id)
            self._check_unlocked(name, author.user_id)  # it may have become so meanwhile
            if run is not None:
                run.check(key, len(plan.content))
                run.count(key, len(plan.content))
            if await self._log.exists(key):
                await self._compactor.compact(key)
            elif head.epoch == 1:  # it never was
                await self._log.append([row])
                return head.epoch
            return await self._log.replace(row, dict.fromkeys(held) | plan.renamed)

    async def delete(self, name: RoomName, user_id: int) -> None:
        """Remove it and its history; whoever writes it again begins a new epoch. Raises KeptByRules, Locked."""
        self._check_free(name, user_id)
        await self._must_exist(name)
        async with self._rooms.vacate(name):
            held = (await load_document(self._log, name.canonical)).document.contents.state
            self._check_unlocked(name, user_id)  # it may have become so meanwhile
            await self._log.delete(name.canonical, client_ids=held)

    async def quarantined(self, name: RoomName) -> list[Quarantined]:
        """Stored updates that are no part of it, since they could not be applied."""
        return await self._log.quarantined(name.canonical)

    async def stale_updates(self, name: RoomName) -> list[StaleUpdate]:
        """What clients of earlier epochs wanted to bring."""
        return await self._stale.list(name.canonical)

    async def stale_update(self, name: RoomName, stale_id: int) -> bytes:
        """One of them. Raises NoSuchUpdate."""
        return (await self._get_stale(name, stale_id))[1]

    async def merge_stale(self, name: RoomName, stale_id: int, caller: Author) -> None:
        """Merge it in, under the ids that stand for its own now, and keep it aside no more.

        Of a document that was restored this brings back what the client had; beside one that was made anew it puts
        the old content. If its author is unknown, the caller counts as such.
        Raises NoSuchUpdate, Locked, RoomUnavailable, RoomBusy, MalformedUpdate, UpdateIncomplete, UpdateContradicts,
        BudgetExceeded.
        """
        self._check_unlocked(name, caller.user_id)
        stale, data = await self._get_stale(name, stale_id)
        async with self._rooms.visit(name, may_create=True) as room:
            head = await self._log.head(name.canonical)
            if head.epoch != room.epoch or room.is_busy:
                raise RoomBusy
            content = room.document.encode_since(_EMPTY_STATE_VECTOR)
            update = await asyncio.to_thread(in_current_names, data, head.retired, content)
            await room.merge(_author_of(stale, caller), update)
            await self._commits.drain()
            if room.journal.failure is not None:
                raise room.journal.failure
            if room.is_busy or await room.would_change(update):
                raise RoomBusy
        await self._stale.discard(name.canonical, stale_id)

    async def discard_stale(self, name: RoomName, stale_id: int) -> None:
        """Keep it no more. Raises NoSuchUpdate."""
        if not await self._stale.discard(name.canonical, stale_id):
            raise NoSuchUpdate(f"{name} has no stale update {stale_id}")

    def _check_free(self, name: RoomName, user_id: int) -> None:
        if name.kind in (RoomKind.CHAT, RoomKind.SEGMENT):
            raise KeptByRules(f"{name} is what its messages are: they are edited and deleted one by one")
        if name.kind is RoomKind.WORKSPACE:
            raise KeptByRules(f"{name} is the tree of its files: they are moved and deleted one by one")
        self._check_unlocked(name, user_id)

    def _check_unlocked(self, name: RoomName, user_id: int) -> None:
        holder = self._lock_on(name, user_id)
        if holder is not None:
            raise Locked(f"{name} is locked by {holder}")

    async def _get_stale(self, name: RoomName, stale_id: int) -> tuple[StaleUpdate, bytes]:
        found = await self._stale.get(name.canonical, stale_id)
        if found is None:
            raise NoSuchUpdate(f"{name} has no stale update {stale_id}")
        return found

    async def _must_exist(self, name: RoomName) -> None:
        if not await self._log.exists(name.canonical):
            raise NoSuchRoom(f"no room {name}")

    async def _whole(self, update: bytes) -> bytes:
        """The same, tried in another process. Raises UpdateRefused, CondenseFailed."""
        await asyncio.to_thread(_check_whole, update)
        condensed = await self._condense(None, [update])
        if condensed.faults:
            raise UpdateRefused(condensed.faults[0].error)
        return await asyncio.to_thread(merge_updates, condensed.updates)


def _author_of(stale: StaleUpdate, caller: Author) -> AbsentAuthor:
    if stale.author_id is None:
        return AbsentAuthor(*caller)
    return AbsentAuthor(stale.author_id, Run.earlier(stale.run_id))


# Walking all structs of a large document takes a while: what follows runs in threads.


def _check_whole(update: bytes) -> None:
    """Raises UpdateRefused."""
    try:
        check_update(update)
    except MalformedUpdate as error:
        raise UpdateRefused(str(error)) from error
    _, rest = split_ready(update, {})
    if rest is not None:
        raise UpdateRefused("part of it builds on something that it does not hold")


class _Restore(NamedTuple):
    """The content under its new ids, and which ids of the old content they stand for."""

    content: bytes
    renamed: dict[int, int | None]


def _plan_restore(
    content: bytes, current: bytes, head: Head, random_client_id: Callable[[], int]
) -> _Restore:
    clients = clients_of(check_update(content))
    taken = clients | clients_of(check_update(current)) | head.retired.keys()
    names = new_names(clients, taken, random_client_id)
    others = contradicted(content, current)  # the same id, used by another program for something else
    renamed = {_latest_name(old, head.retired): new for old, new in names.items() if old not in others}
    return _Restore(rename_clients(content, names), dict(renamed))


def in_current_names(data: bytes, retired: Mapping[int, int | None], content: bytes) -> bytes:
    """A stale update under the ids that stand for its own now. Raises UpdateContradicts."""
    update = rename_clients(data, _current_names(retired))
    if contradicted(update, content):
        raise UpdateContradicts
    return update


def _current_names(retired: Mapping[int, int | None]) -> dict[int, int]:
    """Client id of an earlier epoch -> the one that stands for it now; those that nothing stands for are left out."""
    names = {client_id: _latest_name(client_id, retired) for client_id in retired}
    return {old: name for old, name in names.items() if name not in retired}


def _latest_name(client_id: int, retired: Mapping[int, int | None]) -> int:
    """The last id that stood for this one: a copy may be of an earlier epoch than the one that ends."""
    while (successor := retired.get(client_id)) is not None:
        client_id = successor
    return client_id
