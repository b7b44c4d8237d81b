"""Databases of each kind, empty and with something of everything in them."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from crdt_store.backing_up import write_backup
from crdt_store.engine import Database, create_engine, database_path
from tests.crdt_store.conftest import database_url, empty_database, kind, path, sqlite_url
from tests.operator.studio import NOW_MS, furnish
from tests.services.fixtures import empty_postgres_url, postgres, postgres_template, postgres_url
from tests.wire.conftest import server

__all__ = [
    "database_url",
    "empty_database",
    "empty_postgres_url",
    "kind",
    "path",
    "postgres",
    "postgres_template",
    "postgres_url",
    "server",
    "sqlite_url",
]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = create_engine(database_url)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def studio_file(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with something in it."""
    path = Path(shutil.copy(empty_database, tmp_path_factory.mktemp("studio") / "costudio.db"))
    anyio.run(furnish, f"sqlite:///{path}")
    return path


@pytest.fixture
def studio_url(studio_file: Path, kind: str, database_url: str) -> str:
    """The URL of a database with the same in it, of either kind."""
    if kind == "sqlite":
        shutil.copy(studio_file, database_path(database_url))
    else:
        anyio.run(furnish, database_url)
    return database_url


@pytest.fixture(scope="session")
def studio_backup(studio_file: Path) -> Path:
    """A backup of that."""
    write_backup(f"sqlite:///{studio_file}", studio_file.with_name("backup"), NOW_MS, lambda *_: None)
    return studio_file.with_name("backup")


@pytest.fixture
def backup(studio_backup: Path, tmp_path: Path) -> Path:
    """The same, for this test alone."""
    return Path(shutil.copy(studio_backup, tmp_path / "backup"))


@pytest.fixture
def new_sqlite_url(tmp_path: Path) -> str:
    """The URL of a file that is not there yet."""
    return f"sqlite:///{tmp_path}/elsewhere/new.db"
