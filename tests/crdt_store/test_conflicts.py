"""Conflicts are kept once, listed newest first, and resolved once; both sides are notified."""

import json
from functools import partial

import pytest
from sqlalchemy import select

from crdt_store.conflicts import Change, Conflicts, NewConflict, add_conflicts
from crdt_store.engine import Database
from crdt_store.tables import jobs
from crdt_store.users import UserDirectory

FILE = "workspace:1/a.md"
FIRST = NewConflict((1, 2), None, "two\n", "zwei 📊\n", "deux\n", "zwei 📊deux\n")
SECOND = NewConflict(None, (2**53 - 1, 0), "", "a\0b", "", "")


@pytest.fixture
async def change(database: Database) -> Change:
    users = UserDirectory(database)
    alice, bob = [await users.id_of("issuer", name, name) for name in ("alice", "bob")]
    return Change(FILE, 1, 2**52 + 1, "a.md", alice, [bob])


async def add(
    database: Database, change: Change, found: list[NewConflict], now_ms: int, max_characters: int = 1000
) -> list[int]:
    """The ids; 0 for what is not kept."""
    add = partial(add_conflicts, change=change, found=found, now_ms=now_ms, max_characters=max_characters)
    return [each or 0 for each in (await database.write(add))[0]]


async def test_what_was_found_is_listed_newest_first(database: Database, change: Change) -> None:
    conflicts = Conflicts(database)
    first, second = await add(database, change, [FIRST, SECOND], now_ms=7)
    newest, oldest = await conflicts.list(FILE)
    assert (newest.id, oldest.id) == (second, first)
    assert (oldest.change, oldest.new, oldest.created_at_ms) == (change, FIRST, 7)
    assert newest.new == SECOND._replace(yours="a\ufffdb"), "not every database keeps a NUL"
    assert [each.id for each in await conflicts.list(FILE, before=second)] == [first]
    assert [each.id for each in await conflicts.list(FILE, limit=1)] == [second]
    assert await conflicts.list("workspace:1/b.md") == []
    assert await conflicts.get("workspace:1/b.md", first) is None


async def test_a_change_that_is_reported_again_is_kept_once(database: Database, change: Change) -> None:
    ids = await add(database, change, [FIRST], now_ms=7)
    assert await add(database, change, [FIRST], now_ms=8) == ids
    queued = await database.read(lambda connection: list(connection.scalars(select(jobs.c.payload))))
    (notice,) = map(json.loads, queued)
    assert notice["kind"] == "conflict"
    assert set(notice["user_ids"]) == {change.author_id, *change.others}
    assert notice["payload"] == {"path": "a.md"}


async def test_a_conflict_is_resolved_once(database: Database, change: Change) -> None:
    conflicts = Conflicts(database)
    (conflict_id,) = await add(database, change, [FIRST], now_ms=7)
    assert await conflicts.resolve(conflict_id, "theirs", change.author_id, now_ms=9)
    assert not await conflicts.resolve(conflict_id, "yours", change.author_id, now_ms=10)
    assert await conflicts.list(FILE) == []
    (resolved,) = await conflicts.list(FILE, is_open=False)
    assert (resolved.resolution, resolved.resolved_by, resolved.resolved_at_ms) == (
        "theirs",
        change.author_id,
        9,
    )


async def test_a_file_keeps_so_much_and_resolved_ones_make_room(database: Database, change: Change) -> None:
    conflicts = Conflicts(database)
    first, second = await add(database, change, [FIRST, SECOND], 7, max_characters=30)
    assert first
    assert second
    other = change._replace(write_id=9)
    too_long, kept = await add(database, other, [FIRST, SECOND], 8, max_characters=33)
    assert not too_long
    assert kept == (await conflicts.list(FILE))[0].id
    await conflicts.resolve(first, "merged", change.author_id, now_ms=9)
    (third,) = await add(database, change._replace(write_id=10), [FIRST], 10, max_characters=35)
    assert [each.id for each in await conflicts.list(FILE, is_open=False)] == [third, kept, second]
    assert await conflicts.get(FILE, first) is None
