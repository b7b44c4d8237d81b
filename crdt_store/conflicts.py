"""Conflicts: where two changes of a file touched the same lines, until somebody has looked at them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from crdt_store.database import Database
from crdt_store.effects import Effect
from crdt_store.notifications_jobs import enqueue_conflict
from crdt_store.tables import conflicts

Id = tuple[int, int]
MAX_LISTED = 200
_TEXTS = "base", "yours", "theirs", "merged"


class NewConflict(NamedTuple):
    """`after`, `before`: the characters around the place; None: the file's beginning, its end."""

    after: Id | None
    before: Id | None
    base: str
    yours: str
    theirs: str
    merged: str


class Change(NamedTuple):
    """The later one of two changes: `author_id` wrote `yours`; `others` wrote `theirs` meanwhile."""

    document: str
    epoch: int
    write_id: int
    path: str
    author_id: int
    others: Sequence[int]


@dataclass(frozen=True, slots=True)
class StoredConflict:
    """`resolution`: None while nobody has resolved it."""

    id: int
    change: Change
    new: NewConflict
    created_at_ms: int
    resolution: str | None
    resolved_by: int | None
    resolved_at_ms: int | None


class Conflicts:
    """Those of a database. All raise LogUnavailable; ids may be any that a client sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, effect: Effect) -> None:
        """Store what comes of `add_conflicts`."""
        await self._database.write(effect.store)
        effect.committed()

    async def list(
        self, document: str, *, is_open: bool = True, before: int | None = None, limit: int = MAX_LISTED
    ) -> Sequence[StoredConflict]:
        """Of a document, newest first, those with an id below `before`. `is_open`: only what nobody has resolved."""
        return await self._database.read(
            partial(_list, document=document, is_open=is_open, before=before, limit=limit)
        )

    async def get(self, document: str, conflict_id: int) -> StoredConflict | None:
        """One of them."""
        return await self._database.read(partial(_get, document=document, conflict_id=conflict_id))

    async def resolve(self, conflict_id: int, resolution: str, user_id: int, now_ms: int) -> bool:
        """False if somebody has resolved it before."""
        return await self._database.write(
            partial(_resolve, conflict_id=conflict_id, resolution=resolution, user_id=user_id, now_ms=now_ms)
        )


def add_conflicts(
    connection: Connection, change: Change, found: Sequence[NewConflict], now_ms: int, max_characters: int
) -> tuple[list[int | None], bool]:
    """Keep what was found of one change, once, and have both sides notified; the ids, and whether any is new.

    A document's conflicts have no more texts than `max_characters`: the resolved ones make room, and then what does
    not fit has no id.
    """
    ids = _ids(connection, change, len(found)) if found else []
    if any(ids) or not found:
        return ids, False
    free = _free_characters(connection, change.document, max_characters, sum(map(_size, found)))
    common = {**change._asdict(), "others": json.dumps(list(change.others)), "created_at_ms": now_ms}
    records = []
    for number, new in enumerate(found):
        if _size(new) <= free:
            free -= _size(new)
            records.append({**common, "number": number, **_record(new)})
    if records:
        connection.execute(insert(conflicts), records)
        authors = {*change.others, change.author_id}
        enqueue_conflict(connection, change.document, change.path, authors, change.author_id, now_ms)
    return _ids(connection, change, len(found)), bool(records)


def _ids(connection: Connection, change: Change, count: int) -> list[int | None]:
    """By number; None: it was not kept."""
    names = "document", "epoch", "write_id"
    is_of_change = (conflicts.c[name] == getattr(change, name) for name in names)
    query = select(conflicts.c.number, conflicts.c.id).where(*is_of_change)
    by_number = {row.number: row.id for row in connection.execute(query)}
    return [by_number.get(number) for number in range(count)]


def _free_characters(connection: Connection, document: str, max_characters: int, wanted: int) -> int:
    of_document = conflicts.c.document == document
    kept = select(func.sum(sum(func.length(conflicts.c[name]) for name in _TEXTS))).where(of_document)
    free = max_characters - int(connection.scalar(kept) or 0)
    if free >= wanted:
        return free
    connection.execute(delete(conflicts).where(of_document, conflicts.c.resolution.is_not(None)))
    return max_characters - int(connection.scalar(kept) or 0)


def _size(new: NewConflict) -> int:
    return sum(len(getattr(new, name)) for name in _TEXTS)


def _record(new: NewConflict) -> dict[str, Any]:
    after, before = new.after or (None, None), new.before or (None, None)
    return {
        "after_client": after[0],
        "after_clock": after[1],
        "before_client": before[0],
        "before_clock": before[1],
        **{name: _storable(getattr(new, name)) for name in _TEXTS},
    }


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL in a text."""
    return text.replace("\0", "\ufffd")


def _list(
    connection: Connection, document: str, is_open: bool, before: int | None, limit: int
) -> list[StoredConflict]:
    query = select(conflicts).where(conflicts.c.document == document)
    if is_open:
        query = query.where(conflicts.c.resolution.is_(None))
    if before is not None:
        query = query.where(conflicts.c.id < before)
    records = connection.execute(query.order_by(conflicts.c.id.desc()).limit(min(limit, MAX_LISTED + 1)))
    return [_stored(record) for record in records.mappings()]


def _get(connection: Connection, document: str, conflict_id: int) -> StoredConflict | None:
    query = select(conflicts).where(conflicts.c.document == document, conflicts.c.id == conflict_id)
    record = connection.execute(query).mappings().one_or_none()
    return None if record is None else _stored(record)


def _resolve(connection: Connection, conflict_id: int, resolution: str, user_id: int, now_ms: int) -> bool:
    query = (
        update(conflicts)
        .where(conflicts.c.id == conflict_id, conflicts.c.resolution.is_(None))
        .values(resolution=resolution, resolved_by=user_id, resolved_at_ms=now_ms)
    )
    return connection.execute(query).rowcount > 0


def _stored(record: RowMapping) -> StoredConflict:
    change = Change(
        record["document"],
        record["epoch"],
        record["write_id"],
        record["path"],
        record["author_id"],
        json.loads(record["others"]),
    )
    new = NewConflict(
        _id(record["after_client"], record["after_clock"]),
        _id(record["before_client"], record["before_clock"]),
        record["base"],
        record["yours"],
        record["theirs"],
        record["merged"],
    )
    return StoredConflict(
        record["id"],
        change,
        new,
        record["created_at_ms"],
        record["resolution"],
        record["resolved_by"],
        record["resolved_at_ms"],
    )


def _id(client: int | None, clock: int | None) -> Id | None:
    return None if client is None or clock is None else (client, clock)
