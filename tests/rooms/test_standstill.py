"""A room whose document another thread works on: who comes, asks or goes meanwhile."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from crdt_store.group_commit import GroupCommit
from crdt_store.memory import MemoryUpdateLog
from server.engine.document import Document
from server.protocol.structs import read_structs
from server.protocol.update_shape import check_update
from server.protocol.yjs_messages import Update, read_frame
from server.rooms.answers import Answers
from server.rooms.loading import LoadedDocument
from server.rooms.room import Room, RoomBusy
from server.rooms.roster import Roster
from server.rooms.standstill import Standstill
from tests.rooms.opened_rooms import ROOM_LIMITS, Visitor, file
from tests.wire.client import Writer

LARGE = 9_000


class Owner:
    """The thread works when the test says so."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self.jobs: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []

    def emptied(self, room: Room) -> None:
        self.told["emptied"] += 1

    def failed(self, room: Room) -> None:
        self.told["failed"] += 1

    def keep_stale(self, *_: object) -> None:
        self.told["kept"] += 1

    def rebuild(self, *_: object) -> None: ...

    def in_thread(self, job: Callable[[], Any], size_bytes: int) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.jobs.append((future, job))
        return future

    async def work(self) -> None:
        """Do the first job."""
        future, job = self.jobs.pop(0)
        try:
            future.set_result(job())
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        await asyncio.sleep(0)


@asynccontextmanager
async def a_room(stale_ids: frozenset[int] = frozenset()) -> AsyncIterator[tuple[Room, Owner]]:
    async with GroupCommit(MemoryUpdateLog(), max_pending_bytes=2**20) as commits:
        owner = Owner()
        loaded = LoadedDocument(Document(), stale_ids=stale_ids)
        yield (
            Room(
                file("a"),
                loaded,
                commits,
                owner,
                limits=ROOM_LIMITS,
                is_full=lambda: False,
                now_seconds=lambda: 0.0,
            ),
            owner,
        )


async def test_a_stale_member_that_leaves_while_it_is_judged_stays_nowhere() -> None:
    async with a_room(stale_ids=frozenset({5})) as (room, owner):
        member = Visitor()
        room.join(member)
        room.receive_update(member, Writer(5).type("z" * LARGE), is_reply=True)
        room.leave(member)
        await owner.work()
        assert room.is_empty
        assert owner.told == {"kept": 1, "emptied": 1}


async def test_a_room_is_not_empty_while_it_is_worked_on() -> None:
    async with a_room() as (room, owner):
        member = Visitor()
        room.join(member)
        room.receive_update(member, Writer(5).type("z" * LARGE), is_reply=False)
        room.leave(member)
        assert (room.is_empty, owner.told["emptied"]) == (False, 0)
        await owner.work()
        assert (room.is_empty, owner.told["emptied"]) == (True, 1)
        assert room.document.text("content") == "z" * LARGE


async def test_an_update_that_slips_in_waits_for_the_thread() -> None:
    async with a_room() as (room, owner):
        alice, bob = Visitor(), Visitor()
        room.join(alice)
        room.join(bob)
        room.receive_update(alice, Writer(5).type("z" * LARGE), is_reply=False)
        room.receive_update(bob, Writer(6).type("b"), is_reply=False)
        assert room.document.contents.state == {}
        await owner.work()
        assert room.document.contents.state == {5: LARGE, 6: 1}


async def test_who_asks_of_a_room_that_is_dismissed_meanwhile_is_told_to_try_again() -> None:
    async with a_room() as (room, owner):
        member = Visitor()
        room.join(member)
        room.receive_update(member, Writer(5).type("z" * LARGE), is_reply=False)
        answer = room.would_change(Writer(6).type("q"))
        room.dismiss()
        await owner.work()
        await owner.work()
        with pytest.raises(RoomBusy):
            await answer
        assert room.document.contents.state == {}  # it was let go of


class Asker(Visitor):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[bytes] = []

    def deliver(self, frame: Any) -> bool:
        self.messages.append(frame.message)
        return True


def test_two_questions_asked_meanwhile_get_one_answer_to_both() -> None:
    document = Document()
    for client_id in (1, 2):
        update = Writer(client_id).type("x")
        document.apply(update, check_update(update))
    member, roster, committed = Asker(), Roster(lambda: document.contents.state), list[Callable[[], None]]()
    roster.add(member)
    standstill = Standstill(lambda: roster)
    answers = Answers(
        roster, lambda: document, standstill.afterwards, committed.append, lambda error, again: None
    )
    standstill.begin()
    answers.ask(member, {2: 1})
    answers.ask(member, {1: 1})
    standstill.end(lambda: None)
    for action in committed:
        action()
    (message,) = (message for frame in member.messages for message in read_frame(frame))
    assert isinstance(message, Update)
    assert {struct.client for struct in read_structs(message.data)[0]} == {1, 2}
