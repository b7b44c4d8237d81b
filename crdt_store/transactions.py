"""What appending, reading and listing do inside their transaction, in SQL that every database understands."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, false, func, insert, select, update

from crdt_store.history import read_history
from crdt_store.places import Place, find, lock
from crdt_store.prepared import Prepared
from crdt_store.quarantine import active_entries, without_quarantined
from crdt_store.row_codec import (
    DAMAGE,
    decode_client_ids,
    decode_updates,
    encode_client_ids,
    encode_updates,
    row_checksum,
)
from crdt_store.tables import documents, updates
from crdt_store.update_log import WHOLE_ROW, DocumentDamaged, Row, StoredRow, WrongEpoch

_BATCH_ROWS = 1000
_BATCH_BYTES = 4 * 2**20  # more only if the first row alone has more
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)  # UTF-8 has none


class Batch(NamedTuple):
    """Rows of a document, without a hole, the seq they reach, and where the document ended at that moment.

    `epoch_id` is (document id, epoch); None: no such document.
    """

    epoch_id: tuple[int, int] | None
    reached: int
    last_seq: int
    rows: list[StoredRow]


_COLUMNS = tuple(column.name for column in updates.c if column is not updates.c.id)
_INSERT = Prepared(insert(updates).inline().values({name: bindparam(name) for name in _COLUMNS}))
_ADVANCE = Prepared(
    update(documents)
    .where(documents.c.id == bindparam("document"))
    .values(last_seq=bindparam("reached"), deleted=false())
)
_SIZES = (
    select(updates.c.seq, func.length(updates.c.payload))
    .where(updates.c.document_id == bindparam("document"), updates.c.seq > bindparam("after"))
    .order_by(updates.c.seq)
    .limit(_BATCH_ROWS)
)
_ROWS = (
    select(updates)
    .where(
        updates.c.document_id == bindparam("document"),
        updates.c.seq > bindparam("after"),
        updates.c.seq <= bindparam("last"),
    )
    .order_by(updates.c.seq)
)


def append(connection: Connection, rows: Sequence[Row]) -> None:
    """Give every row the next seq of its document, which is made by its first row. Raises WrongEpoch."""
    first_rows: dict[str, Row] = {}
    for row in rows:
        first_rows.setdefault(row.document, row)
    places = lock(connection, sorted(first_rows))
    missing = [row for name, row in sorted(first_rows.items()) if name not in places]
    if missing:
        connection.execute(insert(documents), [_new_document(row) for row in missing])
        places |= lock(connection, [row.document for row in missing])
    reached = {name: place.last_seq for name, place in places.items()}
    records = []
    for row in rows:
        place = places[row.document]
        if row.epoch != place.epoch:
            raise WrongEpoch(f"{row.document!r} is in epoch {place.epoch}, not {row.epoch}")
        seq = reached[row.document] = reached[row.document] + 1
        records.append(_record(row, place.id, seq))
    _INSERT.run(connection, records)
    _ADVANCE.run(connection, [{"document": places[name].id, "reached": seq} for name, seq in reached.items()])


def exists(connection: Connection, document: str) -> bool:
    """Whether there is a document of that name."""
    place = find(connection, document)
    return place is not None and not place.deleted


def read_batch(connection: Connection, document: str, after: int) -> Batch:
    """The next rows after `after`. Raises DocumentDamaged for a row that does not match, or is missing."""
    place = find(connection, document)
    if place is None or place.deleted:
        return Batch(None, after, 0, [])
    after = max(after, place.base_seq)
    entries = active_entries(connection, place.id, after) if place.quarantined else set()
    if after < place.compacted_seq:
        rows, reached = read_history(connection, document, place, after, entries)
    else:
        rows, reached = _read_updates(connection, document, place, after, entries)
    rows = [kept for stored in rows if (kept := without_quarantined(stored, entries)) is not None]
    return Batch((place.id, place.epoch), reached, place.last_seq, rows)


def _read_updates(
    connection: Connection, document: str, place: Place, after: int, put_aside: set[tuple[int, int]]
) -> tuple[list[StoredRow], int]:
    """Rows of the hot log and the seq that they reach; those put aside as a whole are left out."""
    last = _end_of_batch(connection, place.id, after)
    # All at once: a cursor left open by an exception would keep SQLite's reader at this state of the database.
    records = connection.execute(_ROWS, {"document": place.id, "after": after, "last": last}).mappings().all()
    rows: list[StoredRow] = []
    reached = after
    for record in records:
        reached = _skip_put_aside(reached, record["seq"], put_aside)
        if record["seq"] != reached + 1:
            raise DocumentDamaged(document, reached + 1, "missing")
        reached += 1
        if (reached, WHOLE_ROW) not in put_aside:
            rows.append(_checked_row(document, place.epoch, record))
    if reached == after:
        reached = _skip_put_aside(reached, place.last_seq + 1, put_aside)
    if reached == after and reached < place.last_seq:
        raise DocumentDamaged(document, reached + 1, "missing")
    if reached > max(after, place.last_seq):
        raise DocumentDamaged(document, reached, f"lies beyond the end, {place.last_seq}")
    return rows, reached


def _skip_put_aside(reached: int, following: int, put_aside: set[tuple[int, int]]) -> int:
    """The seq before `following`, if all between are known to be gone."""
    while reached + 1 < following and (reached + 1, WHOLE_ROW) in put_aside:
        reached += 1
    return reached


def list_documents(connection: Connection, prefix: str, limit: int, after: str) -> list[str]:
    """Names in order of code points. A range of the index: LIKE would take `%` and `_` for wildcards."""
    query = select(documents.c.name).where(
        documents.c.name > after, documents.c.name >= prefix, documents.c.deleted.is_(False)
    )
    end = _end_of_prefix(prefix)
    if end is not None:
        query = query.where(documents.c.name < end)
    return list(connection.scalars(query.order_by(documents.c.name).limit(limit)))


def _new_document(row: Row) -> dict[str, Any]:
    return {
        "name": row.document,
        "epoch": 1,
        "last_seq": 0,
        "created_at_ms": row.updates[0].received_at_ms,
    }


def _record(row: Row, document_id: int, seq: int) -> dict[str, Any]:
    client_ids = encode_client_ids(row.client_ids)
    payload = encode_updates(row.updates)
    first, last = row.updates[0].received_at_ms, row.updates[-1].received_at_ms
    return {
        "document_id": document_id,
        "seq": seq,
        "author_id": row.author_id,
        "client_ids": client_ids,
        "payload": payload,
        "first_received_at_ms": first,
        "last_received_at_ms": last,
        "checksum": row_checksum(row.document, seq, row.author_id, client_ids, payload, first, last),
    }


def _end_of_batch(connection: Connection, document_id: int, after: int) -> int:
    """The seq up to which the next rows fit in one batch; `after` itself if there is none."""
    last, batch_bytes = after, 0
    for seq, size in connection.execute(_SIZES, {"document": document_id, "after": after}):
        batch_bytes += size or 0
        if last > after and batch_bytes > _BATCH_BYTES:
            break
        last = seq
    return last


def _checked_row(document: str, epoch: int, record: RowMapping) -> StoredRow:
    author_id, client_ids, payload = record["author_id"], record["client_ids"], record["payload"]
    times = record["first_received_at_ms"], record["last_received_at_ms"]
    try:
        if (
            row_checksum(document, record["seq"], author_id, client_ids, payload, *times)
            != record["checksum"]
        ):
            raise ValueError("the checksum does not match")
        row = Row(document, author_id, decode_client_ids(client_ids), decode_updates(payload), epoch)
    except DAMAGE as error:
        raise DocumentDamaged(document, record["seq"], str(error)) from error
    return StoredRow(record["seq"], row)


def _end_of_prefix(prefix: str) -> str | None:
    """The least text that is greater than every text with this prefix; None if there is none."""
    for index in reversed(range(len(prefix))):
        following = ord(prefix[index]) + 1
        if following in _SURROGATES:
            following = _SURROGATES.stop
        if following <= _LAST_CODE_POINT:
            return prefix[:index] + chr(following)
    return None
