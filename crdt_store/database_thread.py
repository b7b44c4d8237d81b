"""aiosqlite's thread, given whole transactions.

aiosqlite changes threads for every call on a cursor, and SQLAlchemy's async engine on it makes a dozen of them in a
transaction: 4.1 ms of CPU to append one row, against 1.0 ms when the transaction runs on the thread as a whole. And a
caller that is cancelled cannot stop one half-way.
"""

import sqlite3
from collections.abc import Callable
from typing import Self, TypeVar

import aiosqlite
import anyio.to_thread
from sqlalchemy import Connection, Engine

T = TypeVar("T")
Body = Callable[[Connection], T]


class DatabaseThread(aiosqlite.Connection):
    """One SQLite connection and the thread it lives on. `engine_of(connect)`: a SQLAlchemy engine on `connect`."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        engine_of: Callable[[Callable[[], sqlite3.Connection]], Engine],
    ) -> None:
        super().__init__(connect, iter_chunk_size=64)
        self._thread.name = "database"
        self._thread.daemon = True  # whoever dies without closing must not hang for it
        self._engine = engine_of(self._connection_for_engine)
        self._engine_has_first = False
        self._in_use: Connection | None = None

    async def open(self) -> Self:
        """Start the thread and connect on it; what connecting raises, this raises."""
        try:
            await self
        except Exception:
            await self._ended()
            raise
        return self

    async def run(self, transact: Callable[[Callable[[], Connection], Body[T]], T], body: Body[T]) -> T:
        """Call `transact(connection, body)` on the thread, in its turn; `connection()` is the engine's."""
        result: T = await self._execute(self._run, transact, body)  # type: ignore[no-untyped-call]
        return result

    def _run(self, transact: Callable[[Callable[[], Connection], Body[T]], T], body: Body[T]) -> T:
        try:
            return transact(self._connected, body)
        except BaseException:
            self._let_go()
            raise

    def _connected(self) -> Connection:
        """One for all transactions: to take it out of the pool and put it back costs as much as a commit."""
        if self._in_use is None:
            self._in_use = self._engine.connect()
        return self._in_use

    def _let_go(self) -> None:
        connection, self._in_use = self._in_use, None
        if connection is not None:
            connection.close()

    def _dispose(self) -> None:
        self._let_go()
        self._engine.dispose()

    async def close(self) -> None:
        """Let what waits end, then disconnect and end the thread."""
        try:
            await self._execute(self._dispose)  # type: ignore[no-untyped-call]
        finally:
            await super().close()
            await self._ended()

    async def _ended(self) -> None:
        """The thread has been told to end; until it has, it may report to this event loop."""
        await anyio.to_thread.run_sync(self._thread.join, abandon_on_cancel=True)

    def _connection_for_engine(self) -> sqlite3.Connection:
        """On the thread: aiosqlite's connection, and a new one after each fault."""
        if self._engine_has_first:
            self._connection = self._connector()
        self._engine_has_first = True
        return self._conn
