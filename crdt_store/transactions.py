"""What appending, reading and listing do inside their transaction, in SQL that every database understands."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, false, func, insert, select, update

from crdt_store.effects import Effect
from crdt_store.ends import with_true_end
from crdt_store.history import read_history
from crdt_store.places import Place, find, lock
from crdt_store.prepared import Prepared
from crdt_store.quarantine import active_entries, is_gone, without_quarantined
from crdt_store.row_codec import (
    DAMAGE,
    decode_client_ids,
    decode_updates,
    encode_client_ids,
    encode_updates,
    row_checksum,
)
from crdt_store.run_edits import count_edits
from crdt_store.tables import documents, updates
from crdt_store.update_log import DocumentDamaged, Row, StoredRow, WrongEpoch

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


def append(
    connection: Connection, rows: Sequence[Row], effects: Sequence[Effect] = (), *, find_ends: bool = False
) -> None:
    """Give every row the next seq of its document, which is made by its first row. Raises WrongEpoch.

    `find_ends`: look where each document ends, since there seems to be a row where its record says it does.
    """
    first_rows: dict[str, Row] = {}
    for row in rows:
        first_rows.setdefault(row.document, row)
    places = lock(connection, sorted(first_rows))
    missing = [row for name, row in sorted(first_rows.items()) if name not in places]
    if missing:
        connection.execute(insert(documents), [_new_document(row) for row in missing])
        places |= lock(connection, [row.document for row in missing])
    if find_ends:
        places = {name: with_true_end(connection, place) for name, place in places.items()}
    # Nobody would read what is written before compacted_seq.
    reached = {name: max(place.last_seq, place.compacted_seq) for name, place in places.items()}
    records = []
    for row in rows:
        place = places[row.document]
        if row.epoch != place.epoch:
            raise WrongEpoch(f"{row.document!r} is in epoch {place.epoch}, not {row.epoch}")
        seq = reached[row.document] = reached[row.document] + 1
        records.append(_record(row, place.id, seq))
    _INSERT.run(connection, records)
    _ADVANCE.run(connection, [{"document": places[name].id, "reached": seq} for name, seq in reached.items()])
    count_edits(connection, [(places[row.document].id, row) for row in rows if row.run_id is not None])
    for effect in effects:
        effect.store(connection)


def exists(connection: Connection, document: str) -> bool:
    """Whether there is a document of that name."""
    place = find(connection, document)
    return place is not None and not place.deleted


def read_batch(connection: Connection, document: str, after: int) -> Batch:
    """The next rows after `after`. Raises DocumentDamaged for a row that does not match, or is missing."""
    found = find(connection, document)
    if found is None or found.deleted:
        return Batch(None, after, 0, [])
    place = with_true_end(connection, found)
    after = max(after, place.base_seq)
    read = read_history if after < place.compacted_seq else _read_updates
    rows, reached = read(connection, document, place, after)
    return Batch((place.id, place.epoch), reached, place.last_seq, rows)


def _read_updates(
    connection: Connection, document: str, place: Place, after: int
) -> tuple[list[StoredRow], int]:
    """Rows of the hot log without what is put aside, and the seq that they reach."""
    last = _end_of_batch(connection, place.id, after)
    reached = last if last > after else max(after, place.last_seq)
    gone = active_entries(connection, place, after, reached)
    # All at once: a cursor left open by an exception would keep SQLite's reader at this state of the database.
    records = connection.execute(_ROWS, {"document": place.id, "after": after, "last": last}).mappings().all()
    rows: list[StoredRow] = []
    for record in records:
        seq = record["seq"]
        if seq > after + 1 and not is_gone(gone, seq - 1):
            raise DocumentDamaged(document, seq - 1, f"missing, from row {after + 1} on")
        after = seq
        if not is_gone(gone, seq):
            kept = without_quarantined(checked_row(document, place.epoch, record), gone)
            rows += [] if kept is None else [kept]
    if after < reached and not is_gone(gone, reached):
        raise DocumentDamaged(document, reached, f"missing, from row {after + 1} on")
    return rows, reached


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
        "run_id": row.run_id,
        "checksum": row_checksum(
            row.document, seq, row.author_id, client_ids, payload, first, last, row.run_id
        ),
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


def checked_row(document: str, epoch: int, record: RowMapping) -> StoredRow:
    """The row that a record of the table holds. Raises DocumentDamaged."""
    author_id, client_ids, payload = record["author_id"], record["client_ids"], record["payload"]
    times = record["first_received_at_ms"], record["last_received_at_ms"]
    seq, run_id = record["seq"], record["run_id"]
    try:
        checksum = row_checksum(document, seq, author_id, client_ids, payload, *times, run_id)
        if checksum != record["checksum"]:
            raise ValueError("the checksum does not match")
        row = Row(document, author_id, decode_client_ids(client_ids), decode_updates(payload), epoch, run_id)
    except DAMAGE as error:
        raise DocumentDamaged(document, seq, str(error)) from error
    return StoredRow(seq, row)


def _end_of_prefix(prefix: str) -> str | None:
    """The least text that is greater than every text with this prefix; None if there is none."""
    for index in reversed(range(len(prefix))):
        following = ord(prefix[index]) + 1
        if following in _SURROGATES:
            following = _SURROGATES.stop
        if following <= _LAST_CODE_POINT:
            return prefix[:index] + chr(following)
    return None
