"""Effects are stored with their update or not at all, and are told only of what is committed."""

import asyncio
import multiprocessing
import os
import shutil
import signal
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection

from crdt_store.engine import Conflict, Database, create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.memory import MemoryUpdateLog
from crdt_store.messages import StoredMessage, append_event, insert_messages
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import LogUnavailable, Unconfirmed, UpdateLog, WrongEpoch
from crdt_store.users import UserDirectory
from tests.acceptance.log_rows import contents, row
from tests.crdt_store.chatting import CHAT, NOW_MS, ada, databases, new, sql
from tests.crdt_store.failing_disk import Fault, failing_connection

__all__ = ["ada", "databases"]

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.crdt_store.test_effects"])
ROOM = "chat:7"


class Posting:
    """Posts a message; remembers what it was told."""

    def __init__(self, sender_id: int, body: str = "hello", *, chat_id: int = CHAT) -> None:
        self.message = new(sender_id, body)
        self.chat_id = chat_id
        self.attempts = 0
        self.stored: list[StoredMessage] = []
        self.told: list[int] = []

    def store(self, connection: Connection) -> None:
        self.attempts += 1
        self.stored = insert_messages(connection, self.chat_id, [self.message], NOW_MS)
        append_event(connection, f"chat:{self.chat_id}", "message", self.message.body, None, NOW_MS)

    def committed(self) -> None:
        self.told += [each.seq for each in self.stored] or [0]


class Failing(Posting):
    """Raises after it has posted, as often as `errors` has something."""

    def __init__(self, sender_id: int, *errors: BaseException) -> None:
        super().__init__(sender_id, "failing")
        self.errors = list(errors)

    def store(self, connection: Connection) -> None:
        super().store(connection)
        if self.errors:
            raise self.errors.pop(0)


class Open:
    """An open document: its journal and what happened to it, in order."""

    def __init__(self, commits: GroupCommit, name: str, *, epoch: int = 1) -> None:
        self.events: list[object] = []
        self.journal = commits.journal(name, self.events.append, self.events.append, epoch=epoch)

    def edit(self, *effects: Posting, data: bytes = b"x") -> int:
        return self.journal.append(
            data, author_id=None, client_ids=(), received_at_ms=NOW_MS, effects=effects
        )


def group_commit(log: UpdateLog) -> GroupCommit:
    return GroupCommit(log, max_pending_bytes=2**20)


async def bodies(database: Database) -> list[object]:
    """What the chats say, in order of chats and seqs."""
    return [body for (body,) in await sql(database, "SELECT body FROM messages ORDER BY chat_id, seq")]


async def test_what_an_effect_stores_is_there_with_its_update(
    log: SqlUpdateLog, database: Database, ada: int
) -> None:
    effects = [Posting(ada, str(number)) for number in range(4)]
    async with group_commit(log) as commits:
        doc = Open(commits, ROOM)
        doc.edit(*effects[:2])
        doc.edit()
        doc.edit(*effects[2:])
        assert [effect.told for effect in effects] == [[]] * 4
    assert [effect.told for effect in effects] == [[1], [2], [3], [4]]
    assert await bodies(database) == ["0", "1", "2", "3"]
    assert len(await contents(log, ROOM)) == 3
    assert await sql(database, "SELECT seq, payload FROM room_events ORDER BY seq") == [
        (number + 1, str(number)) for number in range(4)
    ]


async def test_effects_are_told_before_their_author_and_what_they_raise_harms_nobody(
    log: SqlUpdateLog, ada: int, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Posting):
        def committed(self) -> None:
            raise ZeroDivisionError

    async with group_commit(log) as commits:
        doc = Open(commits, ROOM)
        good = Posting(ada)
        good.told = doc.events  # type: ignore[assignment]
        doc.edit(Broken(ada), good)
    assert doc.events == [2, 1]  # the message's seq, then how many updates are stored
    assert "ZeroDivisionError" in caplog.text


