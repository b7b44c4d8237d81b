"""What was done to locks by others than their holders, and what holders gave away: as it was written down."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from crdt_store.lock_queries import overlaps
from crdt_store.message_rows import bounded
from crdt_store.tables import lock_audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`action`: a `LockEvent`. `holder_id` had the lock, and `new_holder_id` got it, if anybody did."""

    id: int
    workspace_id: int
    path: str
    lock_id: int
    action: str
    holder_id: int
    actor_id: int
    new_holder_id: int | None
    reason: str
    at_ms: int


_FIELDS = [lock_audit.c[name] for name in AuditEntry.__dataclass_fields__]


def read_audit(
    connection: Connection, workspace_id: int, path: str | None, before: int | None, limit: int
) -> list[AuditEntry]:
    """Newest first, those with an id below `before`. `path`: on it, above it and below it."""
    query = select(*_FIELDS).where(
        lock_audit.c.workspace_id == workspace_id, lock_audit.c.id < bounded(before)
    )
    if path is not None:
        query = query.where(overlaps(lock_audit.c.path, path))
    return [
        AuditEntry(*row) for row in connection.execute(query.order_by(lock_audit.c.id.desc()).limit(limit))
    ]
