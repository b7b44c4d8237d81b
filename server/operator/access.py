"""Getting at the database that a server may be using."""

import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio.to_thread

from crdt_store.backup_file import BackupDamaged
from crdt_store.database import Database
from crdt_store.engine import create_engine, database_path, postgres_dsn
from crdt_store.long_transactions import read_at_length
from crdt_store.migrations import UnknownSchema, require_current
from crdt_store.presence import live_nodes
from crdt_store.restoring import NotEmpty
from crdt_store.update_log import LogUnavailable
from server.engine.condenser import Condenser
from server.operator.errors import Refused
from server.run_marker import RunMarker
from server.settings import Settings, SettingsError

REFUSALS = (
    Refused,
    SettingsError,
    LogUnavailable,
    UnknownSchema,
    BackupDamaged,
    NotEmpty,
    OSError,
)
"""What a command says in one line, having done nothing."""


def now_ms() -> int:
    """Milliseconds since 1970, by the wall clock."""
    return time.time_ns() // 1_000_000


def database_url(settings: Settings) -> str:
    """Which database it is. Raises SettingsError."""
    url = settings.resolved_database_url()
    try:
        if postgres_dsn(url) is None:
            database_path(url)
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from error
    return url


def be_quiet() -> None:
    """What a server would log is no business of a command, unless it is an error."""
    logging.basicConfig(level=logging.ERROR, format="costudio: %(message)s")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database, which a server of this version has used. Raises LogUnavailable, UnknownSchema, SettingsError."""
    url = database_url(settings)
    await anyio.to_thread.run_sync(read_at_length, url, require_current)
    database = create_engine(url)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def condensing(settings: Settings, *, memory_bytes: int | None = None) -> AsyncIterator[Condenser]:
    """The process in which documents are loaded, with the server's limits or a closer one of memory."""
    condenser = Condenser(
        job_seconds=settings.compaction_job_seconds,
        memory_bytes=memory_bytes or settings.compaction_memory_bytes,
    )
    try:
        yield condenser
    finally:
        await condenser.aclose()


@contextmanager
def sole_process(settings: Settings) -> Iterator[None]:
    """Keep servers out of an SQLite database, to which one process writes. Raises SettingsError if one is running.

    A PostgreSQL database has its own ways to deal with several.
    """
    if postgres_dsn(database_url(settings)) is not None:
        yield
        return
    marker = RunMarker(settings.data_dir)
    try:
        yield
    finally:
        if not marker.ended_badly:
            marker.clear()
        marker.close()


async def refuse_if_served(settings: Settings, database: Database) -> None:
    """Raises Refused if a server said just now that it uses this PostgreSQL database: see `sole_process`."""
    if postgres_dsn(database_url(settings)) is None:
        return
    nodes = await database.read(lambda connection: live_nodes(connection, now_ms()))
    if nodes:
        raise Refused(
            f"a server uses the database ({', '.join(nodes)}): stop it first;"
            " one that was killed counts as running for half a minute"
        )