async def test_effects_stay_with_their_update_when_it_takes_several_flushes(
    log: SqlUpdateLog, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdt_store.group_commit._MAX_FLUSH_ROWS", 2)
    effects = [Posting(ada) for _ in range(5)]
    portions: list[tuple[int, list[int]]] = []
    async with GroupCommit(
        log,
        max_pending_bytes=2**20,
        on_stored=lambda *stored: portions.append((stored[1], [len(effect.told) for effect in effects])),
    ) as commits:
        doc = Open(commits, ROOM)
        for author_id, effect in enumerate(effects):
            doc.journal.append(
                b"x",
                author_id=ada if author_id % 2 else None,
                client_ids=(),
                received_at_ms=NOW_MS,
                effects=(effect,),
            )
    assert portions == [(2, [1, 1, 0, 0, 0]), (2, [1, 1, 1, 1, 0]), (1, [1] * 5)]
    assert [effect.told for effect in effects] == [[seq] for seq in range(1, 6)]


async def test_an_effect_that_fails_costs_its_own_document_alone(
    log: SqlUpdateLog, database: Database, ada: int
) -> None:
    bad, before, after = (
        Failing(ada, *[ZeroDivisionError()] * 9),
        Posting(ada, "before"),
        Posting(ada, "after"),
    )
    async with group_commit(log) as commits:
        docs = [Open(commits, name) for name in ("a", "b", "c")]
        for doc, effect in zip(docs, (before, bad, after), strict=True):
            doc.edit(effect)
    assert [effect.told for effect in (before, bad, after)] == [[1], [], [2]]
    assert await bodies(database) == ["before", "after"]
    assert await log.documents() == ["a", "c"]
    assert isinstance(docs[1].events[0], LogUnavailable)
    assert [doc.events for doc in (docs[0], docs[2])] == [[1], [1]]


async def test_of_a_document_that_was_replaced_no_effect_runs_and_the_others_do_once(
    log: SqlUpdateLog, database: Database, ada: int
) -> None:
    await log.append([row("b", b"1")])
    await log.delete("b")
    late, others = Posting(ada, "late"), [Posting(ada, "a"), Posting(ada, "c")]
    async with group_commit(log) as commits:
        docs = [Open(commits, name) for name in ("a", "b", "c")]
        for doc, effect in zip(docs, (others[0], late, others[1]), strict=True):
            doc.edit(effect)
    assert [type(event) for event in docs[1].events] == [WrongEpoch]
    assert (late.attempts, late.told) == (0, [])
    assert [(effect.attempts, effect.told) for effect in others] == [(1, [1]), (1, [2])]
    assert await bodies(database) == ["a", "c"]
    assert not await log.exists("b")


async def test_a_transaction_that_is_run_again_stores_its_effects_once(
    log: SqlUpdateLog, database: Database, ada: int
) -> None:
    effect = Failing(ada, Conflict("another writer"))
    async with group_commit(log) as commits:
        Open(commits, ROOM).edit(effect)
    assert (effect.attempts, effect.told) == (2, [1])
    assert await bodies(database) == ["failing"]
    assert await contents(log, ROOM) == [b"x"]


async def test_nothing_is_told_of_a_commit_that_may_have_failed(ada: int, log: SqlUpdateLog) -> None:
    class LosesItsAnswer(SqlUpdateLog):
        async def append(self, *arguments: object, **more: object) -> None:
            await super().append(*arguments, **more)  # type: ignore[arg-type]
            raise Unconfirmed("the answer was lost")

    effect = Posting(ada)
    async with group_commit(LosesItsAnswer(log._database)) as commits:
        doc = Open(commits, ROOM)
        doc.edit(effect)
    assert (effect.attempts, effect.told) == (1, [])
    assert [type(event) for event in doc.events] == [Unconfirmed]


async def test_a_disk_that_fails_at_any_step_stores_both_or_neither(path: Path) -> None:
    """And tells nobody of what is not stored."""
    reached_the_end = False
    for steps in count():
        copy = Path(shutil.copy(path, path.with_name(f"copy{steps}.db")))
        await _with_a_user(copy)
        fault = Fault()
        log = SqlUpdateLog(create_engine(str(copy), connection_class=failing_connection(fault)))
        await log.exists("a")  # connected
        await log.append([row("other", b"1")])
        effect = Posting(1)
        async with group_commit(log) as commits:
            fault.steps_left = steps
            Open(commits, ROOM).edit(effect)
            await commits.drain()
            fault.steps_left = None
        await log.close()
        told = effect.told
        after = create_engine(str(copy))
        stored = await bodies(after), await contents(SqlUpdateLog(after), ROOM)
        await after.close()
        assert stored in ((["hello"], [b"x"]), ([], []))
        assert (stored == (["hello"], [b"x"])) >= bool(told)
        if not fault.failures:
            assert told == [1]
            reached_the_end = steps > 5
            break
    assert reached_the_end


class _Death(Fault):
    """Kills its process instead of failing."""

    def step(self) -> None:
        if self.steps_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.steps_left is not None:
            self.steps_left -= 1


async def test_a_process_that_dies_at_any_step_has_stored_both_or_neither(path: Path) -> None:
    outcomes: list[bool] = []
    for steps in count():
        copy = Path(shutil.copy(path, path.with_name(f"copy{steps}.db")))
        await _with_a_user(copy)
        child = processes.Process(target=_post_and_die, args=(copy, steps))
        child.start()
        await asyncio.to_thread(child.join)
        after = create_engine(str(copy))
        has_message, has_update = await bodies(after), await contents(SqlUpdateLog(after), ROOM)
        await after.close()
        assert bool(has_message) == bool(has_update)
        outcomes.append(bool(has_message))
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
    assert outcomes == sorted(outcomes)
    assert outcomes.count(False) > 5
    assert outcomes[-1]


def _post_and_die(path: Path, steps: int) -> None:
    async def post() -> None:
        fault = _Death()
        log = SqlUpdateLog(create_engine(str(path), connection_class=failing_connection(fault)))
        await log.exists("a")
        async with group_commit(log) as commits:
            fault.steps_left = steps
            Open(commits, ROOM).edit(Posting(1))
            await commits.drain()
            fault.steps_left = None
        await log.close()

    asyncio.run(post())


async def _with_a_user(path: Path) -> None:
    database = create_engine(str(path))
    assert await UserDirectory(database).id_of("i", "ada", "Ada") == 1
    await database.close()


async def test_nodes_that_commit_at_once_number_as_they_commit(databases: list[Database], ada: int) -> None:
    """Each chat's seqs are in the order of its document's rows."""
    names = {CHAT: "chat:7", 8: "chat:8"}
    effects: list[Posting] = []

    async def write(database: Database, node: int) -> None:
        async with group_commit(SqlUpdateLog(database)) as commits:
            docs = {chat_id: Open(commits, name) for chat_id, name in names.items()}
            for number in range(10):
                for chat_id in sorted(docs, reverse=bool((number + node) % 2)):
                    effect = Posting(ada, f"{node}-{number}", chat_id=chat_id)
                    effects.append(effect)
                    docs[chat_id].edit(effect, data=effect.message.body.encode())
                await commits.drain()

    await asyncio.gather(*(write(database, node) for node, database in enumerate(databases)))
    for chat_id, name in names.items():
        logged = [data.decode() for data in await contents(SqlUpdateLog(databases[0]), name)]
        query = f"SELECT body, seq FROM messages WHERE chat_id = {chat_id} ORDER BY seq"
        assert await sql(databases[0], query) == [(body, seq) for seq, body in enumerate(logged, 1)]
    assert all(len(effect.told) == 1 for effect in effects)
    assert len(effects) == 60


async def test_a_log_in_memory_tells_of_commits_and_stores_no_effect() -> None:
    effect = Posting(1)
    log = MemoryUpdateLog()
    async with group_commit(log) as commits:
        Open(commits, ROOM).edit(effect)
    assert (effect.attempts, effect.told) == (0, [0])
    assert await contents(log, ROOM) == [b"x"]


async def test_an_update_that_is_refused_leaves_no_effect(
    log: SqlUpdateLog, database: Database, ada: int
) -> None:
    effect = Posting(ada)
    async with group_commit(log) as commits:
        doc = Open(commits, ROOM)
    with pytest.raises(LogUnavailable):
        doc.edit(effect)
    assert (effect.attempts, effect.told, await bodies(database)) == (0, [], [])
