"""Restoring a backup: all is made ready in a database of its own, which then takes the place of another at once.

Whatever kills the process, the database that is restored to is as it was before, or has all of the backup.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from sqlalchemy import Connection, delete, update

from crdt_store.backing_up import Report, counted
from crdt_store.backup_file import Manifest, check_backup, read_manifest, remove_side_files, sync, unseal
from crdt_store.copying import clear_tables, copy_tables, count_rows, occupied_tables
from crdt_store.engine import database_path, postgres_dsn
from crdt_store.long_transactions import read_at_length, write_at_length
from crdt_store.migrations import database_version, migrate
from crdt_store.row_ids import last_ids, set_last_ids
from crdt_store.tables import online_users, presence_nodes, room_heads, tickets, users
from crdt_store.update_log import LogUnavailable

_STAGE_PREFIX = ".restoring-"
_SKIPPED = 100_000
"""Ids and events that nobody gets: about as many were given after the backup, and are known outside."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class NotEmpty(Exception):
    """The database that was to be restored to has something in it; it was left as it is."""


@contextmanager
def stage(database_url: str) -> Iterator[Path]:
    """Where a backup is made ready for this database; it is gone at the end. Raises OSError, ValueError."""
    dsn = postgres_dsn(database_url)
    folder = None if dsn else database_path(database_url).parent
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_STAGE_PREFIX}*"):  # by one that was killed
            shutil.rmtree(left)
    with TemporaryDirectory(prefix=_STAGE_PREFIX, dir=folder) as name:
        yield Path(name) / "costudio.db"


def refuse_unless_empty(database_url: str) -> None:
    """Raises NotEmpty, UnknownSchema, LogUnavailable, ValueError."""
    if postgres_dsn(database_url) is None and not database_path(database_url).exists():
        return
    read_at_length(database_url, _refuse_unless_empty)


def make_ready(backup: Path, staged: Path, report: Report) -> Manifest:
    """Copy the backup, check every byte of the copy, and bring it to the tables of this code. Blocks.

    Raises BackupDamaged, UnknownSchema, LogUnavailable, OSError.
    """
    rows = read_manifest(backup).rows
    shutil.copyfile(backup, staged)
    manifest = check_backup(staged, counted("check", report, rows))
    unseal(staged)
    migrate(str(staged))
    write_at_length(str(staged), _forget_connections)
    return manifest


def skip_ids(staged: Path) -> None:
    """Have no id given again that may have been given after the backup, nor the number of an event."""
    write_at_length(str(staged), _skip_ids)


def put_in_place(staged: Path, database_url: str, report: Report, *, replaces: bool) -> None:
    """Let what is staged take the place of the database, all at once. Blocks.

    `replaces`: whatever is there goes. Raises NotEmpty, UnknownSchema, LogUnavailable, OSError, ValueError.
    """
    if postgres_dsn(database_url) is None:
        _move(staged, database_path(database_url), replaces=replaces)
    else:
        migrate(database_url)
        read_at_length(str(staged), lambda source: _fill(source, database_url, report, replaces=replaces))


def _fill(source: Connection, database_url: str, report: Report, *, replaces: bool) -> None:
    on_rows = counted("restore", report, count_rows(source))

    def fill(target: Connection) -> None:
        if replaces:
            clear_tables(target)
        else:
            _refuse_unless_empty(target)
        copy_tables(source, target, on_rows)

    write_at_length(database_url, fill)


def _move(staged: Path, path: Path, *, replaces: bool) -> None:
    sync(staged)
    if path.exists():
        if not replaces:
            refuse_unless_empty(str(path))
        _settle(path)
    elif path.with_name(f"{path.name}-wal").exists():
        raise NotEmpty(f"{path}-wal is there without its database: find that, or remove it")
    os.replace(staged, path)
    sync(path.parent)


def _settle(path: Path) -> None:
    """Move the WAL into the file: SQLite would take it for the new one's. Raises LogUnavailable if that is in use."""
    uri = f"file:{quote(str(path))}?mode=rw"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode not in _DAMAGED:
            raise LogUnavailable(f"{path}: {error}; is a server running on it?") from error
        remove_side_files(path)


def _refuse_unless_empty(connection: Connection) -> None:
    if database_version(connection) is not None and (occupied := occupied_tables(connection)):
        raise NotEmpty(f"the database is not empty: it has {', '.join(occupied)}")


def _forget_connections(connection: Connection) -> None:
    """Nobody is online, and no ticket is on its way."""
    for table in (online_users, presence_nodes, tickets):
        connection.execute(delete(table))
    connection.execute(update(users).values(is_online=False))


def _skip_ids(connection: Connection) -> None:
    set_last_ids(connection, {table: last + _SKIPPED for table, last in last_ids(connection).items()})
    connection.execute(update(room_heads).values(last_event_seq=room_heads.c.last_event_seq + _SKIPPED))
