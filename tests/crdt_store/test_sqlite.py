"""SQLite: what a promise rests on is set, on every connection."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anyio.lowlevel import checkpoint
from sqlalchemy import Connection

from crdt_store.engine import Database, create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import LogUnavailable, Unconfirmed
from tests.acceptance.log_rows import contents, row


@pytest.fixture
async def database(sqlite_url: str) -> AsyncIterator[Database]:
    database = create_engine(sqlite_url)
    yield database
    await database.close()


@pytest.mark.parametrize("way", ["write", "read"])
@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)]
)
async def test_every_connection_is_prepared(database: Database, way: str, pragma: str, value: object) -> None:
    def ask(connection: Connection) -> object:
        return connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()

    assert await getattr(database, way)(ask) == value


async def test_a_connection_that_would_not_sync_is_not_used(path: Path) -> None:
    class Careless(sqlite3.Connection):
        def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
            return super().execute(sql.replace("synchronous = FULL", "synchronous = NORMAL"))

    database = create_engine(str(path), connection_class=Careless)
    with pytest.raises(LogUnavailable, match="synchronous 1, not 2"):
        await SqlUpdateLog(database).append([row("a", b"1")])
    await database.close()


@pytest.mark.parametrize(
    ("version", "warned"),
    [((3, 6, 23), False), ((3, 7, 0), True), ((3, 40, 1), True), ((3, 51, 2), True), ((3, 51, 3), False)],
)
def test_a_version_with_the_wal_reset_bug_is_warned_of(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    version: tuple[int],
    warned: bool,
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    create_engine(str(path))
    assert ("WAL-reset" in caplog.text) is warned


async def test_a_commit_that_fails_late_is_not_repeated(path: Path) -> None:
    """As when fsync fails: the WAL may have it all, and the next one to open the file may find it."""
    faults = 0

    class FailsLate(sqlite3.Connection):
        def commit(self) -> None:
            nonlocal faults
            was_writing = self.in_transaction
            super().commit()
            if was_writing and faults:
                faults -= 1
                raise sqlite3.OperationalError("disk I/O error")

    log = SqlUpdateLog(create_engine(str(path), connection_class=FailsLate))
    failures: list[LogUnavailable] = []
    async with GroupCommit(log, max_pending_bytes=2**20) as commits:
        faults = 1
        for name in "ab":
            journal = commits.journal(name, lambda position: None, failures.append)
            journal.append(b"1", author_id=None, client_ids=(), received_at_ms=1)
        await commits.drain()
    assert [type(failure) for failure in failures] == [Unconfirmed, Unconfirmed]
    for name in "ab":
        assert await contents(log, name) == [b"1"]
    await log.close()


async def test_whoever_closes_second_waits_as_well(database: Database) -> None:
    writing, go_on = threading.Event(), threading.Event()

    def write(connection: Connection) -> None:
        writing.set()
        assert go_on.wait(10)

    running = asyncio.ensure_future(database.write(write))
    while not writing.is_set():
        await checkpoint()
    closing = [asyncio.ensure_future(database.close()) for _ in range(3)]
    for _ in range(10):
        await checkpoint()
    assert not any(each.done() for each in closing)
    closing[0].cancel()
    go_on.set()
    await asyncio.gather(*closing[1:])
    assert running.done()
