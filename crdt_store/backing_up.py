"""Backups of a database that is in use: one moment of it, as one file (`backup_file`)."""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection

from crdt_store.backup_file import Manifest, OnRows, remove_side_files, seal, sync
from crdt_store.copying import copy_tables, count_rows
from crdt_store.engine import database_path, postgres_dsn
from crdt_store.long_transactions import read_at_length, write_at_length
from crdt_store.migrations import UnknownSchema, database_version, migrate, require_current
from crdt_store.update_log import LogUnavailable

_STEPS_BETWEEN_REPORTS = 100_000  # of SQLite's virtual machine: some milliseconds

Report = Callable[[str, int, int | None], None]
"""(what is being done, how much of it, out of how much if that is known)"""


def write_backup(database_url: str, path: Path, made_at_ms: int, report: Report) -> Manifest:
    """Write all that is committed now to a new file, which is there when it is complete, and on disk then.

    Blocks. Servers go on meanwhile. Raises FileExistsError, LogUnavailable, UnknownSchema, OSError, ValueError.
    """
    _refuse_to_overwrite(path)
    if read_at_length(database_url, database_version) is None:
        raise UnknownSchema("the database has no tables: there is nothing to back up")
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    draft = Path(name)
    try:
        dsn = postgres_dsn(database_url)
        if dsn is None:
            _copy_sqlite(database_path(database_url), draft, report)
        else:
            read_at_length(database_url, lambda source: _copy_rows(source, draft, report))
        manifest = seal(draft, made_at_ms, counted("check", report))
        _refuse_to_overwrite(path)
        os.replace(draft, path)
        sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)
        remove_side_files(draft)
    return manifest


def counted(doing: str, report: Report, total: int | None = None) -> OnRows:
    """Reports the sum of what it is told."""
    done = 0

    def on_rows(rows: int) -> None:
        nonlocal done
        done += rows
        report(doing, done, total)

    return on_rows


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{path} exists: a backup is never overwritten")


def _copy_sqlite(source: Path, target: Path, report: Report) -> None:
    """SQLite does it by itself: in one read transaction, and without what is deleted."""

    def tell() -> None:
        report("copy", target.stat().st_size, source_bytes)

    try:
        source_bytes = source.stat().st_size
        uri = f"file:{quote(str(source))}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.set_progress_handler(tell, _STEPS_BETWEEN_REPORTS)
            connection.execute("VACUUM INTO ?", (str(target),))
    except (sqlite3.Error, OSError) as error:
        raise LogUnavailable(f"{source}: {error}") from error


def _copy_rows(source: Connection, target: Path, report: Report) -> None:
    """Raises UnknownSchema: rows of other tables than these cannot be read."""
    require_current(source)
    on_rows = counted("copy", report, count_rows(source))
    migrate(str(target))
    write_at_length(str(target), lambda connection: copy_tables(source, connection, on_rows))
