"""However much there is, it takes few statements: each is a round trip while a document is locked."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

from crdt_store.compaction import compact as compact_once
from crdt_store.gathering import gather
from crdt_store.sql import SqlUpdateLog
from tests.acceptance.log_rows import compact, contents, quarantine, row
from tests.acceptance.update_log_upkeep import condense

COUNT = 2000


@contextmanager
def at_most(limit: int) -> Iterator[None]:
    """A statement with many sets of parameters counts once."""
    statements: list[str] = []

    def count(connection: object, cursor: object, statement: str, *others: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert 0 < len(statements) <= limit


async def test_putting_aside_reading_and_compacting(log: SqlUpdateLog) -> None:
    await log.append([row("a", b"good", b"poison") for _ in range(COUNT)])
    entries = [(seq, 1, "poison") for seq in range(1, COUNT + 1)]
    with at_most(COUNT // 50):
        await quarantine(log, "a", *entries)
    with at_most(COUNT // 50):
        assert (await gather(log, "a")).tail == [b"good"] * COUNT
    with at_most(COUNT // 50):
        await compact(log, "a")
    assert await contents(log, "a") == [b"good"] * COUNT


async def test_replacing_and_deleting(log: SqlUpdateLog) -> None:
    await log.append([row("a", b"1")])
    await compact_once(log, condense, "a")
    with at_most(COUNT // 50):
        await log.replace(row("a", b"2"), {old: COUNT + old for old in range(COUNT)})
    assert (await log.head("a")).retired == {old: COUNT + old for old in range(COUNT)}
    with at_most(COUNT // 50):
        await log.delete("a", client_ids=range(2 * COUNT))
