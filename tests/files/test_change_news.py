"""What listeners are told of changes of files: by whom, of which lines, and not more often than once a second."""

from collections.abc import AsyncIterator

import anyio
import pytest

from crdt_store.memory import MemoryUpdateLog
from crdt_store.runs import StoredRun
from crdt_store.update_log import Row, Update
from server.engine.document import Document
from server.engine.text_edits import write_edits
from server.files.change_news import ChangeNews
from server.files.change_tracking import AuthorChange, changes_by_author
from server.files.line_changes import LineRange
from server.files.version import Version
from server.files.versions import ROOT, FileState, Versions, WrittenBy
from server.news.hub import Hub, News

FILE = "workspace:1/a.md"
ALICE, BOB = 1, 2


class File:
    """What is written to a file, one after another."""

    def __init__(self) -> None:
        self.updates: list[bytes] = []

    @property
    def state(self) -> FileState:
        return FileState.of(Version(1, 1), Document.load(self.updates))

    def write(self, start: int, end: int, text: str) -> bytes:
        """In bytes."""
        client_id = 100 + len(self.updates)
        self.updates.append(write_edits(self.updates, ROOT, [(start, end, text)], client_id))
        return self.updates[-1]

    def by(self, author_id: int, start: int, end: int, text: str) -> WrittenBy:
        return WrittenBy(self.write(start, end, text), author_id, Version(1, 1), 0)


def test_lines_are_those_of_the_text_after_all_that_was_written() -> None:
    file = File()
    file.write(0, 0, "one\ntwo 📊\nthree\n")
    base = file.state
    written = [
        file.by(ALICE, 4, 7, "zwei"),
        file.by(BOB, 0, 0, "zero\n日\n"),
        file.by(ALICE, len(file.state.text.encode()), len(file.state.text.encode()), "four\n"),
    ]
    assert file.state.text == "zero\n日\none\nzwei 📊\nthree\nfour\n"
    assert changes_by_author(base, written) == [
        AuthorChange(ALICE, (LineRange(3, 4), LineRange(5, 6)), 2, 1),
        AuthorChange(BOB, (LineRange(0, 2),), 2, 0),
    ]


def test_what_changes_no_text_is_nobodys_change() -> None:
    file = File()
    file.write(0, 0, "one\n")
    base = file.state
    written = [file.by(ALICE, 4, 4, "two\n"), file.by(ALICE, 4, 8, "")]
    assert changes_by_author(base, written) == []


def test_many_who_take_turns_are_told_all_the_same() -> None:
    file = File()
    file.write(0, 0, "one\n")
    base = file.state
    written = [file.by(number % 50, 0, 0, f"{number}\n") for number in range(100)]
    found = changes_by_author(base, written)
    assert {each.author_id for each in found} == set(range(50))
    assert all(start < end <= 100 for each in found for start, end in each.ranges)


class Told:
    """A log, and what its listeners hear."""

    def __init__(self, every_seconds: float) -> None:
        self.log, self.hub, self.heard = MemoryUpdateLog(), Hub(), list[tuple[str, News]]()
        self.listens = {"workspace:1", "project:5"}
        for room in sorted(self.listens):
            self.hub.subscribe(room, lambda news, room=room: self.heard.append((room, news)))  # type: ignore[misc]
        self.news = ChangeNews(
            self.log,
            Versions(self.log),
            self.hub,
            is_heard=self.listens.__contains__,
            project_of=self.project_of,
            run_of=self.run_of,
            now_ms=lambda: 0,
            every_seconds=every_seconds,
        )

    async def run_of(self, run_id: int) -> StoredRun | None:
        return StoredRun(run_id, 7, f"r{run_id}", "fixer", None, 0, "here", "Bob")

    async def project_of(self, workspace_id: int) -> int | None:
        return {1: 5}.get(workspace_id)

    async def store(
        self, author_id: int, *updates: bytes, name: str = FILE, run_id: int | None = None
    ) -> None:
        row = Row(name, author_id, (), tuple(Update(data, 0) for data in updates), run_id=run_id)
        await self.log.append([row])
        self.news.stored(name, len(updates), 0)

    async def until_heard(self, count: int) -> list[tuple[str, News]]:
        with anyio.fail_after(5):
            while len(self.heard) < count:
                await anyio.sleep(0.001)
        return self.heard


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    told = Told(every_seconds=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(told.news.run)
        yield told
        tasks.cancel_scope.cancel()


async def test_workspace_and_project_hear_who_has_changed_what(told: Told) -> None:
    file = File()
    await told.store(ALICE, file.write(0, 0, "one\n"))
    heard = await told.until_heard(2)
    assert [room for room, _ in heard] == ["workspace:1", "project:5"]
    await told.store(BOB, file.write(4, 4, "two\n"), file.write(8, 8, "three\n"))
    _, news = (await told.until_heard(4))[2]
    assert (news.type, news.sender_id) == ("file_update", BOB)
    version = str((await Versions(told.log).newest(FILE)).version)
    assert news.payload == {
        "file_id": "a.md",
        "path": "a.md",
        "version": version,
        "action": "changed",
        "lines": [{"start": 1, "end": 3}],
        "added": 2,
        "removed": 0,
    }


async def test_what_an_agent_has_changed_is_told_apart_and_names_it(told: Told) -> None:
    file = File()
    await told.store(BOB, file.write(0, 0, "one\n"))
    await told.until_heard(2)
    await told.store(BOB, file.write(4, 4, "two\n"), run_id=3)
    await told.store(BOB, file.write(8, 8, "three\n"), run_id=4)
    heard = [news for room, news in await told.until_heard(6) if room == "workspace:1"]
    assert {news.sender_id for news in heard} == {BOB}
    assert [news.payload.get("agent") for news in heard] == [
        None,
        {"name": "fixer", "run": "r3"},
        {"name": "fixer", "run": "r4"},
    ]


async def test_the_first_change_that_is_heard_is_told_alone(told: Told) -> None:
    file = File()
    await told.log.append([Row(FILE, ALICE, (), (Update(file.write(0, 0, "one\n"), 0),))])
    await told.store(BOB, file.write(0, 3, "two"))
    assert [news.sender_id for _, news in await told.until_heard(2)] == [BOB, BOB]


async def test_what_is_no_file_and_what_nobody_listens_to_is_not_told(told: Told) -> None:
    for name in ("workspace:2/a.md", "workspace:1", "chat:1", FILE):  # in this order
        await told.store(ALICE, File().write(0, 0, "one\n"), name=name)
    heard = await told.until_heard(2)
    assert [(room, news.payload["path"]) for room, news in heard] == [
        ("workspace:1", "a.md"),
        ("project:5", "a.md"),
    ]


async def test_what_is_written_within_a_second_is_told_once_of_each_author() -> None:
    told, file = Told(every_seconds=0), File()
    for number in range(10):
        await told.store(ALICE if number % 2 else BOB, file.write(0, 0, f"{number}\n"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(told.news.run)
        heard = await told.until_heard(4)
        tasks.cancel_scope.cancel()
    assert sorted((room, news.sender_id) for room, news in heard) == [
        ("project:5", ALICE),
        ("project:5", BOB),
        ("workspace:1", ALICE),
        ("workspace:1", BOB),
    ]
