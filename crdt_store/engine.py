"""Opening the database: the one file that knows which one it is, SQLite today."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from crdt_store.database_thread import DatabaseThread
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
    """One writer, so that writes queue here and not on the file's lock, and a few readers beside it.

    Transactions are plain functions over a SQLAlchemy `Connection`.
    """

    def __init__(self, writer: "_Lane", readers: "list[_Lane]") -> None:
        self._writer = writer
        self._readers = readers
        self._closed = False

    async def write(self, body: Callable[[Connection], T]) -> T:
        """Run `body` in a transaction that holds the write lock from its start, and commit it.

        An exception of `body` rolls back. A cancelled caller does not learn whether it was committed.
        Raises LogUnavailable, Conflict when a constraint refused it.
        """
        return await self._run(self._writer, body)

    async def read(self, body: Callable[[Connection], T]) -> T:
        """Run `body` on one consistent state of the database, in which it cannot write. Raises LogUnavailable."""
        return await self._run(min(self._readers, key=lambda lane: lane.waiting), body)

    async def close(self) -> None:
        """Wait for what runs or waits, then close files and threads; idempotent. Afterwards all is LogUnavailable."""
        self._closed = True
        for lane in self._readers:
            await lane.close()
        await self._writer.close()  # the last connection: it moves the WAL into the file

    async def _run(self, lane: "_Lane", body: Callable[[Connection], T]) -> T:
        if self._closed:
            raise LogUnavailable("the database is closed")
        return await lane.run(body)


class _Lane:
    """A connection, opened at first use, and what waits for it."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], begin: str) -> None:
        self.waiting = 0
        self._connect = connect
        self._begin = begin
        self._opening = asyncio.Lock()
        self._thread: DatabaseThread | None = None

    async def run(self, body: Callable[[Connection], T]) -> T:
        self.waiting += 1
        try:
            thread = self._thread or await self._open()
            return await thread.run(_transact, body)
        finally:
            self.waiting -= 1

    async def _open(self) -> DatabaseThread:
        async with self._opening:
            if self._thread is None:
                try:
                    self._thread = await DatabaseThread(self._connect, self._engine).open()
                except (sqlite3.Error, OSError) as error:
                    raise LogUnavailable(str(error)) from error
            return self._thread

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.close()

    def _engine(self, connect: Callable[[], sqlite3.Connection]) -> Engine:
        return _engine(connect, begin=self._begin)


def create_engine(
    database_url: str, *, connection_class: type[sqlite3.Connection] = sqlite3.Connection
) -> Database:
    """A `Database` for `sqlite:///path`, `sqlite+aiosqlite:///path` or a bare path; ValueError for others.

    Opens the file on first use; one that `migrate` has not made is LogUnavailable, never made here.
    `connection_class` lets tests break the disk.
    """
    path = database_path(database_url)
    _log_version(sqlite3.sqlite_version_info)
    write = _connector(path, connection_class=connection_class)
    read = _connector(path, connection_class=connection_class, query_only=True)
    return Database(_Lane(write, "BEGIN IMMEDIATE"), [_Lane(read, "BEGIN") for _ in range(_READERS)])


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


def sqlite_engine(path: Path, *, begin: str, create: bool = False) -> Engine:
    """A synchronous engine whose transactions start with the statement `begin`, and are fsynced at commit."""
    return _engine(_connector(path, create=create, query_only=begin == "BEGIN"), begin=begin)


def _engine(connect: Callable[[], sqlite3.Connection], *, begin: str) -> Engine:
    engine = sqlalchemy.create_engine(
        "sqlite://",
        creator=connect,
        poolclass=sqlalchemy.QueuePool,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,  # what people write belongs in no log
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _connector(
    path: Path,
    *,
    create: bool = False,
    query_only: bool = False,
    connection_class: type[sqlite3.Connection] = sqlite3.Connection,
) -> Callable[[], sqlite3.Connection]:
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
            if query_only:
                connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


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
