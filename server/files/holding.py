"""What people write to a file that another has locked: kept aside, durably, and merged when the lock has ended."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from crdt_store.group_commit import GroupCommit
from crdt_store.held_edits import HeldEdit, HeldEdits, TooManyHeldEdits
from crdt_store.lock_rows import Lock, LockChange, LockEvent, is_within
from crdt_store.update_log import DocumentDamaged, LogUnavailable
from server.documents.absent_author import AbsentAuthor
from server.engine.document import EngineFailure
from server.files.conflict_desk import ConflictDesk
from server.files.conflict_finding import Conflict, find_conflicts
from server.files.text_diff import diff
from server.files.versions import ROOT, FileState, Versions, WrittenBy
from server.files.writing import Outcome
from server.locks.access import path_of
from server.locks.telling import told
from server.news.hub import Hub, News
from server.protocol.closing import CloseCode
from server.protocol.merge_updates import merge_updates
from server.protocol.update_shape import MalformedUpdate, check_update
from server.rooms.member import Member
from server.rooms.names import RoomKind, RoomName, parse_room_name
from server.rooms.room import Room, RoomBusy, UpdateIncomplete
from server.rooms.room_manager import NoSuchRoom, RoomManager, RoomUnavailable


class Book(Protocol):
    """Who holds which lock: `server.locks.book.LockBook`."""

    def blocks(self, workspace_id: int, path: str, user_id: int | None) -> Lock | None:
        """What keeps this user from changing the path."""


Start = Callable[[Coroutine[Any, Any, None]], object]
_UNAVAILABLE = (
    LogUnavailable,
    DocumentDamaged,
    NoSuchRoom,
    RoomUnavailable,
    RoomBusy,
    EngineFailure,
    MalformedUpdate,
)
logger = logging.getLogger(__name__)


class HeldBack:
    """A `rooms.holding.Holding`; `join` it to what it works on once that is there."""

    def __init__(
        self, held: HeldEdits, book: Book, hub: Hub, *, start: Start, now_ms: Callable[[], int]
    ) -> None:
        """`start` runs what is to be done beside."""
        self._held = held
        self._book = book
        self._hub = hub
        self._start = start
        self._now_ms = now_ms
        self._arriving: dict[str, list[tuple[Room, Member, bytes]]] = {}
        self._releasing: dict[str, bool] = {}  # by document: whether it has to be looked at once more
        self._locked_since_ms: dict[str, int] = {}

    def join(self, rooms: RoomManager, commits: GroupCommit, versions: Versions, desk: ConflictDesk) -> None:
        """Before the first room is opened."""
        self.rooms, self.commits, self.versions, self.desk = rooms, commits, versions, desk

    # While it is locked

    def blocks(self, name: RoomName, user_id: int) -> bool:
        """As `Holding.blocks`: of files alone."""
        return self.lock_on(name, user_id) is not None

    def lock_on(self, name: RoomName, user_id: int) -> str | None:
        """Whose lock keeps this user from writing the file, by name."""
        lock = self._book.blocks(name.id, path_of(name), user_id) if name.kind is RoomKind.FILE else None
        return None if lock is None else lock.holder_name

    def keep(self, room: Room, member: Member, update: bytes) -> None:
        """As `Holding.keep`: in the order in which it came."""
        arriving = self._arriving.setdefault(room.name.canonical, [])
        arriving.append((room, member, update))
        if len(arriving) == 1:
            self._start(self._keep_all(room.name))

    async def of(self, name: RoomName) -> list[HeldEdit]:
        """What is held of a file, in the order in which it came. Raises LogUnavailable."""
        return await self._held.of(name.canonical)

    async def _keep_all(self, name: RoomName) -> None:
        arriving = self._arriving[name.canonical]
        while arriving:
            room, member, update = arriving[0]
            await self._keep(room, member, update)
            arriving.pop(0)
        del self._arriving[name.canonical]
        self.unlocked(name)  # it may be by now

    async def _keep(self, room: Room, member: Member, update: bytes) -> None:
        try:
            await self._held.keep(room.name.canonical, member.user_id, update, self._now_ms())
        except TooManyHeldEdits as error:
            member.close(CloseCode.TRY_AGAIN_LATER, str(error))
        except LogUnavailable as error:
            logger.error("%s: an edit of user %d is not held: %s", room.name, member.user_id, error)
            member.close(CloseCode.INTERNAL_ERROR, "the file is locked, and your edit could not be kept")
        else:
            self._tell(room.name, member.user_id)

    def _tell(self, name: RoomName, user_id: int) -> None:
        lock = self._book.blocks(name.id, path_of(name), user_id)
        if lock is not None:
            payload = {"room": name.canonical, **told(lock, "held")}
            self._hub.publish_to_user(user_id, News("lock_changed", payload, None, self._now_ms()))

    # When it is not any more

    def changed(self, change: LockChange) -> None:
        """A lock has ended, or is another's now."""
        event, lock, *_ = change
        if event.ends or event is LockEvent.TRANSFERRED:
            self._start(self.find_unlocked(change.before or lock))

    async def find_unlocked(self, lock: Lock | None = None) -> None:
        """Merge what is held of files that are not locked any more: where this lock was, or anywhere."""
        try:
            documents = await self._held.documents()
        except LogUnavailable as error:
            logger.error("what is held is not looked for yet: %s", error)
            return
        for document in documents:
            name = parse_room_name(document, plain_names_workspace_id=None)
            if lock is None or (lock.workspace_id == name.id and is_within(path_of(name), lock.path)):
                if lock is not None:
                    self._locked_since_ms.setdefault(document, lock.acquired_at_ms)
                self.unlocked(name)

    def unlocked(self, name: RoomName) -> None:
        """Merge what is held of a file, as far as it is nobody else's to write any more."""
        key = name.canonical
        if key in self._releasing:
            self._releasing[key] = True
        else:
            self._releasing[key] = False
            self._start(self._release(name))

    async def _release(self, name: RoomName) -> None:
        key = name.canonical
        try:
            while True:
                self._releasing[key] = False
                await self._merge_held(name)
                if not self._releasing[key]:
                    return
        except _UNAVAILABLE as error:  # it is tried again at the next change, or start
            logger.error("what is held of %s is not merged yet: %s", key, error)
        finally:
            del self._releasing[key]

    async def _merge_held(self, name: RoomName) -> None:
        """Author by author; again for those whose edits build on what another's have just brought."""
        waiting = _by_author(await self._held.of(name.canonical))
        has_merged = True
        while waiting and has_merged:
            has_merged = False
            for author_id, edits in list(waiting.items()):
                if self.blocks(name, author_id):
                    del waiting[author_id]
                elif await self._merge(name, author_id, edits):
                    await self._held.discard([edit.id for edit in edits])
                    del waiting[author_id]
                    has_merged = True
        for author_id in waiting:
            logger.warning("what is held of %s by user %d cannot be merged", name, author_id)
        if not await self._held.of(name.canonical):
            self._locked_since_ms.pop(name.canonical, None)

    async def _merge(self, name: RoomName, author_id: int, edits: list[HeldEdit]) -> bool:
        """False if something that they build on is missing, or they cannot be applied."""
        update = await asyncio.to_thread(merge_updates, [edit.data for edit in edits])
        async with self.rooms.visit(name, may_create=True) as room:
            try:
                await room.merge(AbsentAuthor(author_id), update)
            except (UpdateIncomplete, MalformedUpdate, EngineFailure) as error:
                logger.warning("%s: what is held of user %d is not merged: %r", name, author_id, error)
                return False  # it stays held, and keeps nobody else's out
            await self.commits.drain()
            if room.journal.failure is not None:
                raise room.journal.failure
        await self._report(name, author_id, update, edits[0].received_at_ms)
        return True

    async def _report(self, name: RoomName, author_id: int, update: bytes, first_at_ms: int) -> None:
        """Say where it touches what others have changed since the lock, or since the author was first held."""
        key = name.canonical
        for at_ms in (self._locked_since_ms.get(key, first_at_ms), first_at_ms):
            version = await self.versions.as_of(key, at_ms)
            if version is None:
                return
            base = await self.versions.at(key, version)
            written = await self.versions.written_since(key, version) or []
            others = [each for each in written if each.author_id not in (None, author_id)]
            conflicts = await asyncio.to_thread(_conflicts, base, others, update)
            if conflicts is not None:
                state = await self.versions.newest(key)
                await self.desk.keep(name, author_id, Outcome(state, True, conflicts, version.seq))
                return


def _conflicts(base: FileState, others: list[WrittenBy], update: bytes) -> list[Conflict] | None:
    """None if the update builds on more than the base has: its author has seen some of the others' edits."""
    document = base.with_updates([update])
    if document.contents.adds(check_update(update)):
        return None
    if not others:
        return []
    return find_conflicts(base, diff(base.text, document.text(ROOT)), others, update)


def _by_author(edits: list[HeldEdit]) -> dict[int, list[HeldEdit]]:
    found: dict[int, list[HeldEdit]] = {}
    for edit in edits:
        found.setdefault(edit.author_id or 0, []).append(edit)
    return found
