"""What people write to a file that another has locked: kept aside, durably, and merged when the lock has ended."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Protocol

from crdt_store.held_edits import HeldBy, HeldEdit, HeldEdits, TooManyHeldEdits
from crdt_store.lock_rows import Lock, LockChange, LockEvent, is_within
from crdt_store.update_log import DocumentDamaged, LogUnavailable
from server.engine.document import EngineFailure
from server.locks.access import path_of
from server.locks.telling import told
from server.news.hub import Hub, News
from server.protocol.closing import CloseCode
from server.protocol.update_shape import MalformedUpdate
from server.rooms.member import Member
from server.rooms.names import RoomKind, RoomName, parse_room_name
from server.rooms.room import Room, RoomBusy
from server.rooms.room_manager import NoSuchRoom, RoomUnavailable
from server.rooms.unseen import Lacked, write_lacked


class Book(Protocol):
    """Who holds which lock: `server.locks.book.LockBook`."""

    def blocks(self, workspace_id: int, path: str, user_id: int | None) -> Lock | None:
        """What keeps this user from changing the path."""


class Admission(Protocol):
    """What lets held edits in: `server.files.letting_in.LettingIn`."""

    async def let_in(self, name: RoomName, author_id: int, edits: Sequence[HeldEdit]) -> bool:
        """Whether these, all of one run if of an agent, need to be held no more. Raises what is in `UNAVAILABLE`."""


Start = Callable[[Coroutine[Any, Any, None]], object]
UNAVAILABLE = (
    LogUnavailable,
    DocumentDamaged,
    NoSuchRoom,
    RoomUnavailable,
    RoomBusy,
    EngineFailure,
    MalformedUpdate,
)
_RETRY_SECONDS = 10.0
_MAX_ARRIVING, _MAX_ARRIVING_BYTES = 1000, 16 * 2**20
"""Updates of one file on their way to the disk; one of any size more."""

_NOT_KEPT = "the file is locked, and your edit could not be kept"
logger = logging.getLogger(__name__)


class _Arrived(NamedTuple):
    """What a member has brought, on its way to the disk."""

    room: Room
    member: Member
    update: bytes
    lacked: Lacked | None
    locked_at_ms: int | None


class HeldBack:
    """A `rooms.holding.Holding`; `run` has to run while the server serves. `admission` is set once that is there."""

    admission: Admission

    def __init__(
        self, held: HeldEdits, book: Book, hub: Hub, *, start: Start, now_ms: Callable[[], int]
    ) -> None:
        """`start` runs what is to be done beside."""
        self._held = held
        self._book = book
        self._hub = hub
        self._start = start
        self._now_ms = now_ms
        self._arriving: dict[str, list[_Arrived]] = {}
        self._releasing: dict[str, bool] = {}  # by document: whether it has to be looked at once more
        self._again = asyncio.Event()

    # While it is locked

    def blocks(self, name: RoomName, user_id: int) -> bool:
        """As `Holding.blocks`: of files alone."""
        return self.lock_on(name, user_id) is not None

    def lock_on(self, name: RoomName, user_id: int) -> str | None:
        """Whose lock keeps this user from writing the file, by name."""
        lock = self.lock_against(name, user_id)
        return None if lock is None else lock.holder_name

    def lock_against(self, name: RoomName, user_id: int) -> Lock | None:
        """The same, as a lock."""
        return self._book.blocks(name.id, path_of(name), user_id) if name.kind is RoomKind.FILE else None

    def keep(self, room: Room, member: Member, update: bytes, lacked: Lacked | None) -> None:
        """As `Holding.keep`: in the order in which it came."""
        lock = self.lock_against(room.name, member.user_id)
        arriving = self._arriving.setdefault(room.name.canonical, [])
        size_bytes = sum(len(each.update) for each in arriving)
        if len(arriving) >= _MAX_ARRIVING or size_bytes > _MAX_ARRIVING_BYTES:
            member.close(CloseCode.TRY_AGAIN_LATER, "the disk is behind with what is held of this file")
            return
        arriving.append(_Arrived(room, member, update, lacked, None if lock is None else lock.acquired_at_ms))
        if len(arriving) == 1:
            self._start(self._keep_all(room.name))

    async def of(self, name: RoomName) -> list[HeldEdit]:
        """What is held of a file, in the order in which it came. Raises LogUnavailable."""
        return await self._held.of(name.canonical)

    async def authors_of(self, name: RoomName) -> list[HeldBy]:
        """Who has how much held of a file. Raises LogUnavailable."""
        return await self._held.authors_of(name.canonical)

    async def _keep_all(self, name: RoomName) -> None:
        arriving = self._arriving[name.canonical]
        try:
            while arriving:
                await self._keep(arriving[0])
                arriving.pop(0)
        finally:
            del self._arriving[name.canonical]
            for left in arriving:  # what nobody foresaw: they come back with it
                left.member.close(CloseCode.INTERNAL_ERROR, _NOT_KEPT)
        self.unlocked(name)  # it may be by now

    async def _keep(self, arrived: _Arrived) -> None:
        member, name = arrived.member, arrived.room.name
        try:
            await self._held.keep(
                name.canonical,
                member.user_id,
                arrived.update,
                self._now_ms(),
                locked_at_ms=arrived.locked_at_ms,
                lacked=None if arrived.lacked is None else write_lacked(arrived.lacked),
                run_id=None if member.run is None else member.run.id,
            )
        except TooManyHeldEdits as error:
            member.close(CloseCode.TRY_AGAIN_LATER, str(error))
        except LogUnavailable as error:
            logger.error("%s: an edit of user %d is not held: %s", name, member.user_id, error)
            member.close(CloseCode.INTERNAL_ERROR, _NOT_KEPT)
        else:
            self._tell(name, member.user_id)

    def _tell(self, name: RoomName, user_id: int) -> None:
        lock = self.lock_against(name, user_id)
        if lock is not None:
            payload = {"room": name.canonical, **told(lock, "held")}
            self._hub.publish_to_user(user_id, News("lock_changed", payload, None, self._now_ms()))

    # When it is not any more

    def changed(self, change: LockChange) -> None:
        """A lock has ended, or is another's now."""
        event, lock, *_ = change
        if event.ends or event is LockEvent.TRANSFERRED:
            self._start(self.find_unlocked(change.before or lock))

    async def run(self) -> None:
        """Try again what could not be merged when it was to be."""
        while True:
            await self._again.wait()
            await asyncio.sleep(_RETRY_SECONDS)
            self._again.clear()
            await self.find_unlocked()

    async def find_unlocked(self, lock: Lock | None = None) -> None:
        """Merge what is held of files that are not locked any more: where this lock was, or anywhere."""
        try:
            documents = await self._held.documents()
        except LogUnavailable as error:
            logger.error("what is held is not looked for yet: %s", error)
            self._again.set()
            return
        for document in documents:
            name = parse_room_name(document, plain_names_workspace_id=None)
            if lock is None or (lock.workspace_id == name.id and is_within(path_of(name), lock.path)):
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
        except UNAVAILABLE as error:
            logger.error("what is held of %s is not merged yet: %s", key, error)
            self._again.set()
        finally:
            del self._releasing[key]

    async def _merge_held(self, name: RoomName) -> None:
        """By author and run; again for those whose edits build on what another's have just brought."""
        waiting = _by_author(await self._held.of(name.canonical))
        has_merged = True
        while waiting and has_merged:
            has_merged = False
            for author, edits in list(waiting.items()):
                if self.blocks(name, author[0]):
                    del waiting[author]
                elif await self.admission.let_in(name, author[0], edits):
                    await self._held.discard([edit.id for edit in edits])
                    del waiting[author]
                    has_merged = True
        for author_id, _ in waiting:
            logger.warning("what is held of %s by user %d cannot be merged", name, author_id)


def _by_author(edits: list[HeldEdit]) -> dict[tuple[int, int | None], list[HeldEdit]]:
    """By user and run."""
    found: dict[tuple[int, int | None], list[HeldEdit]] = {}
    for edit in edits:
        found.setdefault((edit.author_id, edit.run_id), []).append(edit)
    return found
