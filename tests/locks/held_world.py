"""A server and its crashes, in virtual time: people lock a file, and write to it whether they may or not."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from random import Random
from typing import Any

from sqlalchemy import select

from crdt_store.compaction import CompactionPolicy, Compactor
from crdt_store.database import Database
from crdt_store.engine import create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.held_edits import HeldEdits
from crdt_store.lock_queries import LockFilter
from crdt_store.lock_rows import LockTaken
from crdt_store.locks import Locks
from crdt_store.sql import SqlUpdateLog
from crdt_store.stale_updates import StaleUpdates
from crdt_store.tables import held_edits
from server.files.holding import HeldBack
from server.files.letting_in import LettingIn
from server.files.versions import ROOT
from server.locks.book import LockBook
from server.locks.rules import LockKind
from server.locks.service import LockService
from server.news.hub import Hub
from server.rooms.names import RoomName, parse_room_name
from server.rooms.room import Room
from server.rooms.room_manager import RoomManager
from tests.locks.world import POLICY, WORKSPACE
from tests.rooms.opened_rooms import ROOM_LIMITS, Visitor, _never
from tests.wire.client import Writer

PATH = "art/plan.md"
FILE = parse_room_name(f"workspace:{WORKSPACE}/{PATH}", plain_names_workspace_id=None)
_MANY_BYTES = 2**30
_STEPS = (
    ["write"] * 8
    + ["lock"] * 4
    + ["release", "force", "transfer", "crash", "crash"]
    + ["pass_time"] * 3
    + ["look"] * 2
)


async def _everybody_may(name: RoomName, user_id: int) -> bool:
    return True


class Node:
    """A server, without the sockets; a crash leaves of it what is in the database."""

    def __init__(self, url: str, now_ms: Callable[[], int]) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        self.now_ms = now_ms
        self.database: Database = create_engine(url)
        self.book = LockBook(now_ms)
        locks = Locks(self.database, max_per_user=1000)
        self.service = LockService(
            locks, self.book, POLICY, node_id="one", connected=lambda: frozenset(), now_ms=now_ms
        )
        held = HeldEdits(self.database, max_bytes=_MANY_BYTES, max_bytes_per_user=_MANY_BYTES)
        self.held_back = HeldBack(held, self.book, Hub(), start=self._start, now_ms=now_ms)
        self.stale = StaleUpdates(self.database, max_bytes=_MANY_BYTES)

    async def begin(self) -> None:
        await self.service.begin()
        log = SqlUpdateLog(self.database)
        enter = self._stack.enter_async_context
        compactor = await enter(Compactor(log, _never, CompactionPolicy()))
        self.commits = await enter(GroupCommit(log, max_pending_bytes=_MANY_BYTES))
        self.rooms = await enter(
            RoomManager(
                log,
                self.commits,
                compactor,
                self.stale,
                linger_seconds=3600,
                limits=ROOM_LIMITS,
                holding=self.held_back,
                now_seconds=lambda: self.now_ms() / 1000,
            )
        )
        self.held_back.admission = LettingIn(
            log,
            self.rooms,
            self.commits,
            self.stale,
            may_write=_everybody_may,
            now_ms=self.now_ms,
            wake=lambda: None,
        )
        self.book.subscribe(self.held_back.changed)
        self._start(self.held_back.find_unlocked())

    def _start(self, task: Coroutine[Any, Any, None]) -> None:
        begun = asyncio.create_task(task)
        self._tasks.add(begun)
        begun.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self.commits.drain()

    async def crash(self) -> None:
        """Nothing is written from now on."""
        await self.database.close()
        for task in self._tasks:
            task.cancel()
        await self._stack.aclose()

    async def room(self) -> Room:
        async with self.rooms.visit(FILE, may_create=True) as room:
            return room


class Person:
    """An editor. `marks`: how many it has written."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self._client_id = 1000 * user_id
        self.writer = Writer(self._client_id)
        self.visitor = Visitor(user_id)
        self.marks = 0

    def forget(self) -> None:
        """It begins anew, with what the server has: nobody else knows what was held."""
        self._client_id += 1
        self.writer = Writer(self._client_id)

    def write(self, random: Random) -> bytes:
        """An update with a mark of its own."""
        self.marks += 1
        text = str(self.writer.content)
        places = [0, *(at + 1 for at, letter in enumerate(text) if letter == ">")]
        self.writer.content.insert(random.choice(places), f"<{self.user_id}.{self.marks}>")
        return self.writer._updates[-1]


