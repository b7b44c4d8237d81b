"""Bringing a database to the tables of this code, before anything else opens it."""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from crdt_store.engine import database_path, postgres_dsn
from crdt_store.sqlite import sqlite_engine
from crdt_store.update_log import LogUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

# The newest file in alembic/versions: knowing it, a database that is up to date needs no Alembic to say so.
HEAD = "0015"

_SCRIPTS = Path(__file__).parent.parent / "alembic"
_VERSION_TABLE = "alembic_version"
_POSTGRES_LOCK = 0x636F73747564696F  # "costudio": the same number for all who migrate


class UnknownSchema(Exception):
    """The database is of a version this code does not know, most likely a newer one. It was left as it is."""


def migrate(database_url: str) -> None:
    """Create or upgrade the tables, in one transaction; several processes may start at once. Blocks.

    Raises UnknownSchema, LogUnavailable, ValueError for an URL that is not supported.
    """
    dsn = postgres_dsn(database_url)
    if dsn is None:
        _migrate_sqlite(database_path(database_url))
    else:
        from crdt_store.postgres import run_in_transaction

        run_in_transaction(dsn, _migrate_postgres)


def _migrate_sqlite(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = sqlite_engine(path, begin="BEGIN IMMEDIATE", create=True)
        try:
            with engine.begin() as connection:
                _migrate(connection)
        finally:
            engine.dispose()
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise LogUnavailable(f"{path}: {error}") from error


def _migrate_postgres(connection: Connection) -> None:
    # SQLite's write transaction is alone by itself.
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _POSTGRES_LOCK})
    _migrate(connection)


def _migrate(connection: Connection) -> None:
    version = database_version(connection)
    if version != HEAD:
        _upgrade(connection, version)


def database_version(connection: Connection) -> str | None:
    """The version that the database says it has; None if it never had one. Raises UnknownSchema."""
    tables = inspect(connection).get_table_names()
    if _VERSION_TABLE in tables:
        versions = list(connection.scalars(text(f"SELECT version_num FROM {_VERSION_TABLE}")))
        if len(versions) == 1:
            return str(versions[0])
        if versions:
            raise UnknownSchema(f"the database has {len(versions)} versions at once")
    foreign = set(tables) - {_VERSION_TABLE}
    if foreign:
        raise UnknownSchema(f"the database has tables but no version: {', '.join(sorted(foreign))}")
    return None


def require_current(connection: Connection) -> None:
    """Raises UnknownSchema unless the tables are those of this code, neither older nor newer."""
    version = database_version(connection)
    if version is None:
        raise UnknownSchema("the database has no tables: no server has used it yet")
    if version != HEAD:
        raise UnknownSchema(
            f"the database has version {version}, this program {HEAD}: use the one that serves it"
        )


def alembic_config(connection: Connection) -> "Config":
    """Alembic's configuration, without a file, to work on this connection and in its transaction."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, version: str | None) -> None:
    # Loading Alembic takes longer than everything else at start, so only those pay who need it.
    from alembic.script import ScriptDirectory

    from alembic import command

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise UnknownSchema(f"the database has version {version}, this code knows up to {HEAD}")
    command.upgrade(config, HEAD)
