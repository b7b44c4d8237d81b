"""Whatever happens, an edit that was held gets in once the lock has ended, and not before."""

import logging
from pathlib import Path

import pytest

from crdt_store.engine import create_engine
from crdt_store.migrations import migrate
from crdt_store.users import UserDirectory
from tests.locks.held_world import FILE, HeldWorld

STEPS = 120


@pytest.mark.parametrize("seed", range(3))
async def test_every_held_edit_ends_in_the_document(
    tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # crashes are said in the log
    url = f"sqlite:///{tmp_path / 'costudio.db'}"
    migrate(url)
    database = create_engine(url)
    directory = UserDirectory(database)
    users = [await directory.id_of("tests", name, name) for name in ("ada", "bob", "eve")]
    await database.close()
    world = HeldWorld(url, users, seed)
    await world.begin()
    for _ in range(STEPS):
        await world.step()
    assert len(world.held) > STEPS / 20
    world.now_ms += 10_000
    await world.node.service.sweep()
    await world.node.settle()
    text = await world.text()
    assert [mark for mark in world.held if text.count(mark.decode()) != 1] == []
    assert await world.node.held_back.of(FILE) == []
    assert await world.node.stale.list(FILE.canonical) == []
    await world.node.crash()
