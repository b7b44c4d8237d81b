"""What the hot path costs, counted and not timed: calls (of Python and of C), and blocks of memory that stay.

Whoever makes a path longer has to say so here; whoever makes it shorter may.
"""

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any, NamedTuple

import pytest

from auth.grants import Role
from auth.principals import Principal
from crdt_store.effects import Effect
from crdt_store.group_commit import GroupCommit
from crdt_store.journal import Journal
from crdt_store.memory import MemoryUpdateLog
from crdt_store.update_log import Row
from server.access.identity import Identity
from server.engine.document import Document
from server.limits.connections import ConnectionCounts
from server.protocol.awareness_codec import AwarenessEntry, write_entries
from server.protocol.contents import Contents
from server.protocol.merge_updates import merge_consecutive
from server.protocol.update_shape import check_update
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import read_frame, update_message
from server.rooms.broadcast import Broadcast
from server.rooms.gate import judge
from server.rooms.intake import take_in
from server.rooms.loading import LoadedDocument
from server.rooms.presence import Presence
from server.rooms.room import Room
from server.rooms.roster import Roster
from server.settings import Settings
from server.transport.connection import Connection
from server.transport.outbox import Outbox, Slices
from server.transport.participant import ConnectionLimits
from server.transport.picows_socket import PicowsSocket
from tests.engine.typing_authors import typed
from tests.rooms.opened_rooms import ROOM_LIMITS, Visitor, file

REPEATS = 100
MEMBERS = 100


class Cost(NamedTuple):
    """Of one time: `calls`, and `blocks` that are held by what comes of it."""

    calls: float
    blocks: float


MOST = {
    "read_frame": Cost(12, 5),
    "check_update": Cost(28, 10),
    "judge": Cost(46, 11.5),
    "take_in": Cost(86, 16),
    "receive_update": Cost(139, 15),
    "append": Cost(13, 1.5),
    "merge of one more author": Cost(1.1, 0.5),
    "merge of one more edit": Cost(4.5, 0.5),
    "send to one more": Cost(7.7, 0.5),
    "presence: receive": Cost(52, 7),
    "presence: send to one more": Cost(1.1, 0.5),
    "presence: one more who moves": Cost(25.6, 0.5),
    "add_now": Cost(5.5, 0.5),
}
"""Of a typed character; about a tenth more than was counted when this was written, with Python 3.11."""


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """How many calls are made in the block; ask after it."""
    calls = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield lambda: calls - _CALLS_OF_LEAVING_THE_BLOCK
    finally:
        sys.setprofile(before)


_CALLS_OF_LEAVING_THE_BLOCK = 0
with counting() as _calls:
    pass
_CALLS_OF_LEAVING_THE_BLOCK = _calls()


