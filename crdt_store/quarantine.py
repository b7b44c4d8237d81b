"""Updates that are no longer read, in SQL: their bytes are kept, with what is wrong with them."""

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from crdt_store.ends import with_true_end
from crdt_store.places import Place, find, in_chunks, lock_one
from crdt_store.row_codec import DAMAGE, decode_updates
from crdt_store.tables import documents, history, quarantine, updates
from crdt_store.texts import storable_error
from crdt_store.update_log import WHOLE_ROW, Quarantined, StoredRow, Update

Gone = Mapping[int, Collection[int]]
"""seq -> the positions in its row that are no longer read."""

_NOTHING: Collection[int] = ()

_ACTIVE = select(quarantine.c.seq, quarantine.c.position).where(
    quarantine.c.document_id == bindparam("document"),
    quarantine.c.seq > bindparam("after"),
    quarantine.c.seq <= bindparam("through"),
    quarantine.c.active.is_(True),
)


def active_entries(connection: Connection, place: Place, after: int, through: int) -> Gone:
    """All that the rows of this span still hold."""
    gone: dict[int, set[int]] = {}
    if place.quarantined and after < through:
        span = {"document": place.id, "after": after, "through": through}
        for seq, position in connection.execute(_ACTIVE, span):
            gone.setdefault(seq, set()).add(position)
    return gone


def is_gone(gone: Gone, seq: int) -> bool:
    """Whether the row is put aside as a whole: itself, or all that is missing up to it."""
    return WHOLE_ROW in gone.get(seq, _NOTHING)


def without_quarantined(stored: StoredRow, gone: Gone) -> StoredRow | None:
    """The row without the updates that are put aside; None if nothing is left."""
    if stored.seq not in gone:
        return stored
    row = stored.row
    positions = tuple(index for index in range(len(row.updates)) if index not in gone[stored.seq])
    if not positions:
        return None
    kept = tuple(row.updates[index] for index in positions)
    seqs = None if stored.packed_seqs is None else tuple(stored.packed_seqs[index] for index in positions)
    return StoredRow(stored.seq, replace(row, updates=kept), positions, seqs)


def put_aside(
    connection: Connection,
    document: str,
    entries: Sequence[tuple[int, int, str]],
    found_at_ms: int,
    *,
    epoch: int,
    compacted_seq: int,
) -> bool:
    """Keep each (seq, position, error) that is not there yet, with as much of the bytes as can be read."""
    found = lock_one(connection, document)
    if found is None or (found.epoch, found.compacted_seq) != (epoch, compacted_seq):
        return False
    place = with_true_end(connection, found)
    wanted = {
        (seq, position): error for seq, position, error in entries if place.base_seq < seq <= place.last_seq
    }
    seqs = sorted({seq for seq, _ in wanted})
    gone = active_entries(connection, place, seqs[0] - 1, seqs[-1]) if seqs else {}
    payloads = _payloads(connection, place, seqs)
    new = [
        {
            "document_id": place.id,
            "seq": seq,
            "position": position,
            "error": storable_error(error),
            "data": payload.part(position),
            "found_at_ms": found_at_ms,
            "active": True,
        }
        for (seq, position), error in wanted.items()
        if position not in gone.get(seq, _NOTHING) and (payload := payloads.get(seq, _MISSING)).has(position)
    ]
    if new:
        connection.execute(insert(quarantine), new)
        _count(connection, place, place.quarantined + len(new))
    return True


def remaining_positions(connection: Connection, place: Place, gone: Gone) -> dict[int, tuple[int, ...]]:
    """Which updates these rows of the hot log still have; none, if a row cannot be read."""
    seqs = [seq for seq in sorted(gone) if not is_gone(gone, seq)]
    payloads = _payloads(connection, place, seqs)
    return {
        seq: tuple(index for index in range(len(payload.updates)) if index not in gone[seq])
        for seq, payload in payloads.items()
    }


def deactivate(connection: Connection, place: Place, after: int, through: int) -> None:
    """The rows in this span have been written anew, without what was put aside."""
    table = quarantine.c
    span = table.document_id == place.id, table.seq > after, table.seq <= through
    connection.execute(update(quarantine).where(*span).values(active=False))
    active = table.document_id == place.id, table.active.is_(True)
    _count(connection, place, connection.scalar(select(func.count()).where(*active)) or 0)


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


def _count(connection: Connection, place: Place, entries: int) -> None:
    """The end too: if it was damaged, what is appended must come after what is put aside."""
    fields = {"quarantined": entries, "last_seq": place.last_seq}
    connection.execute(update(documents).where(documents.c.id == place.id).values(fields))


class _Payload(NamedTuple):
    """What a row holds, as far as it can be read."""

    data: bytes = b""
    updates: Sequence[Update] = ()

    def has(self, position: int) -> bool:
        """Whether this can be put aside: of a row that cannot be read, or is missing, only the whole."""
        return position == WHOLE_ROW or 0 <= position < len(self.updates)

    def part(self, position: int) -> bytes:
        """The update's own bytes; all there is for WHOLE_ROW."""
        return self.data if position == WHOLE_ROW else self.updates[position].data


_MISSING = _Payload()


def _payloads(connection: Connection, place: Place, seqs: Sequence[int]) -> dict[int, _Payload]:
    """Those of the rows that there are, from the history and the hot log."""
    found: dict[int, _Payload] = {}
    packed = [seq for seq in seqs if seq <= place.compacted_seq]
    for column, payload, chosen in (
        (history.c.last_seq, history.c.payload, packed),
        (updates.c.seq, updates.c.payload, seqs[len(packed) :]),
    ):
        for chunk in in_chunks(chosen):
            query = select(column, payload).where(column.table.c.document_id == place.id, column.in_(chunk))
            for seq, data in connection.execute(query):
                found[seq] = _unpacked(data, is_compressed=chosen is packed)
    return found


def _unpacked(payload: object, *, is_compressed: bool) -> _Payload:
    if not isinstance(payload, bytes):
        return _MISSING
    try:
        data = zlib.decompress(payload) if is_compressed else payload
        return _Payload(data, decode_updates(data))
    except (*DAMAGE, zlib.error):
        return _Payload(payload)
