"""What is kept in memory is what the store says, at any moment."""

import anyio
import pytest

from server.access.remembered import Remembered


class Shelf:
    """A store of numbers that can be made to wait."""

    def __init__(self) -> None:
        self.number = 1
        self.reads: list[str] = []
        self.open = anyio.Event()
        self.open.set()

    async def read(self, key: str) -> int:
        self.reads.append(key)
        number = self.number
        await self.open.wait()
        return number


async def test_what_was_asked_for_is_read_once() -> None:
    shelf = Shelf()
    remembered = Remembered(shelf.read, size=10)
    assert [await remembered.get("a") for _ in range(3)] == [1, 1, 1]
    assert shelf.reads == ["a"]


async def test_only_the_keys_that_were_asked_for_last_are_kept() -> None:
    shelf = Shelf()
    remembered = Remembered(shelf.read, size=2)
    for key in "abaca":
        await remembered.get(key)
    assert shelf.reads == ["a", "b", "c"]
    await remembered.get("b")
    assert shelf.reads[3:] == ["b"]


async def test_what_is_forgotten_is_read_again_and_nothing_else_is() -> None:
    shelf = Shelf()
    remembered = Remembered(shelf.read, size=10)
    for key in "abc":
        await remembered.get(key)
    shelf.number = 2
    remembered.forget_one("a")
    remembered.forget(lambda key, number: key == "b")
    assert [await remembered.get(key) for key in "abc"] == [2, 2, 1]


@pytest.mark.parametrize("forget_all", [False, True])
async def test_what_changes_while_it_is_read_is_not_remembered(forget_all: bool) -> None:
    shelf = Shelf()
    remembered = Remembered(shelf.read, size=10)
    shelf.open = anyio.Event()
    answers = []

    async def ask() -> None:
        answers.append(await remembered.get("a"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        shelf.number = 2
        if forget_all:
            remembered.forget(lambda key, number: True)
        else:
            remembered.forget_one("a")
        shelf.open.set()
    assert answers == [1]
    assert await remembered.get("a") == 2