@contextmanager
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def cost_of(action: Callable[[int], object]) -> Cost:
    """Of `action(index)`; the first times are not counted."""
    for index in range(10):
        action(index)
    kept: list[object] = [None] * REPEATS
    with no_collector():
        blocks = sys.getallocatedblocks()
        for index in range(REPEATS // 2):
            kept[index] = action(10 + index)
        blocks = sys.getallocatedblocks() - blocks
        with counting() as calls:
            for index in range(REPEATS // 2, REPEATS):
                kept[index] = action(10 + index)
    return Cost(calls() / (REPEATS // 2) - 1, blocks / (REPEATS // 2))  # 1: `action` itself


def assert_at_most(name: str, cost: Cost) -> None:
    most = MOST[name]
    print(f'    "{name}": Cost({cost.calls:.2f}, {cost.blocks:.2f}),')
    assert cost.calls <= most.calls, f"{name} calls more than it did"
    assert cost.blocks <= most.blocks, f"{name} holds more memory than it did"


@pytest.fixture(scope="module")
def updates() -> list[bytes]:
    """Characters typed one after another."""
    return typed("x" * (REPEATS + 20), client_id=2**31)


def nobody(client_id: int) -> None: ...


# Taking an edit in


def test_reading_a_frame(updates: list[bytes]) -> None:
    frames = [update_message(update) for update in updates]
    assert_at_most("read_frame", cost_of(lambda index: list(read_frame(frames[index]))))


def test_checking_an_update(updates: list[bytes]) -> None:
    assert_at_most("check_update", cost_of(lambda index: check_update(updates[index])))


def test_judging_an_update(updates: list[bytes]) -> None:
    contents = Contents()

    def act(index: int) -> object:
        contents.state[2**31] = index + 1
        return judge(updates[index + 1], contents, nobody, user_id=1, is_reply=False)

    assert_at_most("judge", cost_of(act))


def test_taking_an_update_in(updates: list[bytes]) -> None:
    document = Document()
    cost = cost_of(lambda index: take_in(document, updates[index], nobody, user_id=1, is_reply=False))
    assert_at_most("take_in", cost)


def test_appending_to_the_journal(updates: list[bytes]) -> None:
    journal = Journal(
        "workspace:1/a",
        1,
        on_submitted=lambda journal, data_bytes: None,
        on_committed=lambda position: None,
        on_failed=lambda failure: None,
    )
    cost = cost_of(
        lambda index: journal.append(
            updates[index], author_id=1, client_ids=(2**31,), received_at_ms=1_700_000_000_000
        )
    )
    assert_at_most("append", cost)


class ForgetfulLog(MemoryUpdateLog):
    """What is stored takes no memory."""

    async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None: ...


class Owner:
    """Of one room that nothing befalls."""

    def emptied(self, room: Room) -> None: ...

    def failed(self, room: Room) -> None: ...

    def keep_stale(self, *_: object) -> None: ...

    def rebuild(self, *_: object) -> None: ...

    def in_thread(self, job: Callable[[], Any], size_bytes: int) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(None, job)


@asynccontextmanager
async def open_room() -> AsyncIterator[tuple[Room, GroupCommit]]:
    async with GroupCommit(ForgetfulLog(), max_pending_bytes=2**30) as commits:
        room = Room(
            file("a"),
            LoadedDocument(Document()),
            commits,
            Owner(),
            limits=ROOM_LIMITS,
            is_full=lambda: False,
            now_seconds=lambda: 1_700_000_000.0,
        )
        yield room, commits


async def test_receiving_an_update(updates: list[bytes]) -> None:
    async with open_room() as (room, _):
        author = Visitor()
        room.join(author)
        cost = cost_of(lambda index: room.receive_update(author, updates[index], is_reply=False))
    assert_at_most("receive_update", cost)


# Telling the others


class DeepKernel(asyncio.Transport):
    """Takes all that it is given, and forgets it."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.BaseProtocol | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self.protocol is not None
        return self.protocol

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None: ...


async def connect(room: Room, commits: GroupCommit, count: int) -> list[Connection]:
    """So many members, from the connection down to where the kernel begins."""
    slices, sockets = Slices(), set[Any]()
    limits = ConnectionLimits(max_awareness_bytes=2**16, max_outbox_bytes=2**22)
    counts = ConnectionCounts(Settings())
    connections = []
    for user_id in range(1, count + 1):
        principal = Principal("here", str(user_id), "alice", expires_at_seconds=1e10, grants=None)
        connection = Connection(
            Identity(user_id, principal),
            Role.EDITOR,
            room,
            limits,
            commits,
            counts.enter(user_id, "here"),
            lambda connection: None,
        )
        connection.start(
            PicowsSocket(
                DeepKernel(),
                connection,
                sockets,
                slices=slices,
                max_message_bytes=2**24,
                close_timeout_seconds=5,
            )
        )
        connections.append(connection)
    await until_quiet(room)
    return connections


async def until_quiet(room: Room) -> None:
    """Until all is committed and has left."""
    async with asyncio.timeout(10):
        while not room.journal.is_settled(room.journal.submitted):
            await asyncio.sleep(0)
        for _ in range(60):
            await asyncio.sleep(0)


async def calls_of_a_broadcast(updates: list[bytes], members: int) -> int:
    """From the edit of one until everybody has it."""
    async with open_room() as (room, commits):
        author, *_ = await connect(room, commits, members)
        counts = []
        with no_collector():
            for update in updates[:15]:
                with counting() as calls:
                    author.on_binary(update_message(update))
                    for _ in range(20):
                        await asyncio.sleep(0)
                counts.append(calls())
                await until_quiet(room)
        return min(counts[5:])


async def test_telling_one_member_more(updates: list[bytes]) -> None:
    few = await calls_of_a_broadcast(updates, 1)
    many = await calls_of_a_broadcast(updates, 1 + MEMBERS)
    assert_at_most("send to one more", Cost((many - few) / MEMBERS, 0))


@pytest.mark.parametrize(
    ("name", "authors"), [("merge of one more author", 100), ("merge of one more edit", 1)]
)
def test_merging_one_edit_more(name: str, authors: int) -> None:
    """Of one letter each of many, or of many letters of one."""
    count = 100
    updates = [
        update
        for client_id in range(1, authors + 1)
        for update in typed("x" * (count // authors), client_id=client_id)
    ]
    gathered = [(update, check_update(update)) for update in updates]
    whole, half = (
        cost_of(lambda _, edits=edits: merge_consecutive(edits))  # type: ignore[misc]
        for edits in (gathered, gathered[: count // 2])
    )
    assert_at_most(name, Cost((whole.calls - half.calls) / (count // 2), whole.blocks / count))


def everybody_may(client_id: int) -> bool:
    return True


def entry(client_id: int, clock: int) -> bytes:
    state = b'{"user":{"name":"alice","color":"#30bced"},"cursor":{"anchor":%d,"head":%d}}' % (clock, clock)
    return write_entries([AwarenessEntry(client_id, clock, state)])


async def calls_of_presence(members: int, *, moving: int) -> tuple[Cost, int]:
    """To receive where one is; to tell everybody where so many are."""
    roster = Roster(dict)
    presence = Presence(roster, lambda: 0.0)
    everybody = [Visitor() for _ in range(members)]

    def move(client_id: int, clock: int) -> None:
        presence.receive(everybody[client_id], entry(1 + client_id, clock), may_own=everybody_may)

    for client_id, member in enumerate(everybody):
        roster.add(member)
        move(client_id, 1)
    await asyncio.sleep(0)
    entries = [entry(2, 2 + index) for index in range(REPEATS + 10)]
    received = cost_of(lambda index: presence.receive(everybody[1], entries[index], may_own=everybody_may))
    for client_id in range(1, 1 + moving):
        move(client_id, 2**10)
    with no_collector(), counting() as calls:
        await asyncio.sleep(0)
    return received, calls()


async def test_a_cursor_and_who_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.rooms.presence._FRAME_SECONDS", 0.0)
    received, few = await calls_of_presence(2, moving=1)
    received_in_a_crowd, many = await calls_of_presence(2 + MEMBERS, moving=1)
    assert received_in_a_crowd.calls == received.calls, "how many are told has no part in what is received"
    assert_at_most("presence: receive", received)
    assert_at_most("presence: send to one more", Cost((many - few) / MEMBERS, 0))
    _, most = await calls_of_presence(2 + MEMBERS, moving=1 + MEMBERS)
    assert_at_most("presence: one more who moves", Cost((most - many) / MEMBERS, 0))


async def test_saying_a_little() -> None:
    outbox = Outbox(DeepKernel(), Slices(), lambda: None)
    wire = Frame(update_message(b"x" * 30)).wire
    assert_at_most("add_now", cost_of(lambda _: outbox.add_now(wire)))


# Memory


async def test_a_large_update_is_in_memory_once_however_many_get_it() -> None:
    async with open_room() as (room, commits):
        members = await connect(room, commits, 1 + MEMBERS)
        broadcast = Broadcast(room.members, lambda action: None, max_window_seconds=0)
        (update,) = typed("x", client_id=7)
        update = update.replace(b"\x01x\x00", b"\x80\x80\x40" + b"x" * 2**20 + b"\x00")
        shape = check_update(update)
        assert len(update) > 2**20
        tracemalloc.start()
        try:
            broadcast.add(members[0], update, shape)
            await asyncio.sleep(0)
            held_bytes, peak_bytes = tracemalloc.get_traced_memory()
            for _ in range(len(update) * MEMBERS // 2**20):
                await asyncio.sleep(0)
            leaving_peak_bytes = tracemalloc.get_traced_memory()[1]
            await until_quiet(room)
            left_bytes = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert held_bytes < 1.2 * len(update), "the frame, once"
    assert peak_bytes < 2.5 * len(update), "the message and its frame"
    assert leaving_peak_bytes == peak_bytes, "slices are not copied"
    assert left_bytes < 0.1 * len(update)


async def test_nothing_of_what_has_been_told_is_kept() -> None:
    rounds = 200
    updates = typed("x" * 2 * rounds, client_id=2**31)
    async with open_room() as (room, commits):
        author, *_ = await connect(room, commits, 1 + MEMBERS)

        async def tell(some: list[bytes]) -> int:
            for update in some:
                author.on_binary(update_message(update))
                await until_quiet(room)
            gc.collect()
            return sys.getallocatedblocks()

        before = await tell(updates[:rounds])
        assert await tell(updates[rounds:]) - before < rounds // 10, "something stays of each edit"
