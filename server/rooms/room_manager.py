"""The Room Manager: which rooms are open. A room opens once however many come at the same instant, and closes some
time after the last member has left, or sooner if memory is short, when all it holds is committed.
"""

import asyncio
import logging
import math
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar

from pycrdt import Channel
from pycrdt.websocket import WebsocketServer, YRoom

from crdt_store.compaction import Compactor, CondenseFailed
from crdt_store.group_commit import GroupCommit
from crdt_store.stale_updates import StaleUpdates, TooManyStaleUpdates
from crdt_store.update_log import LogUnavailable, UpdateLog
from server.engine.condenser import EngineKeepsFailing
from server.engine.document import Document
from server.protocol.closing import CloseCode
from server.protocol.surrogates import SurrogateGuard
from server.rooms.empty_rooms import EmptyRooms
from server.rooms.gate import StaleReplica
from server.rooms.holding import NO_LOCKS, Holding
from server.rooms.limits import RoomLimits
from server.rooms.loading import LoadedDocument, load_document
from server.rooms.member import Member
from server.rooms.memory_budget import MemoryBudget
from server.rooms.names import RoomName, parse_room_name
from server.rooms.process_memory import give_back
from server.rooms.room import Room
from server.rooms.rules import RulesOf, no_rules
from server.rooms.unseen import OnReturn, no_effects

_MAX_LOADING = 8
"""Documents that are read at once: so many may pass before what they take shows in the memory of the process."""

_FULL_SECONDS = 1.0
"""Where no memory was found, it is looked for again after this: it takes 30 ms for 600 MB."""

_WARNING_SECONDS = 60.0

UNLIMITED = MemoryBudget(sys.maxsize, sys.maxsize, stored_bytes=lambda name: 0)

T = TypeVar("T")
_LONG_JOB_BYTES = 128 * 1024
logger = logging.getLogger(__name__)


OnStale = Callable[[Room, Member, bytes], Awaitable[bool]]
"""(room, a member of an earlier epoch, what it brings) -> whether that has been taken over elsewhere."""


async def _kept_aside(room: Room, member: Member, update: bytes) -> bool:
    return False


class NoSuchRoom(Exception):
    """The document does not exist, and whoever asks may not create it."""


class RoomUnavailable(Exception):
    """The document cannot be opened now, which is never shown as an empty one; the cause is chained and logged."""


class RoomsFull(RoomUnavailable):
    """The process is over its memory budget, so no room is opened for now; those that are open go on."""

    def __init__(self) -> None:
        super().__init__("the server is full and opens no more rooms for now: try again")


