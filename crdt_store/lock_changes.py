"""What changes locks: plain functions, each the body of a transaction of `crdt_store.locks`.

Whoever changes the locks of a workspace first locks its row of `lock_fences` (`hold`), so that they do it one after
the other.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, insert, select, update

from crdt_store.lock_queries import (
    LockFilter,
    count_of_user,
    held_by_id,
    hold,
    next_fence,
    read_locks,
    remove,
    room_of,
    stop_waiting,
    tell_waiting,
    waiting_for,
)
from crdt_store.lock_rows import (
    Lock,
    LockChange,
    LockEvent,
    LockTaken,
    NoSuchLock,
    NotHolder,
    TooManyLocks,
    WantedLock,
)
from crdt_store.message_rows import storable
from crdt_store.notifications_jobs import enqueue_lock_taken
from crdt_store.tables import lock_audit, lock_waits, locks
from crdt_store.users import require_users


def acquire(
    connection: Connection, wanted: WantedLock, now_ms: int, wait: bool, max_per_user: int
) -> list[LockChange] | LockTaken:
    hold(connection, wanted.workspace_id)
    near = read_locks(connection, LockFilter(wanted.workspace_id, overlapping=wanted.path))
    in_the_way = [lock for lock in near if lock.is_live(now_ms) and _refuses(lock, wanted)]
    if in_the_way:
        taken = in_the_way[0]
        if wait and taken.holder_id != wanted.holder_id:
            _wait(connection, wanted, now_ms, max_per_user)
        return LockTaken(taken, waiting_for(connection, wanted.workspace_id, taken.path))
    expired = _clear(connection, near, now_ms)
    stop_waiting(connection, wanted.workspace_id, wanted.path, wanted.holder_id)
    _check_number(connection, wanted.holder_id, max_per_user)
    fence = next_fence(connection, wanted.workspace_id)
    row = wanted._asdict() | {"fence": fence, "acquired_at_ms": now_ms}
    made: int = connection.execute(insert(locks).returning(locks.c.id), row).scalar_one()
    _tell_of(connection, expired, now_ms)
    [lock] = read_locks(connection, LockFilter(lock_id=made))
    return [*expired, LockChange(LockEvent.ACQUIRED, lock, wanted.holder_id)]


def _clear(connection: Connection, near: Sequence[Lock], now_ms: int) -> list[LockChange]:
    """Of these locks, those that have expired are gone: no server may bring them to life again beside a new one."""
    expired = [lock for lock in near if not lock.is_live(now_ms)]
    for lock in expired:
        remove(connection, lock)
    return [LockChange(LockEvent.EXPIRED, lock, None) for lock in expired]


def _tell_of(connection: Connection, expired: Sequence[LockChange], now_ms: int) -> None:
    """Once what comes after them is there: some wait for what that is not in the way of."""
    for _, lock, *_ in expired:
        tell_waiting(connection, lock.workspace_id, lock.path, None, now_ms)


def _refuses(lock: Lock, wanted: WantedLock) -> bool:
    return lock.holder_id != wanted.holder_id or lock.path == wanted.path


def _wait(connection: Connection, wanted: WantedLock, now_ms: int, max_per_user: int) -> None:
    row = {"workspace_id": wanted.workspace_id, "path": wanted.path, "user_id": wanted.holder_id}
    is_there = select(lock_waits.c.id).where(*(lock_waits.c[name] == value for name, value in row.items()))
    if connection.scalar(is_there) is None:
        _check_number(connection, wanted.holder_id, max_per_user)
        connection.execute(insert(lock_waits), row | {"since_ms": now_ms})


def _check_number(connection: Connection, user_id: int, max_per_user: int) -> None:
    if count_of_user(connection, user_id) >= max_per_user:
        raise TooManyLocks(f"more than {max_per_user} locks held and waited for")


def _live(connection: Connection, lock_id: int, now_ms: int) -> Lock:
    lock = held_by_id(connection, lock_id)
    if lock is None or not lock.is_live(now_ms):
        raise NoSuchLock(f"there is no lock {lock_id}")
    return lock


def _own(connection: Connection, lock_id: int, holder_id: int, now_ms: int) -> Lock:
    lock = _live(connection, lock_id, now_ms)
    if lock.holder_id != holder_id:
        raise NotHolder(f"the lock {lock_id} is somebody else's")
    return lock


def renew(
    connection: Connection, lock_id: int, holder_id: int, ttl_ms: int | None, now_ms: int, node_id: str | None
) -> LockChange:
    lock = _own(connection, lock_id, holder_id, now_ms)
    expires_at_ms = None if ttl_ms is None else now_ms + ttl_ms
    renewed = replace(lock, ttl_ms=ttl_ms, expires_at_ms=expires_at_ms, node_id=node_id)
    _save(connection, renewed)
    return LockChange(LockEvent.RENEWED, renewed, holder_id)


def release(connection: Connection, lock_id: int, holder_id: int, now_ms: int) -> LockChange:
    lock = _own(connection, lock_id, holder_id, now_ms)
    remove(connection, lock)
    tell_waiting(connection, lock.workspace_id, lock.path, holder_id, now_ms)
    return LockChange(LockEvent.RELEASED, lock, holder_id)


def force(connection: Connection, lock_id: int, actor_id: int, reason: str, now_ms: int) -> LockChange:
    lock = _live(connection, lock_id, now_ms)
    remove(connection, lock)
    _note(connection, lock, LockEvent.FORCED, actor_id, None, reason, now_ms)
    tell_waiting(connection, lock.workspace_id, lock.path, actor_id, now_ms)
    return LockChange(LockEvent.FORCED, lock, actor_id)


def transfer(
    connection: Connection,
    lock_id: int,
    to_user_id: int,
    actor_id: int,
    now_ms: int,
    is_admin: bool,
    max_per_user: int,
) -> list[LockChange]:
    require_users(connection, to_user_id)
    lock = _live(connection, lock_id, now_ms)
    if lock.holder_id != actor_id and not is_admin:
        raise NotHolder(f"the lock {lock_id} is somebody else's")
    near = read_locks(connection, LockFilter(lock.workspace_id, overlapping=lock.path))
    for other in near:
        if other.id != lock.id and other.is_live(now_ms) and other.holder_id != to_user_id:
            raise LockTaken(other, waiting_for(connection, lock.workspace_id, other.path))
    expires_at_ms = None if lock.ttl_ms is None else now_ms + lock.ttl_ms
    expired = _clear(connection, near, now_ms)
    if to_user_id != lock.holder_id:
        _check_number(connection, to_user_id, max_per_user)
    fence = next_fence(connection, lock.workspace_id)
    given = replace(
        lock, holder_id=to_user_id, fence=fence, acquired_at_ms=now_ms, expires_at_ms=expires_at_ms
    )
    _save(connection, given)
    stop_waiting(connection, lock.workspace_id, lock.path, to_user_id)
    _tell_of(connection, expired, now_ms)
    _note(connection, lock, LockEvent.TRANSFERRED, actor_id, to_user_id, "", now_ms)
    [given] = read_locks(connection, LockFilter(lock_id=lock.id))  # with the name of its new holder
    return [*expired, LockChange(LockEvent.TRANSFERRED, given, actor_id, lock)]


def _save(connection: Connection, lock: Lock) -> None:
    names = ("holder_id", "fence", "ttl_ms", "acquired_at_ms", "expires_at_ms", "node_id")
    values = {name: getattr(lock, name) for name in names}
    connection.execute(update(locks).where(locks.c.id == lock.id).values(values))


def _note(
    connection: Connection,
    lock: Lock,
    action: LockEvent,
    actor_id: int,
    new_holder_id: int | None,
    reason: str,
    now_ms: int,
) -> None:
    """Write down who took it from its holder, and tell whoever that was."""
    row = {name: getattr(lock, name) for name in ("workspace_id", "path", "holder_id")}
    row |= {"lock_id": lock.id, "action": str(action), "actor_id": actor_id, "at_ms": now_ms}
    row |= {"new_holder_id": new_holder_id, "reason": storable(reason)}
    connection.execute(insert(lock_audit), row)
    room = room_of(lock.workspace_id, lock.path)
    enqueue_lock_taken(connection, room, lock.path, lock.holder_id, actor_id, now_ms)
