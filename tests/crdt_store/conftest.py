"""A migrated database of each kind for each test, copied from one that is made once."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crdt_store.engine import Database, create_engine
from crdt_store.migrations import migrate
from crdt_store.sql import SqlUpdateLog
from tests.services.fixtures import empty_postgres_url, postgres, postgres_template, postgres_url

__all__ = ["empty_postgres_url", "postgres", "postgres_template", "postgres_url"]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "empty.db"
    migrate(str(path))
    return path


@pytest.fixture
def path(empty_database: Path, tmp_path: Path) -> Path:
    """The file of an SQLite database with tables and nothing in them."""
    return Path(shutil.copy(empty_database, tmp_path / "costudio.db"))


@pytest.fixture
def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """A test that asks for one of the following runs on every kind of database."""
    return str(request.param)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, kind: str) -> str:
    """The URL of a database with tables and nothing in them."""
    return str(request.getfixturevalue(f"{kind}_url"))


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, kind: str) -> str:
    """The URL of a database without tables; an SQLite file is not there yet."""
    return str(request.getfixturevalue(f"empty_{kind}_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = create_engine(database_url)
    yield database
    await database.close()


@pytest.fixture
async def log(database: Database) -> SqlUpdateLog:
    return SqlUpdateLog(database)
