"""A migrated database for each test, copied from one that is made once."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crdt_store.engine import Database, create_engine
from crdt_store.migrations import migrate
from crdt_store.sql import SqlUpdateLog


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "empty.db"
    migrate(str(path))
    return path


@pytest.fixture
def path(empty_database: Path, tmp_path: Path) -> Path:
    """The file of a database with tables and nothing in them."""
    return Path(shutil.copy(empty_database, tmp_path / "costudio.db"))


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = create_engine(str(path))
    yield database
    await database.close()


@pytest.fixture
async def log(database: Database) -> SqlUpdateLog:
    return SqlUpdateLog(database)
