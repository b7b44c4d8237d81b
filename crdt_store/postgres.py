"""PostgreSQL, through SQLAlchemy's asyncio engine on asyncpg."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakSet

import asyncpg
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, Pool

from crdt_store.database import Database
from crdt_store.postgres_errors import FAULTS, describe, is_conflict, is_lost, is_refusal, unavailable
from crdt_store.update_log import LogUnavailable, Unconfirmed

T = TypeVar("T")

_WRITERS = 4
_READERS = 4
_CONNECT_SECONDS = 10
_BEGIN_SECONDS = 5.0  # it waits for nothing but the server itself
_POOL_WAIT_SECONDS = 30
_LOCK_SECONDS = 10
_STATEMENT_SECONDS = 30
_IDLE_IN_TRANSACTION_SECONDS = 60  # a process that stands still must not hold its locks for ever
_TRANSACTION_SECONDS = 120.0  # the last resort, when the server or the network says nothing at all
_CLOSE_SECONDS = 10.0  # for what runs, before it is cut off
_MIGRATION_LOCK_SECONDS = 300  # while another process migrates

_WRITE = {"default_transaction_isolation": "read committed", "default_transaction_read_only": "off"}
_READ = {"default_transaction_isolation": "repeatable read", "default_transaction_read_only": "on"}

logger = logging.getLogger(__name__)


class PostgresDatabase(Database):
    """Writers and readers have a bounded pool each, so that neither can keep the other waiting.

    A transaction runs in a task of its own: a cancelled caller leaves it to end whole. If its connection breaks
    while it cannot have stored anything, it runs once more on another one. `close` cuts off what takes too long.
    """

    def __init__(self, dsn: str) -> None:
        self._connector = _Connector(dsn)
        self._writers = _pooled_engine(self._connector, _WRITERS, _WRITE)
        self._readers = _pooled_engine(self._connector, _READERS, _READ)
        self._running: set[asyncio.Task[object]] = set()
        self._closing: asyncio.Task[None] | None = None

    async def write(self, body: Callable[[Connection], T]) -> T:
        return await self._run(self._writers, body, writes=True)

    async def read(self, body: Callable[[Connection], T]) -> T:
        return await self._run(self._readers, body, writes=False)

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=_CLOSE_SECONDS)
        self._connector.close()
        if self._running:
            await asyncio.wait(self._running)  # their connections are gone: they fail now
        for engine in (self._writers, self._readers):
            await engine.dispose()

    async def _run(self, engine: AsyncEngine, body: Callable[[Connection], T], *, writes: bool) -> T:
        if self._closing is not None:
            raise LogUnavailable("the database is closed")
        task = asyncio.create_task(_transact(self._connector, engine, body, writes=writes))
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task})
        return task.result()

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for it may be gone: asyncio need not complain


class _ConnectionLost(Exception):
    """The connection broke, and nothing was stored: COMMIT was not sent, or there was nothing to store."""


class _Connector:
    """Makes connections, cuts them, and says once what the server is and how far it is to be trusted."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._reported = False
        self._closed = False
        self._connections: WeakSet[asyncpg.Connection] = WeakSet()

    async def connect(self, settings: Mapping[str, str]) -> asyncpg.Connection:
        """`settings` hold for the session. Raises LogUnavailable and whatever asyncpg raises."""
        connection = await asyncpg.connect(
            self._dsn,
            timeout=_CONNECT_SECONDS,
            server_settings={
                "application_name": "costudio",
                "lock_timeout": f"{_LOCK_SECONDS}s",
                "statement_timeout": f"{_STATEMENT_SECONDS}s",
                "idle_in_transaction_session_timeout": f"{_IDLE_IN_TRANSACTION_SECONDS}s",
                **settings,
            },
        )
        try:
            await self._prepare(connection)
            if self._closed:
                raise LogUnavailable("the database is closed")
        except BaseException:
            connection.terminate()
            raise
        self._connections.add(connection)
        return connection

    def cut_idle(self) -> None:
        """Cut all connections that are in no transaction: as one fell silent or broke, so may they have.

        A transaction that is about to begin on one of them runs once more, on another.
        """
        for connection in list(self._connections):
            _cut_unless_begun(connection)

    def close(self) -> None:
        """Cut all connections, without waiting for a server that may not listen, and make no more."""
        self._closed = True
        for connection in list(self._connections):
            connection.terminate()

    async def _prepare(self, connection: asyncpg.Connection) -> None:
        """Look at what a promise rests on, and set what a session may set."""
        names = ("server_version", "server_encoding", "synchronous_commit", "fsync", "full_page_writes")
        columns = ", ".join(f"current_setting('{name}') AS {name}" for name in names)
        found = await connection.fetchrow(f"SELECT {columns}", timeout=_CONNECT_SECONDS)
        if found["server_encoding"] != "UTF8":
            raise LogUnavailable(f"the database is encoded in {found['server_encoding']}, not UTF8")
        if found["synchronous_commit"] == "off":
            await connection.execute("SET synchronous_commit = on", timeout=_CONNECT_SECONDS)
        if not self._reported:
            self._reported = True
            _report(found)


