"""Opening the database: the one file that knows which one it is, SQLite today.

Transactions are plain functions over a SQLAlchemy `Connection`, run whole on a database thread. SQLAlchemy's
async engine on aiosqlite changes threads a dozen times in a transaction and takes four times the CPU (4.1 ms,
not 1.0, to append one row); and here a cancelled caller cannot stop a transaction half-way.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import anyio.to_thread
import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from crdt_store.update_log import LogUnavailable

T = TypeVar("T")

_READERS = 3
_BUSY_TIMEOUT_SECONDS = 10  # how long one process waits for another one's write transaction
_SYNCHRONOUS_FULL = 2
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # in WAL mode NORMAL may lose committed transactions in a power cut
    "foreign_keys = ON",
    "wal_autocheckpoint = 1000",  # pages of 4 KiB
    "journal_size_limit = 67108864",  # bytes: what a long reader made the WAL grow to is given back
)
# https://sqlite.org/wal.html#walresetbug: two connections that write and checkpoint at the same moment.
_WAL_RESET_BUG_FROM, _WAL_RESET_BUG_FIXED = (3, 7, 0), (3, 51, 3)

logger = logging.getLogger(__name__)


class Conflict(LogUnavailable):
    """A constraint refused the write, and nothing of it was stored."""


class Database:
    """One writer, so that writes queue here and not on the file's lock, and a few readers beside it."""

    def __init__(self, writer: Engine, reader: Engine) -> None:
        self._writer = writer
        self._reader = reader
        self._write_thread = ThreadPoolExecutor(1, "database-writer")
        self._read_threads = ThreadPoolExecutor(_READERS, "database-reader")
        self._closed = False

    async def write(self, body: Callable[[Connection], T]) -> T:
        """Run `body` in a transaction that holds the write lock from its start, and commit it.

        An exception of `body` rolls back. A cancelled caller does not learn whether it was committed.
        Raises LogUnavailable, Conflict when a constraint refused it.
        """
        return await self._run(self._write_thread, self._writer, body)

    async def read(self, body: Callable[[Connection], T]) -> T:
        """Run `body` on one consistent state of the database; it cannot write. Raises LogUnavailable."""
        return await self._run(self._read_threads, self._reader, body)

    async def close(self) -> None:
        """Let what runs or waits end, then close files and threads; idempotent. Then all is refused."""
        self._closed = True
        await anyio.to_thread.run_sync(self._shut_down)

    async def _run(self, threads: ThreadPoolExecutor, engine: Engine, body: Callable[[Connection], T]) -> T:
        if self._closed:
            raise LogUnavailable("the database is closed")
        return await asyncio.get_running_loop().run_in_executor(threads, _transact, engine, body)

    def _shut_down(self) -> None:
        self._read_threads.shutdown()
        self._reader.dispose()
        self._write_thread.shutdown()
        self._writer.dispose()  # the last connection: it moves the WAL into the file


def create_engine(
    database_url: str, *, connection_class: type[sqlite3.Connection] = sqlite3.Connection
) -> Database:
    """A `Database` for `sqlite:///path`, `sqlite+aiosqlite:///path` or a bare path; ValueError for others.

    Opens the file on first use; one that `migrate` has not made is LogUnavailable, never made here.
    `connection_class` lets tests break the disk.
    """
    path = database_path(database_url)
    _log_version(sqlite3.sqlite_version_info)
    return Database(
        sqlite_engine(path, begin="BEGIN IMMEDIATE", connections=1, connection_class=connection_class),
        sqlite_engine(path, begin="BEGIN", connections=_READERS, connection_class=connection_class),
    )


def database_path(database_url: str) -> Path:
    """The file that the URL names. Raises ValueError."""
    if "://" not in database_url:
        database = database_url
    else:
        try:
            url = sqlalchemy.make_url(database_url)
        except ArgumentError as error:
            raise ValueError("not a database URL") from error
        if url.drivername not in ("sqlite", "sqlite+aiosqlite"):
            raise ValueError(f"{url.drivername} is not supported, only sqlite")
        if url.query:
            raise ValueError("a SQLite URL takes no options here")
        database = url.database or ""
    if database in ("", ":memory:"):
        raise ValueError("a database in memory keeps nothing: name a file")
    return Path(database)


def sqlite_engine(
    path: Path,
    *,
    begin: str,
    connections: int = 1,
    create: bool = False,
    connection_class: type[sqlite3.Connection] = sqlite3.Connection,
) -> Engine:
    """A synchronous engine whose transactions start with the statement `begin`, and are fsynced at commit."""
    uri = f"file:{quote(str(path))}?mode={'rwc' if create else 'rw'}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=_BUSY_TIMEOUT_SECONDS,
            isolation_level=None,  # the driver begins nothing by itself: its deferred BEGIN loses increments
            check_same_thread=False,
            factory=connection_class,
        )
        try:
            _prepare(connection)
            if begin == "BEGIN":
                connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    engine = sqlalchemy.create_engine(
        "sqlite://",
        creator=connect,
        poolclass=sqlalchemy.QueuePool,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # what people write belongs in no log
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare(connection: sqlite3.Connection) -> None:
    """Set the PRAGMAs and read back those that a promise rests on: SQLite ignores what it cannot do."""
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    expected: dict[str, Any] = {"journal_mode": "wal", "synchronous": _SYNCHRONOUS_FULL, "foreign_keys": 1}
    for name, value in expected.items():
        (found,) = connection.execute(f"PRAGMA {name}").fetchone()
        if found != value:
            raise LogUnavailable(
                f"SQLite has {name} {found}, not {value}: what is acknowledged would not be safe"
            )


def _log_version(version: tuple[int, ...]) -> None:
    name = ".".join(map(str, version))
    logger.info("SQLite %s", name)
    if _WAL_RESET_BUG_FROM <= version < _WAL_RESET_BUG_FIXED:
        logger.warning(
            "SQLite %s has the WAL-reset bug, which can damage the file when several processes write to it: "
            "run one process, or use 3.51.3 or later",
            name,
        )


def _transact(engine: Engine, body: Callable[[Connection], T]) -> T:
    """On a database thread: begin, `body`, commit. After a fault the connection is not used again."""
    try:
        with engine.connect() as connection:
            try:
                with connection.begin():
                    return body(connection)
            except IntegrityError as error:
                raise Conflict(str(error.orig)) from error
            except DBAPIError:
                connection.invalidate()
                raise
    except (SQLAlchemyError, sqlite3.Error, OSError, UnicodeDecodeError) as error:
        # UnicodeDecodeError: the driver's own, when a damaged schema stands in the message of an error.
        raise LogUnavailable(str(error)) from error