class HeldWorld:
    """`held`: the marks of all edits that ever were held durably."""

    def __init__(self, url: str, user_ids: list[int], seed: int) -> None:
        self.now_ms = 1_000_000
        self.random = Random(seed)
        self.people = [Person(user_id) for user_id in user_ids]
        self.held: set[bytes] = set()
        self.url = url
        self.node = Node(url, lambda: self.now_ms)

    async def begin(self) -> None:
        await self.node.begin()
        for person in self.people:
            await self.come_in(person)

    async def come_in(self, person: Person) -> None:
        """Bring what the server lacks, as a client does that comes back."""
        person.visitor = Visitor(person.user_id)
        room = await self.node.room()
        room.join(person.visitor)
        room.answer_sync(person.visitor, person.writer.doc.get_state())
        room.receive_update(person.visitor, person.writer.doc.get_update(), is_reply=True)

    async def step(self) -> None:
        """Something happens, and all that must hold does."""
        await getattr(self, self.random.choice(_STEPS))()
        await self.node.settle()
        await self.check()

    async def check(self) -> None:
        """What is held is in the document as little as its author may write it."""
        text = await self.text()
        columns = held_edits.c.author_id, held_edits.c.data
        rows = await self.node.database.read(lambda connection: connection.execute(select(*columns)).all())
        for author_id, data in rows:
            assert self.node.held_back.blocks(FILE, author_id)
            for mark in self.marks_in(data):
                assert mark.decode() not in text
                self.held.add(mark)

    def marks_in(self, data: bytes) -> set[bytes]:
        all_marks = (
            f"<{person.user_id}.{number}>".encode()
            for person in self.people
            for number in range(1, person.marks + 1)
        )
        return {mark for mark in all_marks if mark in data}

    async def text(self) -> str:
        return (await self.node.room()).document.text(ROOT)

    # What happens

    async def write(self) -> None:
        person = self.random.choice(self.people)
        room = await self.node.room()
        room.receive_update(person.visitor, person.write(self.random), is_reply=False)

    async def look(self) -> None:
        """Somebody reads what there is."""
        writer = self.random.choice(self.people).writer
        writer.doc.apply_update((await self.node.room()).document.encode_since(writer.doc.get_state()))

    async def lock(self) -> None:
        path, kind = self.random.choice([PATH, "art"]), self.random.choice(list(LockKind))
        with suppress(LockTaken):
            await self.node.service.acquire(WORKSPACE, path, self.random.choice(self.people).user_id, kind)

    async def release(self) -> None:
        for lock in await self.node.service.page(LockFilter(WORKSPACE), limit=1):
            await self.node.service.release(lock, lock.holder_id)

    async def force(self) -> None:
        for lock in await self.node.service.page(LockFilter(WORKSPACE), limit=1):
            await self.node.service.force(lock, self.random.choice(self.people).user_id, "because")

    async def transfer(self) -> None:
        to_user_id = self.random.choice(self.people).user_id
        for lock in await self.node.service.page(LockFilter(WORKSPACE), limit=1):
            with suppress(LockTaken):
                await self.node.service.transfer(lock, to_user_id, lock.holder_id, is_admin=False)

    async def pass_time(self) -> None:
        self.now_ms += self.random.randrange(150)
        await self.node.service.sweep()

    async def crash(self) -> None:
        """At any moment of what is under way; after a while it starts anew."""
        for _ in range(self.random.randrange(3)):
            await self.write()
        if self.random.random() < 0.7:
            await self.release()
        for _ in range(self.random.randrange(300)):
            await asyncio.sleep(0)
        await self.node.crash()
        self.now_ms += self.random.randrange(300)
        self.node = Node(self.url, lambda: self.now_ms)
        for person in self.people:
            if self.random.random() < 0.7:
                person.forget()
        await self.begin()
