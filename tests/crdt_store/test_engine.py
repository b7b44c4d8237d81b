"""What every database does, whichever it is."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text, update

from crdt_store.engine import Conflict, Database, create_engine, database_path, postgres_dsn
from crdt_store.tables import documents, users
from crdt_store.update_log import LogUnavailable


@pytest.mark.parametrize(
    "url",
    ["data/a b.db", "sqlite:///data/a b.db", "sqlite+aiosqlite:///data/a b.db"],
)
def test_a_database_is_named_by_url_or_path(url: str) -> None:
    assert database_path(url) == Path("data/a b.db")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_a_postgresql_is_named_as_libpq_names_it(scheme: str) -> None:
    rest = "://ada:p%40ss+word@[::1]:5433/costudio?sslmode=require"
    assert postgres_dsn(scheme + rest) == "postgresql" + rest


@pytest.mark.parametrize(
    "url",
    [
        "",
        ":memory:",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a?mode=ro",
        "mysql://host/a",
        "postgresql+psycopg://host/a",
        "postgresql://host:port/a",
        "://",
    ],
)
def test_what_cannot_be_durable_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|supported|options|memory"):
        create_engine(url)


def test_a_url_that_is_refused_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="URL") as failure:
        create_engine("postgresql://ada:secret@host:port/costudio")
    assert failure.value.__cause__ is None
    assert "secret" not in str(failure.value)


async def test_no_increment_is_lost(database_url: str, database: Database) -> None:
    def increment(connection: Connection) -> None:
        count = connection.scalar(select(documents.c.last_seq).with_for_update()) or 0
        connection.execute(update(documents).values(last_seq=count + 1))

    def insert(connection: Connection) -> None:
        connection.execute(documents.insert(), {"name": "a", "last_seq": 0, "created_at_ms": 0})

    await database.write(insert)
    other = create_engine(database_url)
    await asyncio.gather(*(each.write(increment) for each in (database, other) for _ in range(80)))
    assert await database.read(lambda connection: connection.scalar(select(documents.c.last_seq))) == 160
    await other.close()


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(LogUnavailable, match=r"read-?only"):
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

    with pytest.raises(Conflict, match=r"(?i)not.?null"):
        await database.write(body)


async def test_a_read_sees_one_state(database_url: str, database: Database) -> None:
    async def insert() -> None:
        other = create_engine(database_url)
        record = {"name": "a", "last_seq": 0, "created_at_ms": 0}
        await other.write(lambda connection: connection.execute(documents.insert(), record))
        await other.close()

    def count_twice(connection: Connection) -> tuple[int, int]:
        first = len(connection.execute(select(documents)).all())
        with ThreadPoolExecutor() as thread:
            thread.submit(asyncio.run, insert()).result()
        return first, len(connection.execute(select(documents)).all())

    assert await database.read(count_twice) == (0, 0)
