"""What is held on its way to the disk: it has a bound, and nothing that fails keeps later edits from being held."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from crdt_store.held_edits import HeldEdits
from server.files import holding
from server.files.holding import HeldBack
from server.locks.book import LockBook
from server.news.hub import Hub
from server.protocol.closing import CloseCode
from server.rooms.room import Room
from tests.rooms.opened_rooms import Visitor, file


class Disk:
    """Where held edits go, once it is `ready`; it fails at what it is told to."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.kept: list[bytes] = []
        self.fails_at = b""

    async def keep(self, document: str, author_id: int, data: bytes, *_: Any, **more: Any) -> int:
        await self.ready.wait()
        if data == self.fails_at:
            raise ZeroDivisionError
        self.kept.append(data)
        return len(self.kept)

    async def of(self, document: str) -> list[Any]:
        return []


@pytest.fixture
async def disk() -> Disk:
    return Disk()


@pytest.fixture
async def held_back(disk: Disk) -> AsyncIterator[HeldBack]:
    async def run(task: Coroutine[Any, Any, None]) -> None:
        try:
            await task
        except ZeroDivisionError:
            failures.append(task)

    failures: list[object] = []
    async with asyncio.TaskGroup() as tasks:
        yield HeldBack(
            cast("HeldEdits", disk),
            LockBook(lambda: 0),
            Hub(),
            start=lambda task: tasks.create_task(run(task)),
            now_ms=lambda: 0,
        )


ROOM = cast("Room", SimpleNamespace(name=file("a")))


async def test_only_so_much_waits_for_a_disk_that_stands_still(
    held_back: HeldBack, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "_MAX_ARRIVING_BYTES", 10)
    member = Visitor()
    for data in (b"12345678", b"abcdefgh", b"no more"):
        held_back.keep(ROOM, member, data, None)
    assert member.closed == [CloseCode.TRY_AGAIN_LATER]
    disk.ready.set()
    with anyio.fail_after(5):
        while disk.kept != [b"12345678", b"abcdefgh"]:
            await asyncio.sleep(0)


async def test_an_edit_that_cannot_be_kept_does_not_stop_later_ones(held_back: HeldBack, disk: Disk) -> None:
    author, later = Visitor(), Visitor(2)
    disk.fails_at = b"bad"
    disk.ready.set()
    held_back.keep(ROOM, author, b"bad", None)
    with anyio.fail_after(5):
        while not author.closed:
            await asyncio.sleep(0)
    assert author.closed == [CloseCode.INTERNAL_ERROR]
    held_back.keep(ROOM, later, b"good", None)
    with anyio.fail_after(5):
        while disk.kept != [b"good"]:
            await asyncio.sleep(0)
