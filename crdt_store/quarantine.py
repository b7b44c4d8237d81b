"""Updates that are no longer read, in SQL: their bytes are kept, with what is wrong with them."""

import zlib
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from crdt_store.places import Place, find, lock_one
from crdt_store.row_codec import DAMAGE, decode_updates
from crdt_store.tables import documents, history, quarantine, updates
from crdt_store.update_log import WHOLE_ROW, Quarantined, Row, StoredRow, Update

_MAX_ERROR_CHARACTERS = 500

_ACTIVE = select(quarantine.c.seq, quarantine.c.position).where(
    quarantine.c.document_id == bindparam("document"),
    quarantine.c.seq > bindparam("after"),
    quarantine.c.active.is_(True),
)


def active_entries(connection: Connection, document_id: int, after: int) -> set[tuple[int, int]]:
    """(seq, position) of all that the rows after `after` still hold."""
    found = connection.execute(_ACTIVE, {"document": document_id, "after": after})
    return {(seq, position) for seq, position in found}


def without_quarantined(stored: StoredRow, entries: Iterable[tuple[int, int]]) -> StoredRow | None:
    """The row without the updates that are put aside; None if nothing is left."""
    gone = {position for seq, position in entries if seq == stored.seq}
    if not gone:
        return stored
    row = stored.row
    positions = tuple(index for index in range(len(row.updates)) if index not in gone)
    if not positions:
        return None
    kept = tuple(row.updates[index] for index in positions)
    return StoredRow(stored.seq, Row(row.document, row.author_id, row.client_ids, kept, row.epoch), positions)


def put_aside(
    connection: Connection, document: str, entries: Sequence[tuple[int, int, str]], found_at_ms: int
) -> None:
    """Keep each (seq, position, error) that is not there yet, with as much of the bytes as can be read."""
    place = lock_one(connection, document)
    if place is None or not entries:
        return
    known = active_entries(connection, place.id, min(seq for seq, _, _ in entries) - 1)
    new = {(seq, position): error for seq, position, error in entries if (seq, position) not in known}
    if not new:
        return
    payloads = {seq: _payload(connection, place, seq) for seq in {seq for seq, _ in new}}
    connection.execute(
        insert(quarantine),
        [
            {
                "document_id": place.id,
                "seq": seq,
                "position": position,
                "error": error[:_MAX_ERROR_CHARACTERS],
                "data": payloads[seq].part(position),
                "found_at_ms": found_at_ms,
                "active": True,
            }
            for (seq, position), error in new.items()
        ],
    )
    _count(connection, place.id, place.quarantined + len(new))


def remaining_positions(
    connection: Connection, document_id: int, seq: int, gone: Collection[int]
) -> tuple[int, ...]:
    """Which updates a row of the hot log still has; none, if it cannot be read."""
    if WHOLE_ROW in gone:
        return ()
    row = updates.c
    payload = connection.scalar(select(row.payload).where(row.document_id == document_id, row.seq == seq))
    try:
        count = len(decode_updates(payload or b""))
    except DAMAGE:
        return ()
    return tuple(position for position in range(count) if position not in gone)


def unexplained(connection: Connection, document_id: int, first: int, last: int) -> int | None:
    """The last seq of a hole in the history that nothing in quarantine explains.

    Rows that were put aside before they were compacted have their entries. A record that was found to be missing
    has an active one, which stands for all the rows that it was packed of.
    """
    table = quarantine.c
    query = select(table.seq, table.position, table.active)
    query = query.where(table.document_id == document_id, table.seq >= first, table.seq <= last)
    known: dict[int, bool] = {}
    for seq, position, active in connection.execute(query):
        known[seq] = known.get(seq, False) or (active and position == WHOLE_ROW)
    for seq in range(last, first - 1, -1):
        if seq not in known:
            return seq
        if known[seq]:
            break
    return None


def deactivate(connection: Connection, document_id: int, after: int, through: int) -> None:
    """The rows in this span have been written anew, without what was put aside."""
    connection.execute(
        update(quarantine)
        .where(quarantine.c.document_id == document_id, quarantine.c.seq > after, quarantine.c.seq <= through)
        .values(active=False)
    )
    _count(connection, document_id, len(active_entries(connection, document_id, 0)))


def list_quarantined(connection: Connection, document: str) -> list[Quarantined]:
    """All entries of the document, in the order of its rows."""
    place = find(connection, document)
    if place is None:
        return []
    table = quarantine.c
    query = select(table.seq, table.position, table.error, table.data, table.found_at_ms)
    entries = connection.execute(
        query.where(table.document_id == place.id).order_by(table.seq, table.position, table.id)
    )
    return [Quarantined(*entry) for entry in entries]


def _count(connection: Connection, document_id: int, entries: int) -> None:
    connection.execute(update(documents).where(documents.c.id == document_id).values(quarantined=entries))


class _Payload(NamedTuple):
    """What a row holds, as far as it can be read."""

    data: bytes = b""
    updates: Sequence[Update] = ()

    def part(self, position: int) -> bytes:
        """The update's own bytes; all there is for WHOLE_ROW, and of a row that cannot be read."""
        if 0 <= position < len(self.updates):
            return self.updates[position].data
        return self.data


def _payload(connection: Connection, place: Place, seq: int) -> _Payload:
    compacted = seq <= place.compacted_seq
    table, seq_column = (history, history.c.last_seq) if compacted else (updates, updates.c.seq)
    payload = connection.scalar(
        select(table.c.payload).where(table.c.document_id == place.id, seq_column == seq)
    )
    if not isinstance(payload, bytes):
        return _Payload()
    try:
        if compacted:
            payload = zlib.decompress(payload)
        return _Payload(payload, decode_updates(payload))
    except (*DAMAGE, zlib.error):
        return _Payload(payload)
