"""How long locks last, and when those of sessions are renewed; who holds what, from memory."""

from typing import Any

import pytest

from crdt_store.lock_rows import Lock, LockChange, LockEvent
from server.locks.book import LockBook
from server.locks.rules import BadDuration, LockKind, LockPolicy

NOW_MS = 1_000_000
POLICY = LockPolicy(
    session_ttl_ms=30_000, grace_ms=5_000, lease_ttl_ms=60_000, max_lease_ttl_ms=90_000, standing_ttl_ms=None
)
ADA, BOB = 1, 2


def lock(path: str = "a", holder_id: int = ADA, *, left_ms: int | None = 30_000, **more: Any) -> Lock:
    fields: dict[str, Any] = {
        "id": hash(path) % 1000,
        "workspace_id": 7,
        "path": path,
        "kind": "session",
        "holder_id": holder_id,
        "fence": 1,
        "ttl_ms": left_ms,
        "acquired_at_ms": NOW_MS,
        "expires_at_ms": None if left_ms is None else NOW_MS + left_ms,
        "node_id": "here",
        "holder_name": "somebody",
    }
    return Lock(**(fields | more))


def test_each_kind_lasts_its_own_time() -> None:
    assert POLICY.ttl_ms(LockKind.SESSION) == 30_000
    assert POLICY.ttl_ms(LockKind.LEASE) == 60_000
    assert POLICY.ttl_ms(LockKind.LEASE, 90) == 90_000
    assert POLICY.ttl_ms(LockKind.STANDING) is None
    for kind, seconds in (
        (LockKind.LEASE, 90.1),
        (LockKind.LEASE, 0.0001),
        (LockKind.LEASE, 1e307),
        (LockKind.SESSION, 1),
    ):
        with pytest.raises(BadDuration):
            POLICY.ttl_ms(kind, seconds)


@pytest.mark.parametrize(
    ("left_ms", "node_id", "is_connected", "ends_in_ms"),
    [
        (20_001, "here", True, None),  # not yet
        (20_000, "here", True, 30_000),
        (1, "here", True, 30_000),
        (0, "here", True, None),  # too late
        (10_001, "there", True, None),  # its own server renews it
        (10_000, "there", True, 30_000),  # which has stopped to
        (30_000, "here", False, 5_000),  # left
        (5_000, "here", False, None),  # the grace is running
        (30_000, "there", False, None),  # what does this one know
    ],
)
def test_a_sessions_lock_goes_on_while_its_holder_is_connected(
    left_ms: int, node_id: str, is_connected: bool, ends_in_ms: int | None
) -> None:
    held = lock(left_ms=left_ms, node_id=node_id)
    beats = list(POLICY.beats([held], {ADA} if is_connected else {BOB}, "here", NOW_MS))
    expected = [] if ends_in_ms is None else [(held, NOW_MS + ends_in_ms, "here")]
    assert beats == expected


def test_other_locks_need_nobody_to_be_connected() -> None:
    locks = [lock(kind="lease", left_ms=1), lock(kind="standing", left_ms=None)]
    assert list(POLICY.beats(locks, {ADA}, "here", NOW_MS)) == []


@pytest.mark.parametrize(("kind", "node_id"), [("lease", None), ("session", "there")])
def test_no_lock_lasts_longer_because_the_clock_was_set_back(kind: str, node_id: str | None) -> None:
    held = lock(kind=kind, node_id=node_id, left_ms=30_000)
    an_hour_ms = 3_600_000
    assert list(POLICY.beats([held], (), "here", NOW_MS - an_hour_ms)) == [
        (held, NOW_MS - an_hour_ms + 30_000, node_id)
    ]
    assert list(POLICY.beats([held], (), "here", NOW_MS - 1_000)) == []


class Clock:
    """Stands still."""

    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def acquired(*locks: Lock) -> list[LockChange]:
    return [LockChange(LockEvent.ACQUIRED, each, each.holder_id) for each in locks]


def test_a_lock_covers_what_is_below_until_its_last_moment() -> None:
    clock = Clock()
    book = LockBook(clock)
    folder, file = lock("art"), lock("art/a/b", left_ms=10_000)
    book.apply(acquired(folder, file))
    assert book.holder_of(7, "art/x") == folder
    assert book.holder_of(7, "art/a/b/c") == file
    assert book.holder_of(7, "artist") is None
    assert book.holder_of(8, "art") is None
    assert book.blocks(7, "art/x", ADA) is None
    assert book.blocks(7, "art/x", BOB) == book.blocks(7, "art/x", None) == folder
    assert book.overlapping(7, "art/a") == [folder, file]
    clock.now_ms += 10_000
    assert book.holder_of(7, "art/a/b/c") == folder
    clock.now_ms += 20_000
    assert book.holder_of(7, "art/a/b/c") is None
    assert book.overlapping(7, "art") == []


def test_subscribers_hear_of_every_change_when_all_is_known() -> None:
    book = LockBook(Clock())
    heard: list[tuple[LockEvent, Lock | None]] = []

    def fail(change: LockChange) -> None:
        raise RuntimeError("a listener")

    book.subscribe(fail)
    end = book.subscribe(lambda change: heard.append((change.event, book.holder_of(7, "a"))))
    first, second = lock(left_ms=0), lock(id=2, holder_id=BOB, fence=2)
    book.apply([LockChange(LockEvent.EXPIRED, first, None), *acquired(second)])
    assert heard == [(LockEvent.EXPIRED, second), (LockEvent.ACQUIRED, second)]
    end()
    end()
    book.apply([LockChange(LockEvent.RELEASED, first, ADA)])  # of one that is not there any more
    assert book.holder_of(7, "a") == second
    assert len(heard) == 2


def test_what_other_servers_have_done_is_told_too() -> None:
    clock = Clock()
    book = LockBook(clock)
    kept, renewed, given, gone, over = (
        lock(name, id=number, left_ms=left_ms)
        for number, (name, left_ms) in enumerate([("a", 9), ("b", 9), ("c", 9), ("d", 9), ("e", 1)])
    )
    book.apply(acquired(kept, renewed, given, gone, over))
    heard: list[LockChange] = []
    book.subscribe(heard.append)
    clock.now_ms += 1
    now = [
        kept,
        lock("b", id=1, left_ms=99),
        lock("c", id=2, holder_id=BOB, fence=5),
        lock("d", id=9, holder_id=BOB, fence=6),
    ]
    book.refresh(now)
    assert {(change.event, change.lock.path) for change in heard} == {
        (LockEvent.RENEWED, "b"),
        (LockEvent.TRANSFERRED, "c"),
        (LockEvent.RELEASED, "d"),
        (LockEvent.ACQUIRED, "d"),
        (LockEvent.EXPIRED, "e"),
    }
    assert sorted(book, key=lambda each: each.path) == now
    heard.clear()
    book.refresh(now)
    assert heard == []
