"""PostgreSQL: what a promise rests on is set or warned of, on every connection; faults are told apart."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from urllib.parse import urlsplit

import asyncpg
import pytest
from anyio.lowlevel import checkpoint
from sqlalchemy import Connection, event, select, text

from crdt_store import postgres as postgres_module
from crdt_store.engine import Conflict, create_engine
from crdt_store.migrations import migrate
from crdt_store.postgres import PostgresDatabase
from crdt_store.sql import SqlUpdateLog
from crdt_store.tables import documents, users
from crdt_store.update_log import LogUnavailable
from tests.acceptance.log_rows import contents, row
from tests.crdt_store.test_failing_disk import WRITES, fill, state
from tests.services.postgres import PostgresServer


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    database = create_engine(postgres_url)
    assert isinstance(database, PostgresDatabase)
    yield database
    await database.close()


def setting(name: str) -> Callable[[Connection], str]:
    return lambda connection: str(connection.scalar(text(f"SHOW {name}")))


@pytest.mark.parametrize(
    ("way", "isolation", "read_only"), [("write", "read committed", "off"), ("read", "repeatable read", "on")]
)
async def test_every_connection_is_prepared(
    database: PostgresDatabase, way: str, isolation: str, read_only: str
) -> None:
    run = getattr(database, way)
    assert await run(setting("transaction_isolation")) == isolation
    assert await run(setting("transaction_read_only")) == read_only
    for timeout in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert await run(setting(timeout)) != "0"


@pytest.mark.parametrize(
    ("found", "used"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
async def test_a_commit_waits_for_the_disk(
    postgres: PostgresServer, postgres_url: str, found: str, used: str
) -> None:
    name = urlsplit(postgres_url).path[1:]
    postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = {found}")
    database = create_engine(postgres_url)
    assert await database.write(setting("synchronous_commit")) == used
    await database.close()


@pytest.mark.parametrize("off", ["fsync", "full_page_writes", None])
def test_a_server_that_does_not_sync_is_warned_of(caplog: pytest.LogCaptureFixture, off: str | None) -> None:
    names = ("fsync", "full_page_writes")
    settings = {name: "off" if name == off else "on" for name in names} | {"server_version": "18.0"}
    with caplog.at_level(logging.WARNING):
        postgres_module._report(settings)
    assert [name for name in names if f"{name} = off" in caplog.text] == ([off] if off else [])


async def test_the_server_of_the_tests_syncs(
    database: PostgresDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await asyncio.gather(*(database.read(setting("fsync")) for _ in range(3)))
    assert [record.levelname for record in caplog.records if "PostgreSQL" in record.message] == ["INFO"]


async def test_a_database_that_cannot_hold_every_name_is_refused(postgres: PostgresServer) -> None:
    options = "TEMPLATE template0 ENCODING SQL_ASCII LOCALE_PROVIDER libc LOCALE 'C'"
    with postgres.database(options) as name:
        database = create_engine(postgres.url(name))
        with pytest.raises(LogUnavailable, match="SQL_ASCII"):
            await database.read(setting("fsync"))
        await database.close()
        with pytest.raises(LogUnavailable, match="SQL_ASCII"):
            migrate(postgres.url(name))


@pytest.mark.parametrize("address", ["127.0.0.1:1/none", "/none?host=/nowhere"])
async def test_a_server_that_is_not_there_is_unavailable_and_its_password_a_secret(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"postgresql://ada:secret@{address}"
    database = create_engine(url)
    with pytest.raises(LogUnavailable) as failure:
        await database.read(setting("fsync"))
    await database.close()
    with pytest.raises(LogUnavailable) as migration_failure:
        migrate(url)
    assert "secret" not in f"{failure.value} {migration_failure.value} {caplog.text}"
    assert failure.value.__suppress_context__
    assert migration_failure.value.__suppress_context__


async def test_a_database_that_is_not_there_is_unavailable(postgres: PostgresServer) -> None:
    database = create_engine(postgres.url("no_such_database"))
    with pytest.raises(LogUnavailable, match="does not exist"):
        await database.read(setting("fsync"))
    await database.close()


def test_writers_that_wait_for_each_other_are_a_conflict(postgres: PostgresServer, postgres_url: str) -> None:
    """For one of them; the other goes on."""
    postgres.execute(
        f"ALTER DATABASE {urlsplit(postgres_url).path[1:]} SET deadlock_timeout = '50ms'",
        "INSERT INTO documents (name, last_seq, created_at_ms) VALUES ('a', 0, 0), ('b', 0, 0)",
        url=postgres_url,
    )
    both_hold_one = threading.Barrier(2, timeout=10)

    async def lock(*names: str) -> str:
        def body(connection: Connection) -> None:
            for name in names:
                connection.execute(select(documents).where(documents.c.name == name).with_for_update())
                if name == names[0]:
                    both_hold_one.wait()

        database = create_engine(postgres_url)
        try:
            await database.write(body)
        except Conflict as error:
            return str(error)
        finally:
            await database.close()
        return "stored"

    with ThreadPoolExecutor() as threads:
        outcomes = list(threads.map(lambda names: asyncio.run(lock(*names)), ["ab", "ba"]))
    conflict, stored = sorted(outcomes)
    assert conflict.startswith("DeadlockDetectedError 40P01")
    assert stored == "stored"


async def test_a_lock_is_not_waited_for_without_end(
    database: PostgresDatabase, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "_LOCK_SECONDS", 0.1)
    log = SqlUpdateLog(database)
    await log.append([row("a", b"1")])
    other = await asyncpg.connect(postgres_url)
    async with other.transaction():
        await other.execute("SELECT * FROM documents FOR UPDATE")
        with pytest.raises(LogUnavailable, match="LockNotAvailableError"):
            await log.append([row("a", b"2")])
        await log.append([row("b", b"1")])
    await other.close()
    await log.append([row("a", b"3")])
    assert await contents(log, "a") == [b"1", b"3"]


async def test_a_statement_does_not_run_without_end(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "_STATEMENT_SECONDS", 0.1)
    with pytest.raises(LogUnavailable, match="QueryCanceledError"):
        await database.read(lambda connection: connection.execute(text("SELECT pg_sleep(60)")))
    assert await database.read(setting("statement_timeout")) == "100ms"


@pytest.mark.parametrize("name", WRITES)
async def test_a_statement_that_fails_undoes_those_before_it(database: PostgresDatabase, name: str) -> None:
    """Whichever it is; the next operation works."""
    log = SqlUpdateLog(database)
    await fill(log)
    before = await state(log)
    steps_left: int | None = None

    @event.listens_for(database._writers.sync_engine, "before_cursor_execute")
    def fail_in_turn(connection: Connection, *statement: object) -> None:
        nonlocal steps_left
        if steps_left is None:
            return
        steps_left -= 1
        if steps_left < 0:
            steps_left = None
            connection.exec_driver_sql("SELECT 1/0")

    for steps in count():
        steps_left = steps
        failed = await _fails(WRITES[name](log))
        steps_left = None
        if not failed:
            break
        assert await state(log) == before
    assert await state(log) != before
    assert steps > 1


async def _fails(operation: Awaitable[object]) -> bool:
    try:
        await operation
    except LogUnavailable as error:
        return str(error) == "DivisionByZeroError 22012"
    return False


async def test_documents_are_locked_in_order_of_their_names(
    postgres: PostgresServer, postgres_url: str, database: PostgresDatabase
) -> None:
    """Not of their ids: writers of many documents lock some names after others."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    lock = "SELECT FROM documents WHERE name = $1 FOR UPDATE NOWAIT"
    log = SqlUpdateLog(database)
    for name in "cb":
        await log.append([row(name, b"1")])
    other = await asyncpg.connect(postgres_url)
    async with other.transaction():
        await other.execute(lock, "b")
        appending = asyncio.ensure_future(log.append([row("c", b"2"), row("b", b"2")]))
        while not await asyncio.to_thread(postgres.execute, waiting, url=postgres_url):
            pass
        await other.execute(lock, "c")
    await appending
    await other.close()


