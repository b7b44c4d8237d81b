"""What each operation of the log does inside its transaction, in SQL that every database understands."""

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update

from crdt_store.row_codec import (
    decode_client_ids,
    decode_updates,
    encode_client_ids,
    encode_updates,
    row_checksum,
    snapshot_checksum,
)
from crdt_store.tables import documents, snapshots, updates
from crdt_store.update_log import DocumentDamaged, Row, Snapshot, StoredRow

_BATCH_ROWS = 1000
_BATCH_BYTES = 4 * 2**20  # more only if the first row alone has more
_NAMES_PER_QUERY = 500  # databases limit the parameters of one statement
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)  # UTF-8 has none
_DAMAGE = (ValueError, TypeError, struct.error)  # a damaged value may have changed its type


class _Place(NamedTuple):
    """Where a document is and ends."""

    id: int
    last_seq: int


class Batch(NamedTuple):
    """Rows of a document, without a hole, and where it ended at that moment; id None: no such document."""

    document_id: int | None
    last_seq: int
    rows: list[StoredRow]


_PLACES = select(documents.c.name, documents.c.id, documents.c.last_seq).where(
    documents.c.name.in_(bindparam("names", expanding=True))
)
# In one order, so that two writers never wait for each other; SQLite needs no such lock and leaves it out.
_LOCKED_PLACES = _PLACES.order_by(documents.c.id).with_for_update()
_INSERT = insert(updates)
_ADVANCE = (
    update(documents).where(documents.c.id == bindparam("document")).values(last_seq=bindparam("reached"))
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
_SNAPSHOTS = (
    select(snapshots)
    .where(snapshots.c.document_id == bindparam("document"))
    .order_by(snapshots.c.seq.desc())
    .limit(1)
)


def append(connection: Connection, rows: Sequence[Row]) -> None:
    """Give every row the next seq of its document, which is made by its first row."""
    first_rows: dict[str, Row] = {}
    for row in rows:
        first_rows.setdefault(row.document, row)
    places = _lock_places(connection, list(first_rows))
    missing = [row for name, row in first_rows.items() if name not in places]
    if missing:
        connection.execute(insert(documents), [_new_document(row) for row in missing])
        places |= _lock_places(connection, [row.document for row in missing])
    reached = {name: place.last_seq for name, place in places.items()}
    records = []
    for row in rows:
        seq = reached[row.document] = reached[row.document] + 1
        records.append(_record(row, places[row.document].id, seq))
    connection.execute(_INSERT, records)
    connection.execute(
        _ADVANCE, [{"document": places[name].id, "reached": seq} for name, seq in reached.items()]
    )


def exists(connection: Connection, document: str) -> bool:
    """Whether there is a document of that name."""
    return _find(connection, document) is not None


def newest_snapshot(connection: Connection, document: str) -> Snapshot | None:
    """The document's snapshot with the highest seq. Raises DocumentDamaged."""
    place = _find(connection, document)
    if place is None:
        return None
    record = connection.execute(_SNAPSHOTS, {"document": place.id}).mappings().one_or_none()
    return None if record is None else _checked_snapshot(document, record)


def read_batch(connection: Connection, document: str, after: int) -> Batch:
    """The next rows after `after`. Raises DocumentDamaged for a row that does not match, or is missing."""
    place = _find(connection, document)
    if place is None:
        return Batch(None, 0, [])
    last = _end_of_batch(connection, place.id, after)
    records = connection.execute(_ROWS, {"document": place.id, "after": after, "last": last}).mappings().all()
    for expected, record in enumerate(records, after + 1):
        if record["seq"] != expected:
            raise DocumentDamaged(f"{document!r}: row {expected} is missing")
    reached = after + len(records)
    if not records and reached < place.last_seq:
        raise DocumentDamaged(f"{document!r}: row {reached + 1} is missing")
    if records and reached > place.last_seq:
        raise DocumentDamaged(f"{document!r}: row {reached} lies beyond the end, {place.last_seq}")
    return Batch(place.id, place.last_seq, [_checked_row(document, record) for record in records])


def write_snapshot(connection: Connection, document: str, snapshot: Snapshot, created_at_ms: int) -> bool:
    """Keep it if it is the newest, and the one before it: the way back if this one gets damaged."""
    place = _lock_places(connection, [document]).get(document)
    if place is None or snapshot.seq > place.last_seq:
        return False
    newest = connection.scalar(select(func.max(snapshots.c.seq)).where(snapshots.c.document_id == place.id))
    if newest is not None:
        if newest >= snapshot.seq:
            return False
        connection.execute(
            delete(snapshots).where(snapshots.c.document_id == place.id, snapshots.c.seq < newest)
        )
    connection.execute(
        insert(snapshots),
        {
            "document_id": place.id,
            "seq": snapshot.seq,
            "data": snapshot.data,
            "checksum": snapshot_checksum(document, snapshot.seq, snapshot.data, created_at_ms),
            "created_at_ms": created_at_ms,
        },
    )
    return True


def list_documents(connection: Connection, prefix: str, limit: int, after: str) -> list[str]:
    """Names in order of code points. A range of the index: LIKE would take `%` and `_` for wildcards."""
    query = select(documents.c.name).where(documents.c.name > after, documents.c.name >= prefix)
    end = _end_of_prefix(prefix)
    if end is not None:
        query = query.where(documents.c.name < end)
    return list(connection.scalars(query.order_by(documents.c.name).limit(limit)))


def delete_document(connection: Connection, document: str) -> None:
    """Remove it with all that refers to it."""
    place = _lock_places(connection, [document]).get(document)
    if place is None:
        return
    for table in (updates, snapshots):
        connection.execute(delete(table).where(table.c.document_id == place.id))
    connection.execute(delete(documents).where(documents.c.id == place.id))


def _find(connection: Connection, document: str) -> _Place | None:
    return _places(connection.execute(_PLACES, {"names": [document]})).get(document)


def _lock_places(connection: Connection, names: Sequence[str]) -> dict[str, _Place]:
    """Those of the documents that exist, locked until the transaction ends."""
    places: dict[str, _Place] = {}
    for start in range(0, len(names), _NAMES_PER_QUERY):
        some = names[start : start + _NAMES_PER_QUERY]
        places |= _places(connection.execute(_LOCKED_PLACES, {"names": some}))
    return places


def _places(found: Iterable[Any]) -> dict[str, _Place]:
    places = {}
    for name, document_id, last_seq in found:
        if not isinstance(last_seq, int):
            raise DocumentDamaged(f"{name!r}: its end is {last_seq!r}")
        places[name] = _Place(document_id, last_seq)
    return places


def _new_document(row: Row) -> dict[str, Any]:
    return {"name": row.document, "last_seq": 0, "created_at_ms": row.updates[0].received_at_ms}


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


def _checked_row(document: str, record: RowMapping) -> StoredRow:
    author_id, client_ids, payload = record["author_id"], record["client_ids"], record["payload"]
    times = record["first_received_at_ms"], record["last_received_at_ms"]
    try:
        if (
            row_checksum(document, record["seq"], author_id, client_ids, payload, *times)
            != record["checksum"]
        ):
            raise ValueError("the checksum does not match")
        row = Row(document, author_id, decode_client_ids(client_ids), decode_updates(payload))
    except _DAMAGE as error:
        raise DocumentDamaged(f"{document!r}: row {record['seq']}: {error}") from error
    return StoredRow(record["seq"], row)


def _checked_snapshot(document: str, record: RowMapping) -> Snapshot:
    seq, data = record["seq"], record["data"]
    try:
        if snapshot_checksum(document, seq, data, record["created_at_ms"]) != record["checksum"]:
            raise ValueError("the checksum does not match")
    except _DAMAGE as error:
        raise DocumentDamaged(f"{document!r}: snapshot {seq}: {error}") from error
    return Snapshot(seq, data)


def _end_of_prefix(prefix: str) -> str | None:
    """The least text that is greater than every text with this prefix; None if there is none."""
    for index in reversed(range(len(prefix))):
        following = ord(prefix[index]) + 1
        if following in _SURROGATES:
            following = _SURROGATES.stop
        if following <= _LAST_CODE_POINT:
            return prefix[:index] + chr(following)
    return None
