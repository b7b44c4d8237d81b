"""A Room Manager without a server around it, and members that write down what they are told."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from crdt_store.compaction import CompactionPolicy, Compactor, Condensed, CondenseFailed
from crdt_store.engine import create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.memory import MemoryUpdateLog
from crdt_store.stale_updates import StaleUpdates
from crdt_store.update_log import Snapshot, UpdateLog
from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import Frame
from server.rooms.limits import RoomLimits
from server.rooms.memory_budget import MemoryBudget
from server.rooms.names import RoomName, parse_room_name
from server.rooms.room import Room
from server.rooms.room_manager import RoomManager
from server.rooms.runs import Run

ROOM_LIMITS = RoomLimits(
    max_document_bytes=2**30, max_update_structs=10**6, max_held_bytes=2**16, max_window_seconds=0
)


@dataclass(eq=False)
class Visitor:
    """A member of a room."""

    user_id: int = 1
    may_write: bool = True
    has_replica: bool = True
    run: Run | None = None
    shown_user: dict[str, Any] = field(default_factory=lambda: {"name": "alice"})
    closed: list[CloseCode] = field(default_factory=list)

    def deliver(self, frame: Frame) -> bool:
        return True

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def slow_down(self, seconds: float) -> None: ...
    def fail(self, error: Exception) -> None:
        raise error

    def deny(self, reason: str) -> None:
        raise AssertionError(reason)

    def close(self, code: CloseCode, reason: str) -> None:
        self.closed.append(code)


@dataclass(eq=False)
class Memory:
    """What the store has of each document, and what the process takes."""

    stored: Mapping[str, int] = field(default_factory=dict)
    used_bytes: int | None = 0

    def budget(self, *, empty_rooms: int = 2**40, process: int = 2**40) -> MemoryBudget:
        return MemoryBudget(
            empty_rooms, process, lambda name: self.stored.get(name, 0), lambda: self.used_bytes
        )


def file(name: str) -> RoomName:
    return parse_room_name(f"workspace:1/{name}", plain_names_workspace_id=None)


@asynccontextmanager
async def room_manager(
    folder: Path, memory: MemoryBudget, *, log: UpdateLog | None = None, linger_seconds: float = 3600
) -> AsyncIterator[RoomManager]:
    log = log or MemoryUpdateLog()
    database = create_engine(f"sqlite+aiosqlite:///{folder}/unused.db")
    async with (
        Compactor(log, _never, CompactionPolicy()) as compactor,
        GroupCommit(log, max_pending_bytes=2**20) as commits,
        RoomManager(
            log,
            commits,
            compactor,
            StaleUpdates(database, max_bytes=1),
            linger_seconds=linger_seconds,
            limits=ROOM_LIMITS,
            now_seconds=time.time,
            memory=memory,
        ) as rooms,
    ):
        yield rooms


async def _never(snapshot: Snapshot | None, updates: Sequence[bytes]) -> Condensed:
    raise CondenseFailed


async def touch(rooms: RoomManager, *names: str) -> None:
    """Visit these files one after another."""
    for name in names:
        async with rooms.visit(file(name), may_create=True):
            pass


async def enter(rooms: RoomManager, name: str) -> tuple[Room, Visitor]:
    """Become a member."""
    member = Visitor()
    async with rooms.visit(file(name), may_create=True) as room:
        room.join(member)
    return room, member


def open_files(rooms: RoomManager) -> list[str]:
    """Those that are open, by name."""
    return sorted(key.removeprefix("workspace:1/") for key in rooms.rooms)


async def until_open(rooms: RoomManager, *names: str) -> None:
    """Until exactly these are."""
    with anyio.fail_after(10):
        while open_files(rooms) != sorted(names):
            await anyio.sleep(0.001)
