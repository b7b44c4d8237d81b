"""SQLite: one writer, so that writes queue here and not on the file's lock, and a few readers beside it."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from crdt_store.database import Conflict, Database
from crdt_store.database_thread import DatabaseThread
from crdt_store.update_log import LogUnavailable, Unconfirmed

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

# UnicodeDecodeError: the driver's own, when a damaged schema stands in the message of an error.
_FAULTS = (sqlite3.Error, OSError, UnicodeDecodeError)

logger = logging.getLogger(__name__)


class SqliteDatabase(Database):
    """A file, opened at first use; one that `migrate` has not made is LogUnavailable, never made here.

    A write holds the file's write lock from its start. `connection_class` lets tests break the disk.
    """

    def __init__(
        self, path: Path, *, connection_class: type[sqlite3.Connection] = sqlite3.Connection
    ) -> None:
        _log_version(sqlite3.sqlite_version_info)
        write = _connector(path, connection_class=connection_class)
        read = _connector(path, connection_class=connection_class, query_only=True)
        self._writer = _Lane(write, "BEGIN IMMEDIATE")
        self._readers = [_Lane(read, "BEGIN") for _ in range(_READERS)]
        self._closing: asyncio.Task[None] | None = None

    async def write(self, body: Callable[[Connection], T]) -> T:
        return await self._run(self._writer, body)

    async def read(self, body: Callable[[Connection], T]) -> T:
        return await self._run(min(self._readers, key=lambda lane: lane.waiting), body)

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for lane in self._readers:
            await lane.close()
        await self._writer.close()  # the last connection: it moves the WAL into the file

    async def _run(self, lane: "_Lane", body: Callable[[Connection], T]) -> T:
        if self._closing is not None:
            raise LogUnavailable("the database is closed")
        return await lane.run(body)


class _Lane:
    """A connection, opened at first use, and what waits for it."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], begin: str) -> None:
        self.waiting = 0
        self._connect = connect
        self._begin = begin
        self._opening: asyncio.Task[DatabaseThread] | None = None

    async def run(self, body: Callable[[Connection], T]) -> T:
        self.waiting += 1
        try:
            thread = await self._open()
            return await thread.run(_transact, body)
        finally:
            self.waiting -= 1

    async def close(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            try:
                thread = await asyncio.shield(opening)
            except LogUnavailable:
                return
            await thread.close()

    async def _open(self) -> DatabaseThread:
        """In a task of its own: a thread whose starter is cancelled still belongs to the lane."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._start())
        return await asyncio.shield(self._opening)

    async def _start(self) -> DatabaseThread:
        try:
            return await DatabaseThread(self._connect, self._engine).open()
        except (*_FAULTS, LogUnavailable) as error:
            self._opening = None  # the next one tries again
            raise LogUnavailable(str(error)) from error

    def _engine(self, connect: Callable[[], sqlite3.Connection]) -> Engine:
        return _engine(connect, begin=self._begin)


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
    event.listen(engine, "begin", partial(_begin, begin))
    return engine


def _begin(statement: str, connection: Connection) -> None:
    """By the driver itself: SQLAlchemy takes 40 µs for it."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute(statement).close()


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


def _transact(connected: Callable[[], Connection], body: Callable[[Connection], T]) -> T:
    """On a database thread: begin, `body`, commit. After a fault the connection is not used again."""
    failure: type[LogUnavailable] = LogUnavailable
    try:
        connection = connected()
        try:
            with connection.begin():
                result = body(connection)
                # The WAL may have it all: whoever opens the file next may find it there.
                failure = Unconfirmed
            return result
        except IntegrityError as error:
            raise Conflict(str(error.orig)) from error
        except DBAPIError:
            connection.invalidate()
            raise
    except (SQLAlchemyError, *_FAULTS) as error:
        raise failure(str(error)) from error
