"""Thinning: what is old in the history keeps the moments at which its steps end, and those that have a name.

Within each record the updates of one step become one, which says all that they said, at the last one's place. So
nothing is lost but when exactly within a step it was written. What merging is, the store does not know.
"""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select, update

from crdt_store.database import Database
from crdt_store.history import checked_row, repacked
from crdt_store.places import Place, find, lock_one
from crdt_store.quarantine import active_entries
from crdt_store.tables import document_versions, documents, history
from crdt_store.update_log import DocumentDamaged, Update

_BATCH_RECORDS = 100

logger = logging.getLogger(__name__)

Merge = Callable[[Sequence[bytes]], bytes]
"""One update that says what these say, in their order. Called in a thread. Raises ValueError."""


class Policy(NamedTuple):
    """What is older than `full_ms` is thinned to steps of `step_ms`, counted from 1970."""

    full_ms: int
    step_ms: int


class Thinned(NamedTuple):
    """So many records are smaller than they were, by so much."""

    records: int = 0
    saved_bytes: int = 0


class _Found(NamedTuple):
    """A record of the history, and the seqs of its document's named versions."""

    document: str
    record: RowMapping
    versions: Sequence[int]


async def thin(database: Database, merge: Merge, policy: Policy, now_ms: int) -> Thinned:
    """Thin all that is old enough, one record at a time. Cut off, it goes on where it was. Raises LogUnavailable."""
    records = saved_bytes = after = 0
    while ids := await database.read(partial(_due, before_ms=now_ms - policy.full_ms, after=after)):
        for record_id in ids:
            saved = await _thin(database, merge, policy.step_ms, record_id, now_ms)
            records += saved > 0
            saved_bytes += saved
        after = ids[-1]
    return Thinned(records, saved_bytes)


def count_due(connection: Connection, before_ms: int) -> int:
    """How many records are old enough, and have not been looked at."""
    return connection.scalar(select(func.count()).select_from(history).where(_is_due(before_ms))) or 0


def steps(
    updates: Sequence[Update], seqs: Sequence[int], versions: Sequence[int], step_ms: int
) -> list[list[Update]]:
    """The updates of each step, in order; `versions`, ascending, are seqs at which one ends."""
    keys = [
        (each.received_at_ms // step_ms, bisect_left(versions, seq))
        for each, seq in zip(updates, seqs, strict=True)
    ]
    return [
        [each for _, each in group]
        for _, group in groupby(zip(keys, updates, strict=True), key=lambda pair: pair[0])
    ]


def _is_due(before_ms: int) -> ColumnElement[bool]:
    return and_(history.c.thinned_at_ms.is_(None), history.c.last_received_at_ms < before_ms)


def _due(connection: Connection, before_ms: int, after: int) -> list[int]:
    query = select(history.c.id).where(_is_due(before_ms), history.c.id > after)
    return list(connection.scalars(query.order_by(history.c.id).limit(_BATCH_RECORDS)))


async def _thin(database: Database, merge: Merge, step_ms: int, record_id: int, now_ms: int) -> int:
    """How many bytes smaller the record is now; 0 also for one that has to stay as it is."""
    found = await database.read(partial(_find, record_id=record_id))
    if found is None:
        return 0
    try:
        columns = await asyncio.to_thread(_thinned, found, merge, step_ms)
    except DocumentDamaged as error:
        logger.warning("not thinned: %s", error)
        return 0
    except ValueError as error:
        logger.warning("%r: row %d is not thinned: %s", found.document, found.record["last_seq"], error)
        return 0
    saved_bytes = len(found.record["payload"]) - len(columns["payload"]) if columns else 0
    body = partial(_replace, found=found, columns={**columns, "thinned_at_ms": now_ms})
    return saved_bytes if await database.write(body) else 0


def _find(connection: Connection, record_id: int) -> _Found | None:
    query = select(history, documents.c.name).join(documents).where(history.c.id == record_id)
    record = connection.execute(query).mappings().first()
    place = None if record is None else find(connection, record["name"])
    if record is None or place is None or _has_quarantined(connection, place, record):
        return None
    return _Found(record["name"], record, _versions(connection, record["name"], record))


def _has_quarantined(connection: Connection, place: Place, record: RowMapping) -> bool:
    """Whether quarantine knows updates of the record by their numbers."""
    return bool(active_entries(connection, place, record["first_seq"] - 1, record["last_seq"]))


def _versions(connection: Connection, document: str, record: RowMapping) -> Sequence[int]:
    table = document_versions.c
    query = select(table.seq).distinct().where(table.document == document, table.epoch == record["epoch"])
    within = table.seq.between(record["first_seq"], record["last_seq"])
    return connection.scalars(query.where(within).order_by(table.seq)).all()


def _thinned(found: _Found, merge: Merge, step_ms: int) -> dict[str, Any]:
    """The columns that are other ones; none, if no step has two updates. Raises DocumentDamaged, ValueError."""
    stored = checked_row(found.document, found.record)
    if stored is None:
        return {}
    of_steps = steps(stored.row.updates, stored.seqs, found.versions, step_ms)
    if len(of_steps) == len(stored.row.updates):
        return {}
    ends = accumulate(len(some) for some in of_steps)
    seqs = tuple(stored.seqs[end - 1] for end in ends)
    row = replace(stored.row, updates=tuple(_merged(some, merge) for some in of_steps))
    return repacked(found.document, found.record, replace(stored, row=row, packed_seqs=seqs))


def _merged(some: Sequence[Update], merge: Merge) -> Update:
    """Where the clock went back, the latest time: at no time is there more than there was."""
    data = some[0].data if len(some) == 1 else merge([each.data for each in some])
    return Update(data, max(each.received_at_ms for each in some))


def _replace(connection: Connection, found: _Found, columns: dict[str, Any]) -> bool:
    """False, and nothing done, if it is another record by now, has another version, or an update in quarantine."""
    record = found.record
    place = lock_one(connection, found.document)
    if place is None or _has_quarantined(connection, place, record):
        return False
    if _versions(connection, found.document, record) != found.versions:
        return False
    same = history.c.id == record["id"], history.c.checksum == record["checksum"]
    return connection.execute(update(history).where(*same).values(columns)).rowcount > 0
