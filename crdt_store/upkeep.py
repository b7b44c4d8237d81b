"""What nobody needs any more: rows that are spent, and the room that they took."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, select

from crdt_store.tables import (
    conflicts,
    documents,
    jobs,
    notifications,
    quarantine,
    revocations,
    stale_updates,
    tickets,
)
from crdt_store.update_log import LogUnavailable

_BUSY_TIMEOUT_SECONDS = 1


def count_spent(connection: Connection, now_ms: int, before_ms: int | None) -> dict[str, int]:
    """How many rows of each kind `remove_spent` would remove."""
    spent = _spent(now_ms, before_ms)
    return {
        kind: connection.scalar(select(func.count()).select_from(table).where(is_spent)) or 0
        for kind, (table, is_spent) in spent.items()
    }


def remove_spent(connection: Connection, now_ms: int, before_ms: int | None) -> dict[str, int]:
    """Remove what has expired; with `before_ms`, also what is from before and somebody may have looked at.

    How many rows of each kind there were.
    """
    spent = _spent(now_ms, before_ms)
    return {
        kind: connection.execute(delete(table).where(is_spent)).rowcount
        for kind, (table, is_spent) in spent.items()
    }


def _spent(now_ms: int, before_ms: int | None) -> dict[str, tuple[Table, ColumnElement[bool]]]:
    known = select(documents.c.name).where(documents.c.deleted.is_(False))
    spent: dict[str, tuple[Table, ColumnElement[bool]]] = {
        "expired tickets": (tickets, tickets.c.expires_at_ms <= now_ms),
        "expired revocations": (revocations, revocations.c.expires_at_ms <= now_ms),
        "conflicts of deleted documents": (conflicts, conflicts.c.document.not_in(known)),
    }
    if before_ms is not None:
        entry, job, told = quarantine.c, jobs.c, notifications.c
        spent |= {
            # One that is active keeps its row from being read.
            "old entries of quarantine": (
                quarantine,
                and_(entry.active.is_(False), entry.found_at_ms < before_ms),
            ),
            "old stale updates": (stale_updates, stale_updates.c.received_at_ms < before_ms),
            "old dead jobs": (jobs, and_(job.dead.is_(True), job.due_at_ms < before_ms)),
            "old archived notifications": (
                notifications,
                and_(told.archived.is_(True), told.created_at_ms < before_ms),
            ),
        }
    return spent


def shrink(path: Path) -> tuple[int, int]:
    """Write an SQLite file anew, without the room of what was removed; its bytes before and after. Blocks.

    Raises LogUnavailable, also while somebody else uses it.
    """
    try:
        before_bytes = path.stat().st_size
        uri = f"file:{quote(str(path))}?mode=rw"
        connecting = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_SECONDS)
        with closing(connecting) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before_bytes, path.stat().st_size
    except (sqlite3.Error, OSError) as error:
        raise LogUnavailable(f"{path}: {error}") from error
