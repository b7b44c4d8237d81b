"""Stale updates: nobody can fill the room that a document has for them."""

import pytest

from crdt_store.engine import Database
from crdt_store.sql import SqlUpdateLog
from crdt_store.stale_updates import StaleUpdates, TooManyStaleUpdates
from crdt_store.users import UserDirectory
from tests.acceptance.log_rows import row


@pytest.fixture
async def authors(database: Database, log: SqlUpdateLog) -> list[int]:
    await log.append([row("a", b"1"), row("b", b"1")])
    return [await UserDirectory(database).id_of("issuer", name, name) for name in ("ada", "bob")]


async def test_one_author_leaves_room_for_others(database: Database, authors: list[int]) -> None:
    stale = StaleUpdates(database, max_bytes=100)
    ada, bob = authors
    for author in (ada, None):
        await stale.add("a", author, b"%r 10 bytes" % author, 1)
        with pytest.raises(TooManyStaleUpdates, match="25 bytes of one author's"):
            await stale.add("a", author, b"%r more" % author + bytes(20), 2)
    await stale.add("a", ada, bytes(5), 3)
    await stale.add("b", ada, bytes(20), 3)
    await stale.add("a", bob, bytes(50), 4)
    with pytest.raises(TooManyStaleUpdates, match="100 bytes of stale"):
        await stale.add("a", bob, bytes(60), 4)
    assert len(await stale.list("a")) == 4


async def test_an_authors_first_update_may_be_larger_than_the_share(
    database: Database, authors: list[int]
) -> None:
    stale = StaleUpdates(database, max_bytes=100)
    await stale.add("a", authors[0], bytes(90), 1)
    await stale.add("a", authors[0], bytes(90), 2)  # the same
    assert [each.size_bytes for each in await stale.list("a")] == [90]
