"""Locks in the database: one holder, whoever races for it; numbers that only grow; whoever waits is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from crdt_store.engine import Database, create_engine
from crdt_store.held_edits import HeldBy, HeldEdits, TooManyHeldEdits, discard_held
from crdt_store.lock_queries import LockFilter
from crdt_store.lock_rows import (
    Beat,
    Lock,
    LockEvent,
    LockTaken,
    NoSuchLock,
    NotHolder,
    TooManyLocks,
    WantedLock,
)
from crdt_store.locks import Locks
from crdt_store.tables import jobs, lock_audit
from crdt_store.users import NoSuchUser, UserDirectory

NOW_MS = 1_764_000_000_000
TTL_MS = 60_000
WORKSPACE = 7


@pytest.fixture
async def people(database: Database) -> list[int]:
    """The ids of three users."""
    directory = UserDirectory(database)
    return [await directory.id_of("tests", name, name) for name in ("ada", "bob", "eve")]


@pytest.fixture
def locks(database: Database) -> Locks:
    return Locks(database, max_per_user=100)


@pytest.fixture
async def elsewhere(database_url: str) -> AsyncIterator[list[Locks]]:
    """The same database, as three other processes have it."""
    databases = [create_engine(database_url) for _ in range(3)]
    yield [Locks(database, max_per_user=100) for database in databases]
    for database in databases:
        await database.close()


def wanted(path: str, user_id: int, *, now_ms: int = NOW_MS, **more: Any) -> WantedLock:
    of_lease: dict[str, Any] = {"kind": "lease", "ttl_ms": TTL_MS, "expires_at_ms": now_ms + TTL_MS}
    return WantedLock(WORKSPACE, path, holder_id=user_id, **(of_lease | more))


async def take(locks: Locks, path: str, user_id: int, *, now_ms: int = NOW_MS, **more: Any) -> Lock:
    changes = await locks.acquire(wanted(path, user_id, now_ms=now_ms, **more), now_ms, wait=False)
    assert changes[-1].event is LockEvent.ACQUIRED
    return changes[-1].lock


async def refused(
    locks: Locks, path: str, user_id: int, *, now_ms: int = NOW_MS, wait: bool = False
) -> LockTaken:
    with pytest.raises(LockTaken) as taken:
        await locks.acquire(wanted(path, user_id, now_ms=now_ms), now_ms, wait=wait)
    return taken.value


async def notices(database: Database) -> list[tuple[str, str]]:
    """(kind, user) of the jobs that notify, in order."""
    query = select(jobs.c.payload).order_by(jobs.c.id)
    found = await database.read(lambda connection: list(connection.scalars(query)))
    return [(each["kind"], str(each["user_ids"][0])) for each in map(json.loads, found) if each["user_ids"]]


async def test_a_lock_is_one_persons(locks: Locks, people: list[int]) -> None:
    ada, bob, _ = people
    lock = await take(locks, "art/tree.uasset", ada)
    assert (lock.holder_id, lock.holder_name, lock.path) == (ada, "ada", "art/tree.uasset")
    assert (await refused(locks, "art/tree.uasset", bob)).lock == lock
    assert (await refused(locks, "art/tree.uasset", ada)).lock == lock
    assert await locks.get(lock.id, NOW_MS) == lock
    await take(locks, "art/tree.uasset2", bob)
    await take(locks, "art/tree", bob)


@pytest.mark.parametrize(("held", "asked"), [("art", "art/trees/oak"), ("art/trees/oak", "art")])
async def test_a_folder_and_what_is_below_it_have_one_holder(
    locks: Locks, people: list[int], held: str, asked: str
) -> None:
    ada, bob, _ = people
    lock = await take(locks, held, ada)
    assert (await refused(locks, asked, bob)).lock == lock
    await take(locks, asked, ada)  # one's own is not in one's way
    await take(locks, "art.md", bob)
    await take(locks, "art-work/a", bob)


async def test_a_lock_ends_with_its_time_though_nobody_clears_it_away(
    locks: Locks, people: list[int]
) -> None:
    ada, bob, _ = people
    first = await take(locks, "a", ada)
    end_ms = NOW_MS + TTL_MS
    await refused(locks, "a", bob, now_ms=end_ms - 1)
    with pytest.raises(NoSuchLock):
        await locks.renew(first.id, ada, TTL_MS, end_ms)
    with pytest.raises(NoSuchLock):
        await locks.release(first.id, ada, end_ms)
    changes = await locks.acquire(wanted("a/b", bob, now_ms=end_ms), end_ms, wait=False)
    assert [change.event for change in changes] == [LockEvent.EXPIRED, LockEvent.ACQUIRED]
    assert changes[0].lock == first


async def test_fencing_numbers_grow_whatever_becomes_of_locks(
    locks: Locks, elsewhere: list[Locks], people: list[int]
) -> None:
    ada, bob, _ = people
    fences = []
    for other in elsewhere:
        lock = await take(other, "a", ada)
        fences.append(lock.fence)
        [change] = await locks.transfer(lock.id, bob, ada, NOW_MS, is_admin=False)
        fences.append(change.lock.fence)
        await other.release(lock.id, bob, NOW_MS)
    assert fences == sorted(set(fences))


async def test_of_many_who_race_one_gets_it(elsewhere: list[Locks], people: list[int]) -> None:
    for number in range(10):
        paths = [f"{number}", f"{number}/deep", f"{number}/deep/er"]
        tries = [
            locks.acquire(wanted(path, user_id), NOW_MS, wait=False)
            for (locks, user_id), path in zip(
                zip(elsewhere, people, strict=True), paths[number % 3 :] + paths[: number % 3], strict=True
            )
        ]
        found = await asyncio.gather(*tries, return_exceptions=True)
        assert sorted(type(each).__name__ for each in found) == ["LockTaken", "LockTaken", "list"]


async def test_a_renewal_and_an_expiry_that_race_leave_one_holder(
    elsewhere: list[Locks], people: list[int]
) -> None:
    ada, bob, _ = people
    for number in range(10):
        lock = await take(elsewhere[0], f"{number}", ada)
        end_ms = NOW_MS + TTL_MS
        beat = Beat(lock, end_ms + TTL_MS, "node")
        found = await asyncio.gather(
            elsewhere[0].beat([beat], end_ms - 1),
            elsewhere[1].acquire(wanted(f"{number}", bob, now_ms=end_ms), end_ms, wait=False),
            return_exceptions=True,
        )
        was_renewed = bool(found[0])
        assert isinstance(found[1], LockTaken) is was_renewed


async def test_a_beat_that_comes_too_late_brings_nothing_to_life(locks: Locks, people: list[int]) -> None:
    lock = await take(locks, "a", people[0], kind="session", node_id="a")
    end_ms = NOW_MS + TTL_MS
    assert await locks.beat([Beat(lock, end_ms + TTL_MS, "a")], end_ms) == []
    [change] = await locks.beat([Beat(lock, end_ms + TTL_MS, "b")], end_ms - 1)
    assert (change.lock.expires_at_ms, change.lock.node_id) == (end_ms + TTL_MS, "b")
    assert await locks.all() == [change.lock]


async def test_only_its_holder_gives_a_lock_back(locks: Locks, people: list[int]) -> None:
    ada, bob, _ = people
    lock = await take(locks, "a", ada)
    for change in (locks.renew(lock.id, bob, 1, NOW_MS), locks.release(lock.id, bob, NOW_MS)):
        with pytest.raises(NotHolder):
            await change
    with pytest.raises(NotHolder):
        await locks.transfer(lock.id, bob, bob, NOW_MS, is_admin=False)
    with pytest.raises(NoSuchUser):
        await locks.transfer(lock.id, 987, ada, NOW_MS, is_admin=False)
    renewed = await locks.renew(lock.id, ada, None, NOW_MS)
    assert renewed.lock.expires_at_ms is None
    await locks.release(lock.id, ada, NOW_MS)
    with pytest.raises(NoSuchLock):
        await locks.release(lock.id, ada, NOW_MS)
    for absent in (0, -1, 2**70):
        with pytest.raises(NoSuchLock):
            await locks.get(absent, NOW_MS)


async def test_who_waits_is_told_in_turn_once_nothing_is_in_the_way(
    database: Database, locks: Locks, people: list[int]
) -> None:
    ada, bob, eve = people
    folder, file = await take(locks, "art", ada), await take(locks, "art/a", ada)
    for user_id, path in ((eve, "art/a"), (bob, "art/a/b"), (eve, "art/a"), (bob, "art/z")):
        taken = await refused(locks, path, user_id, wait=True)
    assert taken.lock == folder
    assert (await refused(locks, "art", bob)).waiting == [eve, bob]
    await locks.release(folder.id, ada, NOW_MS)
    assert await notices(database) == [("lock_free", str(bob))]  # of art/z
    await locks.release(file.id, ada, NOW_MS)
    assert await notices(database) == [("lock_free", str(each)) for each in (bob, eve, bob)]
    await locks.release((await take(locks, "art/a", ada)).id, ada, NOW_MS)
    assert len(await notices(database)) == 3  # nobody is told twice


async def test_who_waits_is_told_when_the_time_is_over(
    database: Database, locks: Locks, people: list[int]
) -> None:
    ada, bob, eve = people
    await take(locks, "art", ada)
    await refused(locks, "art/a", bob, wait=True)
    await refused(locks, "art/b", eve, wait=True)
    assert await locks.end_expired(NOW_MS + TTL_MS - 1) == []
    [change] = await locks.end_expired(NOW_MS + TTL_MS)
    assert (change.event, change.lock.path, change.actor_id) == (LockEvent.EXPIRED, "art", None)
    assert await notices(database) == [("lock_free", str(bob)), ("lock_free", str(eve))]
    assert await locks.all() == []


async def test_who_has_waited_for_what_is_taken_anew_waits_on(
    database: Database, locks: Locks, people: list[int]
) -> None:
    ada, bob, eve = people
    await take(locks, "art", ada)
    await refused(locks, "art/a", bob, wait=True)
    await refused(locks, "art/b", bob, wait=True)
    await take(locks, "art/a", eve, now_ms=NOW_MS + TTL_MS)  # in place of what has expired
    assert await notices(database) == [("lock_free", str(bob))]
    assert (await refused(locks, "art/a", ada, now_ms=NOW_MS + TTL_MS)).waiting == [bob]


async def test_a_lock_that_is_ended_by_force_is_written_down_and_told(
    database: Database, locks: Locks, people: list[int]
) -> None:
    ada, bob, eve = people
    lock = await take(locks, "a", ada)
    await refused(locks, "a", bob, wait=True)
    change = await locks.force(lock.id, eve, "gone\0 on holiday", NOW_MS + 5)
    assert (change.event, change.actor_id) == (LockEvent.FORCED, eve)
    assert await notices(database) == [("lock_taken", str(ada)), ("lock_free", str(bob))]
    [row] = await database.read(lambda connection: connection.execute(select(lock_audit)).mappings().all())
    said = {name: row[name] for name in ("action", "holder_id", "actor_id", "lock_id", "at_ms", "reason")}
    assert said == {
        "action": "forced",
        "holder_id": ada,
        "actor_id": eve,
        "lock_id": lock.id,
        "at_ms": NOW_MS + 5,
        "reason": "gone\ufffd on holiday",
    }


async def test_a_transfer_never_leaves_two_holders(
    database: Database, locks: Locks, people: list[int]
) -> None:
    ada, bob, eve = people
    folder, file = await take(locks, "art", ada), await take(locks, "art/a", ada)
    with pytest.raises(LockTaken):
        await locks.transfer(file.id, bob, ada, NOW_MS, is_admin=False)
    await locks.release(folder.id, ada, NOW_MS)
    later_ms = NOW_MS + 10
    [change] = await locks.transfer(file.id, bob, eve, later_ms, is_admin=True)
    given = change.lock
    assert (change.event, change.before, given.holder_name) == (LockEvent.TRANSFERRED, file, "bob")
    assert given.fence > file.fence
    assert given.expires_at_ms == later_ms + TTL_MS
    assert await notices(database) == [("lock_taken", str(ada))]
    with pytest.raises(NotHolder):
        await locks.renew(file.id, ada, TTL_MS, later_ms)


async def test_a_session_that_was_cut_by_a_crash_has_a_grace(locks: Locks, people: list[int]) -> None:
    ada, bob, eve = people
    await take(locks, "mine", ada, kind="session", node_id="a")
    await take(locks, "other", bob, kind="session", node_id="b")
    await take(locks, "lease", eve)
    restart_ms = NOW_MS + TTL_MS + 1
    await locks.resume("a", restart_ms + 10)
    assert [lock.path for lock in await locks.page(LockFilter(), restart_ms, limit=9)] == ["mine"]
    await locks.end_expired(restart_ms + 10)
    assert await locks.all() == []


async def test_what_has_expired_is_not_brought_to_life_beside_a_new_holder(
    locks: Locks, people: list[int]
) -> None:
    ada, bob, _ = people
    await take(locks, "art", ada, kind="session", node_id="a")
    file = await take(locks, "art/a", ada, ttl_ms=None, expires_at_ms=None)
    end_ms = NOW_MS + TTL_MS
    changes = await locks.transfer(file.id, bob, ada, end_ms, is_admin=False)
    assert [change.event for change in changes] == [LockEvent.EXPIRED, LockEvent.TRANSFERRED]
    await locks.resume("a", end_ms + 10)
    assert [lock.holder_id for lock in await locks.all()] == [bob]


async def test_a_user_has_so_many_locks_and_waits(database: Database, people: list[int]) -> None:
    ada, bob, _ = people
    locks = Locks(database, max_per_user=2)
    lock = await take(locks, "a", bob)
    await take(locks, "b", ada)
    await refused(locks, "a", ada, wait=True)
    await refused(locks, "a", ada, wait=True)  # the same
    for wait in (True, False):
        with pytest.raises(TooManyLocks):
            await locks.acquire(wanted("c", ada), NOW_MS, wait=wait)
    with pytest.raises(TooManyLocks):
        await locks.acquire(wanted("a/b", ada), NOW_MS, wait=True)
    await locks.release(lock.id, bob, NOW_MS)
    await take(locks, "a", ada)
    with pytest.raises(TooManyLocks):
        await locks.transfer((await take(locks, "c", bob)).id, ada, bob, NOW_MS, is_admin=False)


async def test_locks_are_found_by_where_they_are_and_whose(locks: Locks, people: list[int]) -> None:
    ada, bob, _ = people
    made = [await take(locks, path, ada) for path in ("art", "art/a", "z")]
    other = WantedLock(8, "art/a", "lease", bob, None, None)
    made.append((await locks.acquire(other, NOW_MS, wait=False))[-1].lock)
    expected = {
        LockFilter(): made,
        LockFilter(WORKSPACE): made[:3],
        LockFilter(overlapping="art/a"): [made[0], made[1], made[3]],
        LockFilter(WORKSPACE, path="art/a"): [made[1]],
        LockFilter(holder_id=bob): [made[3]],
        LockFilter(holder_id=2**80): [],
        LockFilter(lock_id=made[2].id): [made[2]],
    }
    for filter_, found in expected.items():
        assert await locks.page(filter_, NOW_MS, limit=10) == found
    assert await locks.page(LockFilter(), NOW_MS, after=made[0].id, limit=2) == made[1:3]


# Held edits


async def test_edits_are_held_in_order_and_the_same_bytes_once(database: Database, people: list[int]) -> None:
    ada, bob, _ = people
    held = HeldEdits(database, max_bytes=100, max_bytes_per_user=120)
    first = await held.keep("workspace:7/a", ada, b"one", NOW_MS)
    second = await held.keep("workspace:7/a", bob, b"one", NOW_MS + 1)
    assert await held.keep("workspace:7/a", ada, b"one", NOW_MS + 2) == first
    other = await held.keep("workspace:7/b", ada, b"two", NOW_MS)
    assert [(each.id, each.author_id, each.data) for each in await held.of("workspace:7/a")] == [
        (first, ada, b"one"),
        (second, bob, b"one"),
    ]
    assert await held.documents() == ["workspace:7/a", "workspace:7/b"]
    assert await held.discard([first, second, 987]) == 2
    assert await database.write(lambda connection: discard_held(connection, [other])) == 1
    assert await held.documents() == []


async def test_nobody_fills_the_room_for_held_edits(database: Database, people: list[int]) -> None:
    ada, bob, eve = people
    held = HeldEdits(database, max_bytes=100, max_bytes_per_user=120)
    await held.keep("a", ada, bytes(20), NOW_MS)
    with pytest.raises(TooManyHeldEdits, match="25 bytes of one author's"):
        await held.keep("a", ada, bytes(6), NOW_MS)
    await held.keep("a", bob, bytes(60), NOW_MS)
    with pytest.raises(TooManyHeldEdits, match="100 bytes of edits"):
        await held.keep("a", eve, bytes(21), NOW_MS)
    await held.keep("b", ada, bytes(90), NOW_MS)
    with pytest.raises(TooManyHeldEdits, match="120 bytes of one author's"):
        await held.keep("c", ada, bytes(11), NOW_MS)
    await held.keep("c", ada, bytes(10), NOW_MS)
    assert await held.authors_of("a") == [HeldBy(ada, 1, 20, NOW_MS), HeldBy(bob, 1, 60, NOW_MS)]
