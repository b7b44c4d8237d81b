"""What a backup is: a database in SQLite, closed, with one more table that says what is in all the others.

Any tool that reads SQLite reads it. A backup of an older version is one that is migrated when it is restored.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

FORMAT = 1

_DIGEST_BYTES = 16
_ROWS_AT_ONCE = 500
_SIDE_FILES = ("-wal", "-shm", "-journal")


class BackupDamaged(Exception):
    """The file is no backup, or not as it was written; the message names what is wrong. Nothing was done with it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`schema`: the version of the tables. `tables`: of each, how many rows and the digest of them all, in hex."""

    format: int
    schema: str
    made_at_ms: int
    tables: dict[str, tuple[int, str]]

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.tables.values())

    def text(self) -> str:
        """In JSON, as it is stored."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(fields, sort_keys=True)


OnRows = Callable[[int], None]
"""Is told that so many more rows are done."""


def seal(path: Path, made_at_ms: int, on_rows: OnRows) -> Manifest:
    """Make a backup of a database that nobody has open: say what is in it, and have all of it on disk."""
    with _opened(path, "rw") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        tables = {name: _sum(connection, name, on_rows) for name in _tables(connection)}
        (schema,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        manifest = Manifest(FORMAT, schema, made_at_ms, tables)
        text = manifest.text()
        connection.execute("CREATE TABLE backup (manifest TEXT NOT NULL, digest TEXT NOT NULL)")
        connection.execute("INSERT INTO backup VALUES (?, ?)", (text, _digest(text.encode())))
    sync(path)
    return manifest


def unseal(path: Path) -> None:
    """Make it a database like any other."""
    with _opened(path, "rw") as connection:
        connection.execute("DROP TABLE backup")


def read_manifest(path: Path) -> Manifest:
    """What the backup says of itself. Raises BackupDamaged, also for what is none."""
    with _opened(path, "ro") as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'backup'").fetchone() is None:
            raise BackupDamaged(f"{path} is a database, but no backup")
        text, digest = connection.execute("SELECT manifest, digest FROM backup").fetchone() or ("", "")
        if not isinstance(text, str) or _digest(text.encode()) != digest:
            raise BackupDamaged(f"{path} is damaged: what it says of itself is not what was written")
        fields = json.loads(text)
    if fields["format"] != FORMAT:
        raise BackupDamaged(f"{path} has format {fields['format']}, this program reads {FORMAT}")
    tables = {name: (rows, digest) for name, (rows, digest) in fields.pop("tables").items()}
    return Manifest(**fields, tables=tables)


def check_backup(path: Path, on_rows: OnRows) -> Manifest:
    """Read all of it. Raises BackupDamaged, which names every table that is not as it was written."""
    manifest = read_manifest(path)
    faults: list[str] = []
    with _opened(path, "ro") as connection:
        present = _tables(connection)
        faults += [f"table {name}: missing" for name in sorted(manifest.tables.keys() - present)]
        faults += [f"table {name}: was not in it" for name in sorted(present - manifest.tables.keys())]
        for name, expected in manifest.tables.items():
            if name in present:
                faults += _faults_of(connection, name, expected, on_rows)
        if not faults:
            faults = [
                f"{said}" for (said,) in connection.execute("PRAGMA integrity_check(5)") if said != "ok"
            ]
    if faults:
        raise BackupDamaged(f"{path} is damaged: {'; '.join(faults)}")
    return manifest


def _faults_of(
    connection: sqlite3.Connection, table: str, expected: tuple[int, str], on_rows: OnRows
) -> Iterator[str]:
    try:
        rows, digest = _sum(connection, table, on_rows)
    except sqlite3.DatabaseError as error:
        yield f"table {table}: {error}"
        return
    if rows != expected[0]:
        yield f"table {table}: {rows} rows, not {expected[0]}"
    elif digest != expected[1]:
        yield f"table {table}: its {rows} rows are not what was written"


def _tables(connection: sqlite3.Connection) -> set[str]:
    """All that has pages of its own, the ones below a virtual table too, but not what says what is in them."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0")
    return {name for (name,) in names} - {"backup"}


def _sum(connection: sqlite3.Connection, table: str, on_rows: OnRows) -> tuple[int, str]:
    """How many rows it has, and their digest: over each row's values, its bytes behind all others."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    count = 0
    cursor = connection.execute(f'SELECT * FROM "{table}" NOT INDEXED')
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        for row in rows:
            values = [(len(value),) if isinstance(value, bytes) else value for value in row]
            digest.update(ascii(values).encode())
            for value in row:
                if isinstance(value, bytes):
                    digest.update(value)
        count += len(rows)
        on_rows(len(rows))
    return count, digest.hexdigest()


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Raises BackupDamaged for whatever SQLite says of the file."""
    try:
        uri = f"file:{quote(str(path))}?mode={mode}"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            yield connection
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise BackupDamaged(f"{path} cannot be read: {error}") from error


def sync(path: Path) -> None:
    """Have the file, or what the folder lists, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_side_files(path: Path) -> None:
    """What SQLite keeps beside a database."""
    for suffix in _SIDE_FILES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