def run_in_transaction(dsn: str, body: Callable[[Connection], T], *, writes: bool = True) -> T:
    """Run `body` without a limit to its statements, and commit; for migrations, where no event loop need run.

    What only reads sees one moment of the database. Blocks the caller, in whose thread one may run all the same.
    Raises LogUnavailable, Conflict.
    """
    limits = {"statement_timeout": "0", "lock_timeout": f"{_MIGRATION_LOCK_SECONDS}s"}
    settings = (_WRITE if writes else _READ) | limits

    async def run() -> T:
        engine = _engine(_Connector(dsn), settings, NullPool)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(body)
        except FAULTS as error:
            raise unavailable(error) from None
        finally:
            await engine.dispose()

    with ThreadPoolExecutor(1, thread_name_prefix="migration") as thread:
        return thread.submit(asyncio.run, run()).result()


def _pooled_engine(connector: _Connector, connections: int, settings: Mapping[str, str]) -> AsyncEngine:
    engine = _engine(
        connector,
        settings,
        AsyncAdaptedQueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
    )
    event.listen(engine.sync_engine, "checkout", _replace_if_closed)
    return engine


def _engine(
    connector: _Connector, settings: Mapping[str, str], pool_class: type[Pool], **pool: int
) -> AsyncEngine:
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connector.connect(settings),
        poolclass=pool_class,
        hide_parameters=True,  # what people write belongs in no log
        **pool,
    )


def _replace_if_closed(connection: object, record: object, proxy: object) -> None:
    """At each checkout: the pool takes a new connection for one that broke while it was idle."""
    if connection.driver_connection.is_closed():  # type: ignore[attr-defined]
        raise DisconnectionError


async def _transact(
    connector: _Connector, engine: AsyncEngine, body: Callable[[Connection], T], *, writes: bool
) -> T:
    try:
        try:
            return await _attempt(connector, engine, body, writes=writes)
        except _ConnectionLost:
            return await _attempt(connector, engine, body, writes=writes)
    except _ConnectionLost as lost:
        raise LogUnavailable(str(lost)) from None
    except FAULTS as error:
        # Without its cause: PostgreSQL quotes the values of a refused row in the details of its errors.
        raise unavailable(error) from None


async def _attempt(
    connector: _Connector, engine: AsyncEngine, body: Callable[[Connection], T], *, writes: bool
) -> T:
    """Begin, `body`, commit. Raises _ConnectionLost, Unconfirmed, FAULTS."""
    may_be_stored = False
    try:
        async with (
            asyncio.timeout(_TRANSACTION_SECONDS),
            engine.connect() as connection,
            _watched(connection, connector),
        ):
            transaction = await connection.begin()
            result = await connection.run_sync(body)
            may_be_stored = writes
            await transaction.commit()
            return result
    except FAULTS as error:
        if may_be_stored and not is_refusal(error):
            raise Unconfirmed(describe(error)) from None
        if is_lost(error):
            raise _ConnectionLost(describe(error)) from None
        raise


@asynccontextmanager
async def _watched(connection: AsyncConnection, connector: _Connector) -> AsyncIterator[None]:
    """Cut the connection if it does not begin a transaction in time. After a fault it is not used again."""
    assert connection.sync_connection is not None
    driver = connection.sync_connection.connection.driver_connection
    begun = asyncio.get_running_loop().call_later(_BEGIN_SECONDS, _cut_unless_begun, driver)
    try:
        yield
    except asyncio.CancelledError:
        # The time is up. Outside of a greenlet this cuts the connection at once: asyncpg would have it wait
        # until the server has heard of the cancellation.
        if connection.sync_connection is not None:
            connection.sync_connection.invalidate()
        connector.cut_idle()
        raise
    except (DBAPIError, ConnectionError) as error:
        if is_lost(error):
            connector.cut_idle()
        if not is_conflict(error):
            await connection.invalidate()
        raise
    finally:
        begun.cancel()


def _cut_unless_begun(connection: asyncpg.Connection) -> None:
    if not connection.is_closed() and not connection.is_in_transaction():
        connection.terminate()


def _report(settings: Mapping[str, str]) -> None:
    logger.info("PostgreSQL %s", settings["server_version"])
    for name in ("fsync", "full_page_writes"):
        if settings[name] != "on":
            logger.warning(
                "PostgreSQL runs with %s = %s: a power cut may DESTROY what was acknowledged",
                name,
                settings[name],
            )
