"""How the database is opened: what a promise rests on is set, on every connection."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text, update

from crdt_store.engine import Conflict, Database, create_engine, database_path
from crdt_store.sql import SqlUpdateLog
from crdt_store.tables import documents, users
from crdt_store.update_log import LogUnavailable
from tests.acceptance.update_log_suite import row


@pytest.mark.parametrize(
    "url",
    ["data/a b.db", "sqlite:///data/a b.db", "sqlite+aiosqlite:///data/a b.db"],
)
def test_a_database_is_named_by_url_or_path(url: str) -> None:
    assert database_path(url) == Path("data/a b.db")


@pytest.mark.parametrize(
    "url", ["", ":memory:", "sqlite://", "sqlite:///:memory:", "sqlite:///a?mode=ro", "mysql://host/a", "://"]
)
def test_what_cannot_be_durable_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|supported|options|memory"):
        create_engine(url)


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


async def test_no_increment_is_lost(path: Path, database: Database) -> None:
    def increment(connection: Connection) -> None:
        count = connection.scalar(select(documents.c.last_seq)) or 0
        connection.execute(update(documents).values(last_seq=count + 1))

    def insert(connection: Connection) -> None:
        connection.execute(documents.insert(), {"name": "a", "last_seq": 0, "created_at_ms": 0})

    await database.write(insert)
    other = create_engine(str(path))
    await asyncio.gather(*(each.write(increment) for each in (database, other) for _ in range(80)))
    assert await database.read(lambda connection: connection.scalar(select(documents.c.last_seq))) == 160
    await other.close()


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(LogUnavailable, match="readonly"):
        await database.read(lambda connection: connection.execute(text("DELETE FROM documents")))


async def test_an_error_of_the_body_rolls_back_and_comes_out_as_it_is(database: Database) -> None:
    def body(connection: Connection) -> None:
        connection.execute(documents.insert(), {"name": "a", "last_seq": 0, "created_at_ms": 0})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(body)
    assert await database.read(lambda connection: connection.execute(select(documents)).all()) == []


async def test_a_refused_constraint_is_a_conflict(database: Database) -> None:
    def body(connection: Connection) -> None:
        connection.execute(users.insert(), {"id": 1, "issuer": "i"})

    with pytest.raises(Conflict, match="NOT NULL"):
        await database.write(body)


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
