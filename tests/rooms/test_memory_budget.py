"""Empty rooms stay open within a budget, the process opens no more beyond its own, and nothing is lost by either."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from crdt_store.memory import MemoryUpdateLog
from server.rooms import room_manager as module
from server.rooms.memory_budget import MemoryBudget
from server.rooms.room_manager import RoomManager, RoomsFull
from tests.acceptance.log_wrappers import SlowLog
from tests.rooms.opened_rooms import Memory, enter, file, open_files, room_manager, touch, until_open
from tests.wire.client import Writer

EMPTY = MemoryBudget(0, 0, lambda name: 0).room_bytes("any")
"""What a room counts as whose document has nothing in the store."""


@contextmanager
def without_the_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def text_of(rooms: RoomManager, name: str) -> str:
    async with rooms.visit(file(name), may_create=False) as room:
        return room.document.text("content")


async def test_the_least_recently_used_empty_rooms_are_closed_first(tmp_path: Path) -> None:
    async with room_manager(tmp_path, Memory().budget(empty_rooms=3 * EMPTY)) as rooms:
        await touch(rooms, "a", "b", "c", "a", "d")
        await until_open(rooms, "a", "c", "d")
        await touch(rooms, "e")
        await until_open(rooms, "a", "d", "e")


async def test_being_used_again_counts_from_leaving(tmp_path: Path) -> None:
    async with room_manager(tmp_path, Memory().budget(empty_rooms=2 * EMPTY)) as rooms:
        first, member = await enter(rooms, "a")
        await touch(rooms, "b", "c")
        first.leave(member)
        await until_open(rooms, "a", "c")


async def test_rooms_in_use_do_not_count_as_empty(tmp_path: Path) -> None:
    async with room_manager(tmp_path, Memory().budget(empty_rooms=2 * EMPTY)) as rooms:
        await touch(rooms, "a", "b")
        await enter(rooms, "entered")
        async with rooms.visit(file("b"), may_create=False):
            await touch(rooms, "c")
            await anyio.lowlevel.checkpoint()
            assert open_files(rooms) == ["a", "b", "c", "entered"]
        await until_open(rooms, "b", "c", "entered")


async def test_empty_rooms_never_take_more_than_their_budget(tmp_path: Path) -> None:
    stored = {f"workspace:1/{number}": 100 * number**2 for number in range(60)}
    memory = Memory(stored).budget(empty_rooms=20 * EMPTY)
    async with room_manager(tmp_path, memory) as rooms:
        for number in (*range(60), *range(59, 0, -7)):
            await touch(rooms, str(number))
            await anyio.lowlevel.checkpoint()
            assert sum(map(memory.room_bytes, rooms.rooms)) <= 20 * EMPTY
        assert 1 < len(rooms.rooms) < 20


async def test_a_room_that_is_larger_than_the_budget_closes_at_once(tmp_path: Path) -> None:
    memory = Memory({"workspace:1/large": 2**20}).budget(empty_rooms=5 * EMPTY)
    async with room_manager(tmp_path, memory) as rooms:
        room, member = await enter(rooms, "large")
        room.leave(member)
        await until_open(rooms)


async def test_a_room_with_somebody_in_it_is_never_closed(tmp_path: Path) -> None:
    memory = Memory()
    async with room_manager(tmp_path, memory.budget(empty_rooms=0, process=1000), linger_seconds=0) as rooms:
        room, member = await enter(rooms, "a")
        await touch(rooms, "b", "c")
        memory.used_bytes = 1001
        with pytest.raises(RoomsFull):
            await touch(rooms, "d")
        await until_open(rooms, "a")
        async with rooms.visit(file("a"), may_create=False) as same:
            assert same is room
        room.receive_update(member, Writer(7).type("still writes"), is_reply=False)
        assert room.document.text("content") == "still writes"
        assert not member.closed


async def test_empty_rooms_stay_open_while_there_is_room(tmp_path: Path) -> None:
    async with room_manager(tmp_path, Memory().budget()) as rooms:
        await touch(rooms, "a")
        first = rooms.rooms["workspace:1/a"]
        await touch(rooms, *map(str, range(100)), "a")
        assert rooms.rooms["workspace:1/a"] is first


async def test_a_room_closes_only_when_all_it_holds_is_committed(tmp_path: Path) -> None:
    log = SlowLog(MemoryUpdateLog())
    async with room_manager(tmp_path, Memory().budget(empty_rooms=0), log=log) as rooms:
        room, member = await enter(rooms, "a")
        room.receive_update(member, Writer(7).type("kept"), is_reply=False)
        await log.wait_appending()
        room.leave(member)
        await anyio.wait_all_tasks_blocked()
        assert open_files(rooms) == ["a"]
        log.release()
        await until_open(rooms)
        assert await text_of(rooms, "a") == "kept"


async def test_who_comes_while_a_room_waits_to_close_keeps_it_open(tmp_path: Path) -> None:
    log = SlowLog(MemoryUpdateLog())
    async with room_manager(tmp_path, Memory().budget(empty_rooms=0), log=log) as rooms:
        room, member = await enter(rooms, "a")
        room.receive_update(member, Writer(7).type("kept"), is_reply=False)
        await log.wait_appending()
        room.leave(member)
        await anyio.wait_all_tasks_blocked()
        same, _ = await enter(rooms, "a")
        log.release()
        await anyio.wait_all_tasks_blocked()
        assert same is room
        assert open_files(rooms) == ["a"]


async def test_a_stampede_on_rooms_that_are_being_closed_meets_in_one_room_with_all_content(
    tmp_path: Path,
) -> None:
    async with room_manager(tmp_path, Memory().budget(empty_rooms=0), linger_seconds=0) as rooms:
        for round_number in range(20):
            members = []

            async def come(number: int) -> None:
                room, member = await enter(rooms, "a")
                members.append((room, member))  # noqa: B023 - awaited within the round
                room.receive_update(member, Writer(number).type("x"), is_reply=False)

            async with anyio.create_task_group() as tasks:
                for number in range(30):
                    tasks.start_soon(come, 1 + 30 * round_number + number)
            assert len({room for room, _ in members}) == 1
            for room, member in members:
                room.leave(member)
            if round_number % 2:
                await until_open(rooms)
        assert await text_of(rooms, "a") == "x" * 600


async def test_over_the_budget_no_room_is_opened_and_afterwards_it_is(tmp_path: Path) -> None:
    memory = Memory()
    async with room_manager(tmp_path, memory.budget(process=1000)) as rooms:
        await touch(rooms, "a")
        memory.used_bytes = 1001
        with pytest.raises(RoomsFull, match="try again"):
            await touch(rooms, "b")
        memory.used_bytes = 1000
        await touch(rooms, "b")
        assert "b" in open_files(rooms)


async def test_presence_rooms_are_refused_like_others(tmp_path: Path) -> None:
    memory = Memory(used_bytes=1001)
    async with room_manager(tmp_path, memory.budget(process=1000)) as rooms:
        with pytest.raises(RoomsFull):
            await rooms.get_room("global")


async def test_before_refusing_every_empty_room_is_closed_and_its_memory_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory()
    async with room_manager(tmp_path, memory.budget(process=1000)) as rooms:

        def give_back() -> None:
            memory.used_bytes = 500 * len(rooms.rooms)

        monkeypatch.setattr(module, "give_back", give_back)
        await enter(rooms, "in use")
        await touch(rooms, "a", "b")
        memory.used_bytes = 1500
        await touch(rooms, "c")
        assert open_files(rooms) == ["c", "in use"]


async def test_rooms_stay_open_where_giving_freed_memory_back_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory()
    monkeypatch.setattr(module, "give_back", lambda: setattr(memory, "used_bytes", 10))
    async with room_manager(tmp_path, memory.budget(process=1000)) as rooms:
        await touch(rooms, "a")
        memory.used_bytes = 1500
        await touch(rooms, "b")
        assert open_files(rooms) == ["a", "b"]


async def test_many_who_come_at_once_all_wait_for_the_memory_to_be_freed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, relieved = Memory(), []
    log = SlowLog(MemoryUpdateLog())

    def give_back() -> None:
        relieved.append(len(rooms.rooms))
        memory.used_bytes = 2000 if rooms.rooms else 0

    monkeypatch.setattr(module, "give_back", give_back)
    async with room_manager(tmp_path, memory.budget(process=1000), log=log) as rooms:
        room, member = await enter(rooms, "full")
        room.receive_update(member, Writer(7).type("kept"), is_reply=False)
        room.leave(member)
        memory.used_bytes = 2000
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(touch, rooms, str(number))
            await log.wait_appending()
            await anyio.wait_all_tasks_blocked()
            assert open_files(rooms) == ["full"]
            log.release()
        assert len(rooms.rooms) == 20
        assert relieved == [1, 0]


async def test_empty_rooms_are_closed_as_soon_as_giving_back_is_no_longer_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory()
    async with room_manager(tmp_path, memory.budget(process=1000)) as rooms:

        def give_back() -> None:
            memory.used_bytes = 400 * len(rooms.rooms)

        monkeypatch.setattr(module, "give_back", give_back)
        for number in range(20):
            await touch(rooms, str(number))
            memory.used_bytes = 1001
            assert len(rooms.rooms) <= 3


async def test_while_memory_is_short_it_is_not_looked_for_at_every_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []
    monkeypatch.setattr(module, "give_back", lambda: calls.append(None))
    async with room_manager(tmp_path, Memory(used_bytes=2).budget(process=1)) as rooms:
        for _ in range(50):
            with pytest.raises(RoomsFull):
                await touch(rooms, "a")
    assert len(calls) == 2


async def test_where_the_system_does_not_say_what_is_used_the_rooms_are_counted(tmp_path: Path) -> None:
    memory = Memory({"workspace:1/large": 10_000}, used_bytes=None)
    async with room_manager(tmp_path, memory.budget(process=5 * EMPTY)) as rooms:
        await enter(rooms, "large")
        with pytest.raises(RoomsFull):
            await touch(rooms, "another")


async def test_the_document_of_a_closed_room_is_freed_without_the_collector(tmp_path: Path) -> None:
    async with room_manager(tmp_path, Memory().budget(empty_rooms=0)) as rooms:
        with without_the_collector():
            room, member = await enter(rooms, "a")
            room.receive_update(member, Writer(7).type("gone"), is_reply=False)
            document, engine = weakref.ref(room.document), weakref.ref(room.document.ydoc)
            room.leave(member)
            del room
            await until_open(rooms)
            assert document() is None
            assert engine() is None
