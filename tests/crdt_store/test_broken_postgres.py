"""A connection that breaks at any step: all or nothing is stored, and nothing is ever read as empty."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import asyncpg
import pytest
from sqlalchemy import Connection, TextClause, event, select, text
from sqlalchemy.util import await_only

from crdt_store import postgres as postgres_module
from crdt_store.engine import Database, create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.postgres import PostgresDatabase
from crdt_store.prepared import Prepared
from crdt_store.sql import SqlUpdateLog
from crdt_store.tables import documents, metadata
from crdt_store.update_log import LogUnavailable, Unconfirmed
from tests.acceptance.log_rows import contents, row
from tests.crdt_store.test_failing_disk import READS, WRITES, fill, state
from tests.services.breakable_way import BreakableWay, breakable_way
from tests.services.postgres import PostgresServer

END_THIS = text("SELECT pg_terminate_backend(pg_backend_pid())")
SLEEP = text("SELECT pg_sleep(60)")


@pytest.fixture
async def way(postgres_url: str) -> AsyncIterator[BreakableWay]:
    async with breakable_way(postgres_url) as way:
        yield way


@pytest.fixture
async def direct(postgres_url: str) -> AsyncIterator[SqlUpdateLog]:
    """The same database by a way that does not break."""
    log = SqlUpdateLog(create_engine(postgres_url))
    yield log
    await log.close()


def postgres_database(url: str) -> PostgresDatabase:
    database = create_engine(url)
    assert isinstance(database, PostgresDatabase)
    return database


async def clear_and_fill(log: SqlUpdateLog) -> None:
    def clear(connection: Connection) -> None:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())

    await log._database.write(clear)
    await fill(log)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("answers_only", [False, True])
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("name", READS)
async def test_a_read_that_breaks_is_never_an_empty_answer(
    direct: SqlUpdateLog, way: BreakableWay, name: str, warm: bool, answers_only: bool, persistent: bool
) -> None:
    await fill(direct)
    read = READS[name]
    expected = await read(direct)
    for steps in count():
        log = SqlUpdateLog(create_engine(way.url))
        if warm:
            await log.exists("a")
        way.break_after(steps, answers_only=answers_only, persistent=persistent)
        try:
            assert await read(log) == expected
            answered = True
        except LogUnavailable:
            answered = False
        broke = way.broken
        way.heal()
        assert await read(log) == expected
        await log.close()
        if warm or not broke:
            assert answered == (not broke or not persistent), steps
        if not broke:
            break
    assert steps > 1


@pytest.mark.parametrize(("answers_only", "persistent"), [(False, False), (True, True)])
@pytest.mark.parametrize("name", WRITES)
async def test_a_write_that_breaks_does_all_or_nothing(
    direct: SqlUpdateLog, way: BreakableWay, name: str, answers_only: bool, persistent: bool
) -> None:
    log = SqlUpdateLog(create_engine(way.url), clock_ms=lambda: 1)
    await clear_and_fill(log)
    before = await state(direct)
    await WRITES[name](log)
    after = await state(direct)
    assert after != before
    outcomes = []
    for steps in count():
        await clear_and_fill(log)
        way.break_after(steps, answers_only=answers_only, persistent=persistent)
        try:
            await WRITES[name](log)
            answer = "stored"
        except Unconfirmed:
            answer = "unconfirmed"
        except LogUnavailable:
            answer = "failed"
        broke = way.broken
        way.heal()
        found = await state(direct)
        assert found in (before, after)
        outcomes.append((answer, found == after))
        if not broke:
            break
    await log.close()
    # The last that is said is COMMIT: only there may the answer be lost, and only it is not repeated.
    before_commit = ("failed", False) if persistent else ("stored", True)
    at_commit = ("unconfirmed", answers_only)
    assert set(outcomes[:-1]) == {before_commit, at_commit}
    assert outcomes[-1] == ("stored", True)
    assert steps > 1


async def test_connections_that_the_server_ended_are_replaced(
    postgres: PostgresServer, postgres_url: str
) -> None:
    log = SqlUpdateLog(create_engine(postgres_url))
    for turn in range(5):
        await asyncio.gather(*(log.append([row(f"d{i}", b"%d" % turn)]) for i in range(4)))
        await asyncio.gather(*(log.exists("a") for _ in range(4)))
        _end_connections(postgres, postgres_url)
        await log.append([row("a", b"%d" % turn)])
        assert await contents(log, "a") == [b"%d" % i for i in range(turn + 1)]
    await log.close()


def _end_connections(postgres: PostgresServer, url: str) -> None:
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"
    assert len(postgres.execute(f"SELECT pg_terminate_backend(pid) {others}", url=url)) > 1
    while postgres.execute(f"SELECT pid {others}", url=url):
        pass


async def test_a_transaction_whose_connection_is_ended_runs_once_more(postgres_url: str) -> None:
    database = create_engine(postgres_url)
    attempts = 0

    def end_the_first(connection: Connection) -> None:
        nonlocal attempts
        attempts += 1
        record = {"name": f"{attempts}", "last_seq": 0, "created_at_ms": 0}
        connection.execute(documents.insert(), record)
        if attempts == 1:
            connection.execute(END_THIS)

    await database.write(end_the_first)
    assert attempts == 2
    names = select(documents.c.name)
    assert await database.read(lambda connection: connection.scalars(names).all()) == ["2"]
    await database.close()


async def test_a_connection_that_ends_at_every_attempt_is_unavailable(postgres_url: str) -> None:
    database = create_engine(postgres_url)
    attempts = 0

    def end(connection: Connection) -> None:
        nonlocal attempts
        attempts += 1
        connection.execute(END_THIS)

    with pytest.raises(LogUnavailable):
        await database.write(end)
    assert attempts == 2
    assert await database.write(lambda connection: connection.scalar(text("SELECT 1"))) == 1
    await database.close()


async def test_a_server_that_falls_silent_is_not_waited_for(
    way: BreakableWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SqlUpdateLog(create_engine(way.url))
    await log.append([row("a", b"1")])
    way.silent = True
    with monkeypatch.context() as patch:
        patch.setattr(postgres_module, "_TRANSACTION_SECONDS", 0.2)
        with pytest.raises(LogUnavailable, match="TimeoutError") as failure:
            await log.append([row("a", b"2")])
    assert not isinstance(failure.value, Unconfirmed)
    way.heal()
    await log.append([row("a", b"3")])
    assert await contents(log, "a") == [b"1", b"3"]
    await log.close()


async def test_a_commit_without_an_answer_is_not_repeated(way: BreakableWay, direct: SqlUpdateLog) -> None:
    database = postgres_database(way.url)
    log = SqlUpdateLog(database)
    await log.append([row("a", b"1")])

    @event.listens_for(database._writers.sync_engine, "commit", once=True)
    def lose_the_answer(connection: Connection) -> None:
        way.break_after(0, answers_only=True, persistent=False)

    failures: list[LogUnavailable] = []
    async with GroupCommit(log, max_pending_bytes=2**20) as commits:
        for name in "ab":
            journal = commits.journal(name, lambda position: None, failures.append)
            journal.append(b"2", author_id=None, client_ids=(), received_at_ms=1)
        await commits.drain()
    assert [type(failure) for failure in failures] == [Unconfirmed, Unconfirmed]
    assert await contents(direct, "a") == [b"1", b"2"]
    assert await contents(direct, "b") == [b"2"]
    await log.close()


async def test_a_server_that_falls_silent_at_a_commit_may_have_stored_it(
    way: BreakableWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres_database(way.url)
    log = SqlUpdateLog(database)
    await log.append([row("a", b"1")])

    @event.listens_for(database._writers.sync_engine, "commit")
    def fall_silent(connection: Connection) -> None:
        way.silent = True

    monkeypatch.setattr(postgres_module, "_TRANSACTION_SECONDS", 0.5)
    with pytest.raises(Unconfirmed, match="TimeoutError"):
        await log.append([row("a", b"2")])
    await log.close()


async def test_a_connection_that_fell_silent_while_idle_is_replaced(
    way: BreakableWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a firewall forgot it: new ones work."""
    log = SqlUpdateLog(create_engine(way.url))
    await log.append([row("a", b"1")])
    cut_unless_begun = postgres_module._cut_unless_begun

    def heal_the_way_and_cut(connection: asyncpg.Connection) -> None:
        way.heal()
        cut_unless_begun(connection)

    monkeypatch.setattr(postgres_module, "_BEGIN_SECONDS", 0.2)
    monkeypatch.setattr(postgres_module, "_cut_unless_begun", heal_the_way_and_cut)
    way.silent = True
    async with asyncio.timeout(10):
        await log.append([row("a", b"2")])
    assert not way.silent
    assert await contents(log, "a") == [b"1", b"2"]
    await log.close()


