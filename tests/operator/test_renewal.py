"""New epochs for the documents of a backup: the same content under other ids, and what cannot be renewed is named."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from crdt_store.backing_up import Report
from crdt_store.compaction import Condense, Condensed, CondenseFailed
from crdt_store.engine import create_engine
from crdt_store.held_edits import HeldEdits
from crdt_store.restoring import make_ready
from crdt_store.sql import SqlUpdateLog
from crdt_store.stale_updates import StaleUpdates
from crdt_store.update_log import Snapshot
from server.engine.condenser import Condenser
from server.operator.loading import load
from server.operator.renewal import renew_epochs
from tests.operator.studio import DELETED, FILES, NOW_MS

ONE, PLAN, THREE = FILES


@pytest.fixture
async def condense() -> AsyncIterator[Condense]:
    condenser = Condenser()
    yield condenser.condense
    await condenser.aclose()


async def test_every_document_says_the_same_in_its_next_epoch_or_is_named(
    backup: Path, tmp_path: Path, condense: Condense
) -> None:
    async def fails_at_three(snapshot: Snapshot | None, updates: Sequence[bytes]) -> Condensed:
        if any(b"three" in update for update in updates):
            raise CondenseFailed("no memory")
        return await condense(snapshot, updates)

    ignore: Report = lambda doing, done, total: None  # noqa: E731
    make_ready(backup, tmp_path / "staged.db", ignore)
    database = create_engine(str(tmp_path / "staged.db"))
    log, seen = SqlUpdateLog(database), list[None]()
    texts = [loaded.text() for name in FILES if (loaded := await load(database, condense, name))]
    failed = await renew_epochs(
        database,
        fails_at_three,
        now_ms=NOW_MS,
        random_client_id=partial(next, count(5000)),
        on_document=lambda: seen.append(None),
    )
    assert failed == {THREE: "no memory"}
    assert len(seen) == len(FILES)
    heads = [await log.head(name) for name in (*FILES, DELETED)]
    assert [head.epoch for head in heads] == [2, 2, 1, 2]
    renewed = [loaded for name in FILES if (loaded := await load(database, condense, name))]
    assert [loaded.text() for loaded in renewed] == texts
    plan = heads[1]
    assert set(plan.retired) == {7, 101}
    assert [plan.authors[new] for new in plan.retired.values() if new is not None] == [2, 1]

    assert await HeldEdits(database, max_bytes=1, max_bytes_per_user=1).of(ONE) == []
    (kept,) = await StaleUpdates(database, max_bytes=1).list(ONE)
    assert kept.author_id == 2
    await database.close()
