"""Opening the database that a URL names: the one file that knows which there are."""

import sqlite3
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from crdt_store.database import Conflict, Database
from crdt_store.sqlite import SqliteDatabase

__all__ = ["Conflict", "Database", "create_engine", "database_path", "postgres_dsn"]

_SQLITE = ("sqlite", "sqlite+aiosqlite")
_POSTGRES = ("postgresql", "postgresql+asyncpg", "postgres")


def create_engine(
    database_url: str, *, connection_class: type[sqlite3.Connection] = sqlite3.Connection
) -> Database:
    """A `Database`, connected at first use; ValueError for an URL that is not supported.

    SQLite: `sqlite:///path`, `sqlite+aiosqlite:///path` or a bare path. PostgreSQL: `postgresql://…`,
    `postgres://…` or `postgresql+asyncpg://…`, with the options that libpq knows. `connection_class` is SQLite's.
    """
    dsn = postgres_dsn(database_url)
    if dsn is not None:
        # Loading what it needs takes a while, so only those pay who use it.
        from crdt_store.postgres import PostgresDatabase

        return PostgresDatabase(dsn)
    return SqliteDatabase(database_path(database_url), connection_class=connection_class)


def postgres_dsn(database_url: str) -> str | None:
    """The URL as libpq writes it, if it names a PostgreSQL. Raises ValueError."""
    url = _parse(database_url)
    if url is None or url.drivername not in _POSTGRES:
        return None
    return "postgresql" + database_url[database_url.index("://") :]


def database_path(database_url: str) -> Path:
    """The file that the URL names. Raises ValueError, also for a database that is no file."""
    url = _parse(database_url)
    if url is None:
        database = database_url
    else:
        if url.drivername not in _SQLITE:
            raise ValueError(f"{url.drivername} is not supported, only sqlite and postgresql")
        if url.query:
            raise ValueError("a SQLite URL takes no options here")
        database = url.database or ""
    if database in ("", ":memory:"):
        raise ValueError("a database in memory keeps nothing: name a file")
    return Path(database)


def _parse(database_url: str) -> URL | None:
    """None for a bare path."""
    if "://" not in database_url:
        return None
    try:
        return make_url(database_url)
    except (ArgumentError, ValueError):
        raise ValueError("not a database URL") from None  # the message of the cause has the password