async def test_what_is_refused_at_its_commit_is_not_stored_for_sure(
    postgres: PostgresServer, postgres_url: str, database: PostgresDatabase
) -> None:
    postgres.execute("ALTER TABLE users ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED", url=postgres_url)

    def body(connection: Connection) -> None:
        record = {"issuer": "i", "name": "n", "created_at": datetime.now(UTC)}
        connection.execute(users.insert(), [record | {"subject": subject} for subject in "ab"])
        reached.append("COMMIT")

    reached: list[str] = []
    with pytest.raises(Conflict, match="UniqueViolationError"):
        await database.write(body)
    assert reached == ["COMMIT"]


async def test_callers_that_are_cancelled_leave_no_transaction_and_no_connection(
    postgres: PostgresServer, postgres_url: str
) -> None:
    sessions = (
        "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"
    )
    log = SqlUpdateLog(create_engine(postgres_url))
    for steps in range(40):
        operations = [
            asyncio.ensure_future(log.append([row("a", b"%d" % steps), row("b", b"%d" % steps)])),
            asyncio.ensure_future(contents(log, "a")),
        ]
        for _ in range(steps):
            await checkpoint()
        for operation in operations:
            operation.cancel()
        await asyncio.wait(operations)
    await asyncio.gather(*(log.append([row(f"d{i}", b"1")]) for i in range(8)))
    found = await contents(log, "a")
    assert found == await contents(log, "b")
    assert len(found) == len(set(found)) > 20
    assert {state for (state,) in postgres.execute(sessions, url=postgres_url)} == {"idle"}
    await log.close()
    while postgres.execute(sessions, url=postgres_url):
        pass


async def test_closing_waits_for_what_runs_and_lets_nothing_begin(database: PostgresDatabase) -> None:
    log = SqlUpdateLog(database)
    await log.append([row("a", b"1")])
    appending = asyncio.ensure_future(log.append([row("a", b"2")]))
    await checkpoint()
    appending.cancel()
    closing = asyncio.ensure_future(database.close())
    await checkpoint()
    closing.cancel()
    with pytest.raises(LogUnavailable, match="closed"):
        await log.exists("a")
    await database.close()
    assert not database._running


async def test_closing_does_not_wait_without_end(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "_CLOSE_SECONDS", 0.1)
    sleeping = asyncio.ensure_future(
        database.write(lambda connection: connection.execute(text("SELECT pg_sleep(60)")))
    )
    await database.read(setting("fsync"))
    async with asyncio.timeout(10):
        await database.close()
    with pytest.raises(LogUnavailable):
        await sleeping
