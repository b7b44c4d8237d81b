"""SQLite: what a promise rests on is set, on every connection."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from crdt_store.engine import Database, create_engine
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import LogUnavailable
from tests.acceptance.update_log_suite import row


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