class RoomManager(WebsocketServer):
    """A pycrdt-websocket `WebsocketServer` that keeps its rooms apart: no failure of one reaches another.

    Use as an async context manager; its tasks end with it.
    """

    rooms: dict[str, Room]  # type: ignore[assignment]  # by canonical name

    def __init__(
        self,
        log: UpdateLog,
        commits: GroupCommit,
        compactor: Compactor,
        stale_updates: StaleUpdates,
        *,
        linger_seconds: float,
        limits: RoomLimits,
        rules_of: RulesOf = no_rules,
        on_opened: Callable[[Room], None] = lambda room: None,
        on_emptied: Callable[[Room], None] = lambda room: None,
        on_stale: OnStale = _kept_aside,
        holding: Holding = NO_LOCKS,
        on_return: OnReturn = no_effects,
        now_seconds: Callable[[], float],
        is_recovering: bool = False,
        memory: MemoryBudget = UNLIMITED,
    ) -> None:
        """`is_recovering`: the last run ended before all it had shown to members was committed.

        `on_emptied` is told that the last member has left.
        """
        super().__init__(auto_clean_rooms=False)
        self._log = log
        self._commits = commits
        self._compactor = compactor
        self._stale_updates = stale_updates
        self._limits = limits
        self._rules_of = rules_of
        self._on_opened = on_opened
        self._on_emptied = on_emptied
        self._on_stale = on_stale
        self._holding = holding
        self._on_return = on_return
        self._short_jobs = ThreadPoolExecutor(1, "short jobs")
        self._long_jobs = ThreadPoolExecutor(1, "long jobs")
        self._now_seconds = now_seconds
        self._is_recovering = is_recovering
        self._recovered: set[str] = set()
        self.has_opened = False
        self._lost_edits: set[str] = set()  # documents of which shown edits were not committed, in this run
        self._opening: dict[str, asyncio.Future[Room]] = {}
        self._vacated: dict[str, asyncio.Event] = {}
        self._visitors: Counter[str] = Counter()
        self._memory = memory
        self._empty = EmptyRooms(
            partial(self._start, self._close),
            linger_seconds=linger_seconds,
            max_bytes=memory.max_empty_rooms_bytes,
        )
        self._loading = asyncio.Semaphore(_MAX_LOADING)
        self._relief = asyncio.Lock()
        self._full_until = -math.inf

    @asynccontextmanager
    async def visit(self, name: RoomName, *, may_create: bool) -> AsyncIterator[Room]:
        """The room, open for as long as the block lasts; whoever joins inside keeps it open afterwards.

        Raises NoSuchRoom, RoomUnavailable.
        """
        key = name.canonical
        self._visitors[key] += 1
        try:
            room = self.rooms.get(key) or await self._open(name, may_create)
            self._empty.discard(room)
            yield room
        finally:
            self._visitors[key] -= 1
            if not self._visitors[key]:
                del self._visitors[key]
            open_room = self.rooms.get(key)
            if open_room is not None:
                self.emptied(open_room)

    async def _open(self, name: RoomName, may_create: bool) -> Room:
        key = name.canonical
        if (
            not (may_create and name.segment is None)  # only what was closed is a segment
            and key not in self._opening
            and name.has_document
            and not await self._log.exists(key)
        ):
            raise NoSuchRoom(f"no room {key}")
        while key in self._vacated:
            await self._vacated[key].wait()
        if key in self.rooms:
            return self.rooms[key]
        opening = self._opening.get(key)
        if opening is None:
            opening = self._opening[key] = asyncio.get_running_loop().create_future()
            self._start(self._load, name, opening)
        return await asyncio.shield(opening)

    async def _load(self, name: RoomName, opening: asyncio.Future[Room]) -> None:
        key = name.canonical
        try:
            room = Room(
                name,
                await self._load_document(name),
                self._commits,
                self,
                limits=self._limits,
                is_full=partial(self._is_full, key),
                now_seconds=self._now_seconds,
                holding=self._holding,
                on_return=self._on_return,
            )
            self.rooms[key] = room
            self.has_opened = True
            self._on_opened(room)
            opening.set_result(room)
            self.emptied(room)
        except RoomsFull as full:
            opening.set_exception(full)
            opening.exception()  # everybody who waited may have left
        except Exception as error:
            logger.error("cannot open %s", key, exc_info=error)
            opening.set_exception(RoomUnavailable(f"{key} cannot be opened: {type(error).__name__}"))
            opening.exception()
        finally:
            del self._opening[key]
            opening.cancel()

    async def _load_document(self, name: RoomName) -> LoadedDocument:
        key = name.canonical
        if not name.has_document:
            await self._find_memory()
            return LoadedDocument(Document())
        await self._recover(key)
        async with self._loading:
            await self._find_memory()
            loaded = await load_document(
                self._log, key, compactor=self._compactor, rules=self._rules_of(name)
            )
        if loaded.rules is None and (self._is_recovering or key in self._lost_edits):
            loaded.relayable.update(loaded.authors)
            return replace(loaded, is_recovering=True)
        return loaded

    async def _find_memory(self) -> None:
        """Raises RoomsFull when the process takes more than it may although every empty room is closed."""
        if not self._memory.is_spent(self.rooms):
            return
        async with self._relief:
            now = time.monotonic()
            if self._memory.is_spent(self.rooms) and now >= self._full_until:
                await self._relieve()
                if self._memory.is_spent(self.rooms):
                    if now - self._full_until > _WARNING_SECONDS:
                        logger.warning(
                            "over the memory budget with %d rooms: no more are opened", len(self.rooms)
                        )
                    self._full_until = now + _FULL_SECONDS
        if self._memory.is_spent(self.rooms):
            raise RoomsFull

    async def _relieve(self) -> None:
        give_back()  # often enough: what closed rooms took
        if self._memory.is_spent(self.rooms):
            for room in self._empty.take_all():
                await self._close(room)
            give_back()

    async def _recover(self, key: str) -> None:
        """What ended the last run may be in this document: load it elsewhere first, once."""
        if not self._is_recovering or key in self._recovered:
            return
        try:
            await self._compactor.compact(key)
        except EngineKeepsFailing:
            raise
        except CondenseFailed as error:  # a lack of memory, of time, of processes
            logger.warning("%s is opened without having been tried elsewhere: %s", key, error)
        self._recovered.add(key)

    @asynccontextmanager
    async def vacate(self, name: RoomName) -> AsyncIterator[None]:
        """Send everybody out, to come back when the block has ended; in it, all that they wrote is in the log."""
        key = name.canonical
        while key in self._vacated:
            await self._vacated[key].wait()
        vacated = self._vacated[key] = asyncio.Event()
        try:
            if key in self._opening:
                await asyncio.wait([self._opening[key]])
            room = self.rooms.get(key)
            if room is not None:
                room.dismiss()
            await self._commits.drain()
            yield
        finally:
            del self._vacated[key]
            vacated.set()

    # RoomOwner

    def emptied(self, room: Room) -> None:
        """Close the room in a while, unless somebody comes."""
        if self._is_deserted(room) and self.running:
            self._on_emptied(room)
            self._empty.add(room, self._memory.room_bytes(room.name.canonical))
        else:
            self._empty.discard(room)

    def failed(self, room: Room) -> None:
        """The room must not be used again: the next visitor opens the document anew."""
        if room.journal.failure is not None:
            self._lost_edits.add(room.name.canonical)
        if self.rooms.get(room.name.canonical) is room:
            self._forget(room)

    def _forget(self, room: Room) -> None:
        self._empty.discard(room)
        del self.rooms[room.name.canonical]
        self._compactor.closed(room.name.canonical)

    def keep_stale(self, room: Room, member: Member, update: bytes) -> None:
        """Keep what a member of an earlier epoch brings, then send the member away."""
        try:
            self._start(self._keep_stale, room, member, update)
        except RoomUnavailable:
            member.close(CloseCode.SERVICE_RESTART, "the server is stopping")

    async def _keep_stale(self, room: Room, member: Member, update: bytes) -> None:
        key = room.name.canonical
        try:
            if await self._is_taken_over(room, member, update):
                member.close(CloseCode.HISTORY_CHANGED, f"{StaleReplica()}; what you brought was taken over")
                return
            now_ms = int(self._now_seconds() * 1000)
            run_id = None if member.run is None else member.run.id
            await self._stale_updates.add(key, member.user_id, update, now_ms, run_id)
        except TooManyStaleUpdates as error:
            logger.warning("%s: an update of user %d was not kept: %s", key, member.user_id, error)
            member.close(CloseCode.HISTORY_CHANGED, f"{StaleReplica()}; your copy was not kept")
        except LogUnavailable as error:
            logger.error("%s: an update of user %d was not kept: %s", key, member.user_id, error)
            member.close(CloseCode.INTERNAL_ERROR, "what you brought could not be kept")
        else:
            member.close(CloseCode.HISTORY_CHANGED, str(StaleReplica()))

    async def _is_taken_over(self, room: Room, member: Member, update: bytes) -> bool:
        try:
            return await self._on_stale(room, member, update)
        except Exception:  # whatever it is, the update is kept aside
            logger.exception("what user %d brings to %s is not taken over", member.user_id, room.name)
            return False

    def rebuild(self, room: Room, guard: SurrogateGuard | None) -> None:
        """Build the room's document again from all that was submitted to the log."""
        self._start(self._rebuild, room, guard)

    def in_thread(self, job: Callable[[], T], size_bytes: int) -> asyncio.Future[T]:
        """Do this in another thread: there is one for what takes long, and one that never waits for that."""
        thread = self._long_jobs if size_bytes > _LONG_JOB_BYTES else self._short_jobs
        return asyncio.get_running_loop().run_in_executor(thread, job)

    def _is_full(self, key: str) -> bool:
        return self._memory.stored_bytes(key) >= self._limits.max_document_bytes

    def _is_deserted(self, room: Room) -> bool:
        key = room.name.canonical
        return self.rooms.get(key) is room and room.is_empty and not self._visitors[key]

    async def _close(self, room: Room) -> None:
        while not room.journal.is_settled(room.journal.submitted):
            await self._commits.drain()
        if self._is_deserted(room):
            self._forget(room)
            room.release()

    async def _rebuild(self, room: Room, guard: SurrogateGuard | None) -> None:
        started = time.monotonic()
        try:
            await self._commits.drain()
            loaded = await load_document(
                self._log, room.name.canonical, guard, rules=self._rules_of(room.name)
            )
            loaded.relayable.update(room.relayable)
            room.rebuilt(loaded, cost_seconds=time.monotonic() - started)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this room's alone
            room.fail(error)

    def _start(self, task: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        if self._task_group is None:
            raise RoomUnavailable("the server is stopping")
        self._task_group.start_soon(task, *arguments)

    # WebsocketServer

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    async def stop(self) -> None:
        """Open and close no more rooms."""
        self._empty.take_all()
        await super().stop()
        for thread in (self._short_jobs, self._long_jobs):
            thread.shutdown(wait=False, cancel_futures=True)

    async def get_room(self, name: str) -> Room:
        """The room of that (canonical) name, opened if need be. Raises BadRoomName, RoomUnavailable."""
        async with self.visit(parse_room_name(name, plain_names_workspace_id=None), may_create=True) as room:
            return room

    async def delete_room(self, *, name: str | None = None, room: YRoom | None = None) -> None:
        """Send the members away and close the room; its document stays in the store."""
        open_room = self.rooms[name] if name is not None else room
        assert isinstance(open_room, Room)
        open_room.dismiss()

    async def serve(self, websocket: Channel) -> None:
        """Refused: a bare channel brings no identity, so nobody could say what it may do."""
        raise TypeError("rooms are entered by a transport.Connection, which knows whose it is")
