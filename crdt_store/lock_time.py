"""What time does to locks, and servers that know whether a session goes on: as in `lock_changes`."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, select, update

from crdt_store.lock_queries import LockFilter, hold, is_live, read_locks, remove, tell_waiting
from crdt_store.lock_rows import Beat, LockChange, LockEvent
from crdt_store.tables import locks


def end_expired(connection: Connection, now_ms: int) -> list[LockChange]:
    changes = []
    for workspace_id in _workspaces(connection, now_ms):
        hold(connection, workspace_id)
        for lock in read_locks(connection, LockFilter(workspace_id)):
            if not lock.is_live(now_ms):
                remove(connection, lock)
                tell_waiting(connection, workspace_id, lock.path, None, now_ms)
                changes.append(LockChange(LockEvent.EXPIRED, lock, None))
    return changes


def _workspaces(connection: Connection, now_ms: int) -> list[int]:
    query = select(locks.c.workspace_id).distinct().where(locks.c.expires_at_ms <= now_ms)
    return list(connection.scalars(query.order_by(locks.c.workspace_id)))


def beat(connection: Connection, beats: Sequence[Beat], now_ms: int) -> list[LockChange]:
    changes = []
    for workspace_id in sorted({each.lock.workspace_id for each in beats}):
        hold(connection, workspace_id)
    for lock, expires_at_ms, node_id in beats:
        is_it = locks.c.id == lock.id, locks.c.fence == lock.fence, is_live(now_ms)
        values = {"expires_at_ms": expires_at_ms, "node_id": node_id}
        if connection.execute(update(locks).where(*is_it).values(values)).rowcount:
            renewed = replace(lock, expires_at_ms=expires_at_ms, node_id=node_id)
            changes.append(LockChange(LockEvent.RENEWED, renewed, None))
    return changes


def resume(connection: Connection, node_id: str, expires_at_ms: int) -> None:
    is_of_node = locks.c.node_id == node_id
    query = select(locks.c.workspace_id).distinct().where(is_of_node).order_by(locks.c.workspace_id)
    for workspace_id in connection.scalars(query).all():
        hold(connection, workspace_id)
    connection.execute(update(locks).where(is_of_node).values(expires_at_ms=expires_at_ms))
