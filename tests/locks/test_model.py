"""In whatever order things happen, there are never two holders, and no lock outlives its time."""

import shutil
from pathlib import Path

import pytest

from crdt_store.engine import create_engine
from crdt_store.migrations import migrate
from crdt_store.users import UserDirectory
from tests.locks.world import World

STEPS = 300


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "empty.db"
    migrate(str(path))
    return path


@pytest.mark.parametrize("seed", range(6))
async def test_never_two_holders_and_no_lock_beyond_its_time(
    empty_database: Path, tmp_path: Path, seed: int
) -> None:
    database = create_engine(f"sqlite:///{shutil.copy(empty_database, tmp_path / 'costudio.db')}")
    directory = UserDirectory(database)
    users = [await directory.id_of("tests", name, name) for name in ("ada", "bob", "eve")]
    world = World(database, users, seed)
    for _ in range(STEPS):
        await world.step()
    assert len(world.granted) > 20
    assert world.survivals
    for node in world.nodes.values():
        node.connected.clear()
    world.now_ms += 500
    await world.sweep("one")
    assert await world.stored() == []
    await database.close()