@pytest.mark.parametrize("breaking", [END_THIS, SLEEP], ids=["ended", "silent"])
async def test_where_one_connection_broke_the_idle_ones_are_not_used_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, breaking: TextClause
) -> None:
    database = create_engine(postgres_url)
    before = await connections(database)
    assert len(before) > 1
    with monkeypatch.context() as patch:
        patch.setattr(postgres_module, "_TRANSACTION_SECONDS", 0.2)
        with pytest.raises(LogUnavailable):
            await database.write(lambda connection: Prepared(breaking).fetch(connection, {}))
    after = await connections(database)
    assert after.isdisjoint(before)
    await database.close()


async def connections(database: Database) -> set[int]:
    """The server's numbers for those of some transactions at a time."""

    def number(connection: Connection) -> int:
        return int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)

    return set(await asyncio.gather(*(database.write(number) for _ in range(4))))


async def test_a_transaction_under_way_outlives_the_fault_of_another(postgres_url: str) -> None:
    database = create_engine(postgres_url)
    begun, ended = [asyncio.Event() for _ in range(2)]
    attempts = 0

    def body(connection: Connection) -> int:
        nonlocal attempts
        attempts += 1
        connection.execute(text("SELECT 1"))
        begun.set()
        await_only(ended.wait())
        return int(connection.scalar(text("SELECT 2")) or 0)

    running = asyncio.ensure_future(database.write(body))
    await begun.wait()
    with pytest.raises(LogUnavailable):
        await database.write(lambda connection: connection.execute(END_THIS))
    ended.set()
    assert await running == 2
    assert attempts == 1
    await database.close()


async def test_closing_does_not_wait_for_a_silent_server(way: BreakableWay) -> None:
    log = SqlUpdateLog(create_engine(way.url))
    await log.append([row("a", b"1")])
    await log.exists("a")
    way.silent = True
    async with asyncio.timeout(5):
        await log.close()


async def test_a_server_that_is_silent_from_the_start_is_not_waited_for(
    way: BreakableWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "_CONNECT_SECONDS", 0.2)
    way.silent = True
    log = SqlUpdateLog(create_engine(way.url))
    with pytest.raises(LogUnavailable, match="TimeoutError"):
        await log.exists("a")
    await log.close()
