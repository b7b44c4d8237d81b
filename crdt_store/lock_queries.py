"""Locks as the tables have them: plain functions, for the transactions of `crdt_store.locks`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    text,
)

from crdt_store.lock_rows import Lock, with_parents
from crdt_store.message_rows import bounded
from crdt_store.notifications_jobs import enqueue_lock_free
from crdt_store.tables import lock_fences, lock_waits, locks, possible_id, users

_BEGIN = text(
    "INSERT INTO lock_fences (workspace_id, last_fence) VALUES (:workspace_id, 0) ON CONFLICT DO NOTHING"
)
_LAST_FENCE = select(lock_fences.c.last_fence).where(lock_fences.c.workspace_id == bindparam("workspace_id"))
_HOLD = _LAST_FENCE.with_for_update()  # SQLite has one writer, and leaves it out
_ADVANCE = text("UPDATE lock_fences SET last_fence = last_fence + 1 WHERE workspace_id = :workspace_id")

_FIELDS: list[ColumnElement[Any]] = [
    users.c.name if name == "holder_name" else locks.c[name] for name in Lock.__dataclass_fields__
]
_LOCKS: Select[Any] = select(*_FIELDS).select_from(locks.join(users, locks.c.holder_id == users.c.id))


class LockFilter(NamedTuple):
    """Which locks are asked for. `overlapping`: those in the way of this path; `path`: just its own."""

    workspace_id: int | None = None
    path: str | None = None
    overlapping: str | None = None
    holder_id: int | None = None
    lock_id: int | None = None


def room_of(workspace_id: int, path: str) -> str:
    """The room of the file, or what it would be called."""
    return f"workspace:{workspace_id}/{path}"


def hold(connection: Connection, workspace_id: int) -> None:
    """Nobody else changes the workspace's locks before this transaction has ended.

    Of several workspaces the lowest first: so two writers never wait for each other.
    """
    parameters = {"workspace_id": workspace_id}
    connection.execute(_BEGIN, parameters)
    connection.execute(_HOLD, parameters).scalar_one()


def next_fence(connection: Connection, workspace_id: int) -> int:
    """A number that no lock of the workspace has had. The workspace is held."""
    parameters = {"workspace_id": workspace_id}
    connection.execute(_ADVANCE, parameters)
    return int(connection.execute(_LAST_FENCE, parameters).scalar_one())


def read_locks(
    connection: Connection,
    wanted: LockFilter,
    *,
    after: int = 0,
    limit: int | None = None,
    live_at_ms: int | None = None,
) -> list[Lock]:
    """By id, those with an id above `after`. `live_at_ms`: only those that hold then; None: all that are there."""
    query = _LOCKS.where(locks.c.id > bounded(after))
    if live_at_ms is not None:
        query = query.where(is_live(live_at_ms))
    if wanted.workspace_id is not None:
        query = query.where(locks.c.workspace_id == wanted.workspace_id)
    if wanted.path is not None:
        query = query.where(locks.c.path == wanted.path)
    if wanted.overlapping is not None:
        query = query.where(overlaps(locks.c.path, wanted.overlapping))
    if wanted.holder_id is not None:
        query = query.where(locks.c.holder_id == possible_id(wanted.holder_id))
    if wanted.lock_id is not None:
        query = query.where(locks.c.id == bounded(wanted.lock_id))
    return [Lock(*record) for record in connection.execute(query.order_by(locks.c.id).limit(limit))]


def is_live(now_ms: int) -> ColumnElement[bool]:
    """As `Lock.is_live`."""
    return or_(locks.c.expires_at_ms.is_(None), locks.c.expires_at_ms > now_ms)


def held_by_id(connection: Connection, lock_id: int) -> Lock | None:
    """The lock, whose workspace is held from now on; None: there is none of this id."""
    where = LockFilter(lock_id=lock_id)
    found = read_locks(connection, where)
    if not found:
        return None
    hold(connection, found[0].workspace_id)
    found = read_locks(connection, where)  # as it is now that nobody changes it
    return found[0] if found else None


def count_of_user(connection: Connection, user_id: int) -> int:
    """How many locks and waits the user has."""
    held = select(func.count()).select_from(locks).where(locks.c.holder_id == user_id)
    waits = select(func.count()).select_from(lock_waits).where(lock_waits.c.user_id == user_id)
    return int(connection.execute(select(held.scalar_subquery() + waits.scalar_subquery())).scalar_one())


def remove(connection: Connection, lock: Lock) -> None:
    """The lock is gone."""
    connection.execute(delete(locks).where(locks.c.id == lock.id))


# Who waits


def waiting_for(connection: Connection, workspace_id: int, path: str) -> list[int]:
    """The users who wait for the path, or for something above or below it; who came first comes first."""
    found = [user_id for _, _, user_id in _waits(connection, workspace_id, path)]
    return list(dict.fromkeys(found))


def waiting_for_each(connection: Connection, found: Sequence[Lock]) -> dict[int, list[int]]:
    """The same for each lock, by its id; those for which nobody waits are left out."""
    in_line = select(lock_waits.c.workspace_id).distinct()
    concerned = set(
        connection.scalars(
            in_line.where(lock_waits.c.workspace_id.in_({each.workspace_id for each in found}))
        )
    )
    lines = {
        each.id: waiting_for(connection, each.workspace_id, each.path)
        for each in found
        if each.workspace_id in concerned
    }
    return {lock_id: line for lock_id, line in lines.items() if line}


def stop_waiting(connection: Connection, workspace_id: int, path: str, user_id: int) -> None:
    """The user does not wait for this path any more."""
    row = {"workspace_id": workspace_id, "path": path, "user_id": user_id}
    connection.execute(delete(lock_waits).where(*(lock_waits.c[name] == row[name] for name in row)))


def tell_waiting(
    connection: Connection, workspace_id: int, path: str, actor_id: int | None, now_ms: int
) -> None:
    """What was locked on this path is not any more: who has waited for that is notified in turn, and waits no more.

    Not those for whom something else is still in the way.
    """
    waits = _waits(connection, workspace_id, path)
    if not waits:
        return
    left = [lock for lock in read_locks(connection, LockFilter(workspace_id)) if lock.is_live(now_ms)]
    told = []
    for wait_id, wanted, user_id in waits:
        if not any(lock.holder_id != user_id and lock.overlaps(wanted) for lock in left):
            room = room_of(workspace_id, wanted)
            enqueue_lock_free(connection, room, wanted, [user_id], actor_id, now_ms)
            told.append(wait_id)
    for wait_id in told:
        connection.execute(delete(lock_waits).where(lock_waits.c.id == wait_id))


def _waits(connection: Connection, workspace_id: int, path: str) -> list[tuple[int, str, int]]:
    query = select(lock_waits.c.id, lock_waits.c.path, lock_waits.c.user_id).where(
        lock_waits.c.workspace_id == workspace_id, overlaps(lock_waits.c.path, path)
    )
    return [tuple(record) for record in connection.execute(query.order_by(lock_waits.c.id))]


def overlaps(column: Column[str], path: str) -> ColumnElement[bool]:
    """As `Lock.overlaps`, of a column; what is below a path is between `path/` and what comes after `/`."""
    below = and_(column > path + "/", column < path + chr(ord("/") + 1))
    return or_(column.in_(list(with_parents(path))), below)
