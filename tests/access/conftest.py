"""A doorkeeper on a database of its own."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crdt_store.engine import Database, create_engine
from crdt_store.migrations import migrate
from tests.access.doors import Clock, House, open_house


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("access") / "empty.db"
    migrate(str(path))
    return path


@pytest.fixture
async def database(migrated: Path, tmp_path: Path) -> AsyncIterator[Database]:
    database = create_engine(f"sqlite:///{shutil.copy(migrated, tmp_path / 'costudio.db')}")
    yield database
    await database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def house(database: Database, clock: Clock) -> House:
    return await open_house(database, clock)
