"""One transaction over a whole database, however long it takes: for an operator's tools, where no event loop runs.

What reads sees one moment of the database, while the server goes on writing.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from crdt_store.engine import database_path, postgres_dsn
from crdt_store.sqlite import sqlite_engine
from crdt_store.update_log import LogUnavailable

T = TypeVar("T")


def read_at_length(database_url: str, body: Callable[[Connection], T]) -> T:
    """What `body` makes of the database as it is now. Blocks. Raises LogUnavailable, ValueError for the URL."""
    return _run(database_url, body, writes=False)


def write_at_length(database_url: str, body: Callable[[Connection], T]) -> T:
    """Run `body` and commit all that it writes, or nothing. Blocks. Raises LogUnavailable, ValueError."""
    return _run(database_url, body, writes=True)


def _run(database_url: str, body: Callable[[Connection], T], *, writes: bool) -> T:
    dsn = postgres_dsn(database_url)
    if dsn is None:
        return _run_in_sqlite(database_path(database_url), body, writes=writes)
    from crdt_store.postgres import run_in_transaction

    return run_in_transaction(dsn, body, writes=writes)


def _run_in_sqlite(path: Path, body: Callable[[Connection], T], *, writes: bool) -> T:
    try:
        engine = sqlite_engine(path, begin="BEGIN IMMEDIATE" if writes else "BEGIN")
        try:
            with engine.begin() as connection:
                return body(connection)
        finally:
            engine.dispose()
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise LogUnavailable(f"{path}: {getattr(error, 'orig', None) or error}") from error
